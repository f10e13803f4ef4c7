"""Label selectors as kubectl's `-l` takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from meshgate.sources.backend import AdminError

Matches = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<not>not)?in\s*\((?P<values>[^()]*)\)")
_PARTS = re.compile(r",(?![^(]*\))")


def parse_selector(text: str) -> Matches:
    """Whether labels meet `a=b,c!=d,e,!f,g in (h,i)`; everything meets an empty one."""
    demands = [_demand(part.strip()) for part in _PARTS.split(text) if part.strip()]
    return lambda labels: all(demand(labels) for demand in demands)


def _demand(part: str) -> Matches:
    if found := _SET.fullmatch(part):
        return _in_set(found)
    if part.startswith("!"):
        return lambda labels: part[1:].strip() not in labels
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        key, found_sign, value = part.partition(sign)
        if found_sign:
            return _equals(key.strip(), value.strip(), equal)
    if re.search(r"[\s()]", part):
        raise AdminError("invalid", f"cannot read the selector {part[:80]!r}", "write it as app=web,tier!=db")
    return lambda labels: part in labels


def _in_set(found: re.Match[str]) -> Matches:
    values = {value.strip() for value in found["values"].split(",")}
    key, inside = found["key"], found["not"] is None
    return lambda labels: (labels.get(key) in values) is inside


def _equals(key: str, value: str, equal: bool) -> Matches:
    return lambda labels: (labels.get(key) == value) is equal
