"""Texts of authorization rules as Envoy's matchers, each in a tight and a loose form.

The tight form takes what Istio documents and is used where a match lets a request in. The
loose form also takes every other spelling by which an application might understand the
same thing, and is used where a match keeps a request out: a DENY rule or a `not` of an
ALLOW rule cannot be passed by spelling. Envoy 1.40 compares bytes and whole texts.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.type.matcher.v3 import path_pb2, string_pb2

_BLANK = "[ \\t]*"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_PARAMETERS = "(?:;[^/]*)?"
_RESOLVED_LATER = "(?i:.*(?:/[.][.]?;|%c[01]|%e0%[89]|%f0%8).*)"
_OPERATORS = re.compile(r"(\{\*\*?\})")


def regex(pattern: str) -> string_pb2.StringMatcher:
    found = string_pb2.StringMatcher()
    found.safe_regex.regex = pattern
    return found


def quote(text: str) -> str:
    """The text as a regular expression that matches it alone; bytes for what is not ASCII."""
    return "".join(chr(b) if chr(b).isalnum() and b < 128 else f"\\x{b:02x}" for b in text.encode())


def plain(text: str) -> string_pb2.StringMatcher:
    """Exact, `abc*`, `*abc`, or `*` for whatever is not empty."""
    match shape(text):
        case "any", _:
            return regex(".+")
        case "suffix", rest:
            return string_pb2.StringMatcher(suffix=rest)
        case "prefix", rest:
            return string_pb2.StringMatcher(prefix=rest)
        case _, rest:
            return string_pb2.StringMatcher(exact=rest)


def folded(match: string_pb2.StringMatcher) -> string_pb2.StringMatcher:
    """The same in any case; patterns stay as they are."""
    if match.WhichOneof("match_pattern") != "safe_regex":
        match.ignore_case = True
    return match


def shape(text: str) -> tuple[str, str]:
    """(`any`, `suffix`, `prefix` or `exact`; the text without its star)."""
    if text == "*":
        return "any", ""
    if text.startswith("*"):
        return "suffix", text[1:]
    if text.endswith("*"):
        return "prefix", text[:-1]
    return "exact", text


def inner(text: str, any_of: str) -> str:
    """A pattern in which `*` stands for any number of the characters in `any_of`."""
    if text == "*":
        return f"{any_of}+"
    return f"{any_of}*".join(quote(part) for part in text.split("*"))


def header(name: str, text: str, *, loose: bool) -> route_pb.HeaderMatcher:
    """A header; the loose form looks at each of several values, in one line or in many."""
    found = route_pb.HeaderMatcher(name=name)
    kind, rest = shape(text)
    if not loose:
        found.string_match.CopyFrom(plain(text))
        return found
    value = quote(rest)
    match kind:
        case "any":
            found.present_match = True
        case "suffix":
            found.string_match.CopyFrom(regex(f".*{value}{_BLANK}(?:,.*)?"))
        case "prefix":
            found.string_match.CopyFrom(regex(f"(?:.*,)?{_BLANK}{value}.*"))
        case _:
            found.string_match.CopyFrom(regex(f"(?:.*,)?{_BLANK}{value}{_BLANK}(?:,.*)?"))
    return found


def host(text: str, *, loose: bool) -> route_pb.HeaderMatcher:
    """The host of a request in any case, with any port where the rule names none.

    The loose form also takes trailing dots, user names, and one host among several.
    """
    found = route_pb.HeaderMatcher(name=":authority")
    kind, rest = shape(text)
    if kind == "any":
        if loose:
            found.present_match = True
        else:
            found.string_match.CopyFrom(regex(".+"))
        return found
    dots = "\\x2e*" if loose else ""
    name, colon, port = _split_port(rest.rstrip(".") if loose and kind != "prefix" else rest)
    value = quote(name) + (f"{dots}:{quote(port)}" if colon else "")
    if kind != "prefix" and not colon:
        value += f"{dots}(?::[^,]*)?" if loose else "(?::[0-9]+)?"
    before, after = ("(?:.*[,@])?[ \\t]*", "(?:,.*)?") if loose else ("", "")
    match kind:
        case "suffix":
            pattern = (".*" if loose else "[^,@]*") + value + after
        case "prefix":
            pattern = f"{before}{value}.*"
        case _:
            pattern = f"{before}{value}{after}"
    found.string_match.CopyFrom(regex(f"(?i){pattern}"))
    return found


def _split_port(text: str) -> tuple[str, str, str]:
    name, colon, port = text.rpartition(":")
    if colon and not port.endswith("]"):
        return name, colon, port
    return text, "", ""


def path(text: str, *, loose: bool) -> path_pb2.PathMatcher:
    """A path without its query.

    The loose form takes every character in its escaped form too, parameters behind segments
    (`/admin;x=1`, which servlets cut off), and whatever some programs resolve after Envoy did:
    `/..;/` and escapes that are overlong UTF-8 for a dot or a slash.
    """
    return path_pb2.PathMatcher(path=_path(text, loose=loose))


def _path(text: str, *, loose: bool) -> string_pb2.StringMatcher:
    if "{" in text:
        operators = {"{*}": "[^/]+", "{**}": ".*"}
        spelled = _spelled if loose else quote
        pattern = "".join(operators.get(part) or spelled(part) for part in _OPERATORS.split(text))
        return regex(f"{pattern}{_PARAMETERS}|{_RESOLVED_LATER}") if loose else regex(pattern)
    kind, rest = shape(text)
    if not loose or kind == "any":
        return plain(text)
    before, after = ".*" if kind == "suffix" else "", ".*" if kind == "prefix" else _PARAMETERS
    return regex(f"{before}{_spelled(rest)}{after}|{_RESOLVED_LATER}")


def _spelled(text: str) -> str:
    """Every way to write a path: Envoy unescapes only what never needs to be escaped (RFC 3986)."""
    found = ""
    for index, byte in enumerate(unquote_to_bytes(text)):
        if byte == ord("/") and index:
            found += _PARAMETERS
        found += quote(chr(byte)) if byte in _UNRESERVED else f"(?:\\x{byte:02x}|(?i:%{byte:02x}))"
    return found
