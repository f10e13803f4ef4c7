"""Text of pages that are made from the code: their head, cells of tables, lines without breaks."""

from __future__ import annotations

GENERATED = "<!-- Made by `make test ARGS='tests/docs --update-golden'`; do not edit. -->"


def cell(text: str | None) -> str:
    """One line that can stand in a table."""
    return flat(text).replace("|", "\\|")


def flat(text: str | None) -> str:
    """All on one line."""
    return " ".join((text or "").split())


def head(text: str) -> str:
    """The top of a page, with the mark that says how it is made."""
    return text.strip().replace("GENERATED", GENERATED) + "\n"
