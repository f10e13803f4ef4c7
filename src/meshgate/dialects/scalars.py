"""What a plain (unquoted) YAML scalar means: YAML 1.1 as PyYAML's safe loader resolves it."""

from __future__ import annotations

import math
import re

_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0b(?P<binary>[0-1_]+)|0x(?P<hex>[0-9a-fA-F_]+)|0(?P<octal>[0-7_]+)"
    r"|(?P<decimal>0|[1-9][0-9_]*)|(?P<sixty>[1-9][0-9_]*(?::[0-5]?[0-9])+))"
)
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?")
_SIXTY_FLOAT = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
for _word in ("yes", "true", "on"):
    _WORDS |= {_word: True, _word.capitalize(): True, _word.upper(): True}
for _word in ("no", "false", "off"):
    _WORDS |= {_word: False, _word.capitalize(): False, _word.upper(): False}

_NUMBER_START = frozenset("0123456789+-.")
_MAX_NUMBER = 100
"""Longer ones are text: no field takes such a number."""


class BadScalar(ValueError):
    """A number that JSON or 64 bits cannot hold; the message never shows it (it may be secret)."""


def plain_scalar(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar; raises `BadScalar`."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START or len(text) > _MAX_NUMBER:
        return text
    whole = _INT.fullmatch(text)
    if whole is not None:
        return _integer(whole, text)
    if _FLOAT.fullmatch(text):
        digits = text.replace("_", "")
        value = float(digits)
        if not math.isfinite(value):
            raise BadScalar("the number is too large")
        return value
    if _SIXTY_FLOAT.fullmatch(text):
        return _sixties(text.replace("_", ""))
    if _NOT_FINITE.fullmatch(text):
        raise BadScalar("infinity and not-a-number are no values")
    return text


def _integer(match: re.Match[str], text: str) -> int | str:
    base, digits = next(
        (base, found)
        for base, name in ((2, "binary"), (16, "hex"), (8, "octal"), (10, "decimal"), (60, "sixty"))
        if (found := match[name]) is not None
    )
    digits = digits.replace("_", "")
    if not digits:
        return 0 if base == 8 else text  # `0_` is 0; at `0b_` PyYAML raises
    value = int(_sixties(digits)) if base == 60 else int(digits, base)
    if match["sign"] == "-":
        value = -value
    if not -(2**63) <= value < 2**64:
        raise BadScalar("the number does not fit into 64 bits")
    return value


def _sixties(text: str) -> float | int:
    """YAML 1.1's base 60: `1:30` is 90."""
    sign = -1 if text.startswith("-") else 1
    parts = text.lstrip("+-").split(":")
    value: float | int = 0
    for part in parts[:-1]:
        value = value * 60 + int(part)
    last = parts[-1]
    return sign * (value * 60 + (float(last) if "." in last else int(last)))
