"""Texts as Envoy compares them (1.40)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from envoy.type.matcher.v3 import string_pb2


def parameters(path: str) -> dict[str, str]:
    """Query parameters as Envoy compares them: not decoded, the first of a name."""
    found: dict[str, str] = {}
    for part in path.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        if part:
            found.setdefault(name, value)
    return found


def decoded_parameters(path: str) -> dict[str, str]:
    """The same as filters that look for credentials see them: decoded, but for the plus sign."""
    found: dict[str, str] = {}
    for part in filter(None, path.partition("?")[2].split("&")):
        name, _, value = part.partition("=")
        found.setdefault(unquote(name), unquote(value))
    return found


def string_matches(matcher: string_pb2.StringMatcher, value: str) -> bool:
    """Whether a text is what the matcher wants; regexes match it whole."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return compiled(matcher.safe_regex.regex).fullmatch(value) is not None
    wanted: str = getattr(matcher, kind)
    if matcher.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    match kind:
        case "exact":
            return value == wanted
        case "prefix":
            return value.startswith(wanted)
        case "contains":
            return wanted in value
        case _:
            raise ValueError(f"a string match that we never make: {kind}")


_NAMED = re.compile(r"\(\?<(?=[A-Za-z_])")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """RE2's expression for `re`; the dialects let through only what RE2 takes."""
    return re.compile(re_from_re2(pattern), re.ASCII)


def re_from_re2(pattern: str) -> str:
    """RE2 syntax that `re` spells otherwise: `\\z`, `(?<name>`; `\\pN` classes are not translated."""
    return _NAMED.sub("(?P<", pattern.replace(r"\z", r"\Z").replace(r"\C", r"[\s\S]"))
