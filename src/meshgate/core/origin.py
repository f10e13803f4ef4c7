"""Where a value was written: file, line and column, and the path to a field."""

from __future__ import annotations

from dataclasses import dataclass

FieldPath = tuple[str | int, ...]
"""The way from an object's root to a field, e.g. `("spec", "http", 0, "timeout")`."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A position in a source; prints as `file:line:column`."""

    file: str
    """Path as the user gave it, or `<name>` for what has no file (`<api>`, `<built-in>`)."""
    line: int = 0
    """1-based; 0 where a source has no lines."""
    column: int = 0
    """1-based; 0 where a source has no columns."""

    def __str__(self) -> str:
        # A name may hold anything but a slash: nothing in it must write to a terminal, or begin a line.
        file = self.file if self.file.isprintable() else self.file.encode("unicode_escape").decode()
        return f"{file}:{self.line}:{self.column}" if self.line else file


BUILT_IN = Origin("<built-in>")
"""The origin of what Meshgate adds by itself."""


def format_path(path: FieldPath) -> str:
    """`("spec", "http", 0, "match")` -> `spec.http[0].match`; odd keys are quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and all(c.isalnum() or c in "-_" for c in part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text
