"""Paths the way Envoy 1.40 sees them before it routes: normalised, slashes merged.

Follows `Http::PathUtil` and, for percent escapes and dot segments, the URL library from
Chromium that Envoy uses for `normalize_path`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"%2[fF]|%5[cC]")
_DOTS_WITH_PARAMETERS = re.compile(r"(?<=/)(\.\.?);[^/]*")
"""`..;x` is `..` to Envoy as long as its dots are not escaped."""
_UNSAFE = re.compile(r"[\x00-\x20\x7f\"<>^`{|}]")
"""What a URL should not hold as it is; Envoy escapes it."""
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class Seen:
    """A path as the routes see it."""

    path: str
    """With the query string."""
    redirect: bool = False
    """Whether escaped slashes make Envoy send the client to `path` instead (307)."""
    invalid: bool = False
    """Whether Envoy refuses it (400)."""

    @property
    def problem(self) -> str:
        """What Envoy holds against it; empty where it takes it."""
        words = "the path must begin with a slash, and hold ASCII without fragments and %00"
        return words if self.invalid else ""


def without_query(path: str) -> str:
    """The path up to `?` or `#`."""
    return re.split(r"[?#]", path, maxsplit=1)[0]


def see(path: str, *, edge: bool) -> Seen:
    """What becomes of a path at a proxy of ours; the gateway also merges and unescapes slashes."""
    if path == "*":
        return Seen(path)
    bare, mark, query = path.partition("?")
    if not path.startswith("/") or "#" in path or "%00" in bare or not path.isascii():
        return Seen(path, invalid=True)
    redirect = False
    if edge and _ESCAPED_SLASH.search(bare):
        bare = _ESCAPED_SLASH.sub(lambda m: "/" if m.group()[1:].lower() == "2f" else "\\", bare)
        redirect = True
    bare = _DOTS_WITH_PARAMETERS.sub(r"\1", bare.replace("\\", "/"))
    bare = _resolved(_escaped_as_needed(bare))
    if edge and "//" in bare:
        # As Envoy joins them: a path of slashes alone keeps two.
        end = "/" if bare.endswith("/") else ""
        bare = f"/{'/'.join(part for part in bare.split('/') if part)}{end}"
    return Seen(bare + mark + query, redirect=redirect)


def _escaped_as_needed(path: str) -> str:
    def plain(escape: re.Match[str]) -> str:
        char = chr(int(escape.group(1), 16))
        return char if char in _UNRESERVED else escape.group()

    return _UNSAFE.sub(lambda char: f"%{ord(char.group()):02X}", _ESCAPE.sub(plain, path))


def _resolved(path: str) -> str:
    """Without `.` and `..` segments (RFC 3986, 5.2.4)."""
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
