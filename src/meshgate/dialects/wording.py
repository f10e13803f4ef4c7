"""How values and near misses are written in diagnostics."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or nothing where nothing is near."""
    choices = list(known)
    folded = {choice.lower(): choice for choice in choices}
    near = folded.get(word.lower())
    if near is None:
        close = difflib.get_close_matches(word[:100], choices, n=1, cutoff=0.6)
        near = close[0] if close else None
    return f"did you mean {near}?" if near else ""


def misspelt(word: str, known: Iterable[str]) -> bool:
    """Whether it is so near to one of them that nothing else can have been meant."""
    folded = [choice.lower() for choice in known]
    return bool(difflib.get_close_matches(word[:100].lower(), folded, n=1, cutoff=0.85))


def show(value: object) -> str:
    """A value as a diagnostic may print it: short, on one line."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:77] + "...")
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 2**64 else "a huge number"
    if isinstance(value, float):
        return str(value)
    return "an object" if isinstance(value, Mapping) else "a list"


def one_line(text: str) -> str:
    """Text that may hold anything, fit to stand in a line: escaped and cut."""
    return text[:80].encode("unicode_escape").decode("ascii")
