"""What a client gets of a stored answer: all of it, a part, or the news that it has it already.

Preconditions (RFC 9111, section 4.3.2; RFC 9110, section 13.2.2) and ranges (RFC 9110, section 14).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshgate.bridge.cache.directives import http_date
from meshgate.bridge.cache.stored import Stored
from meshgate.bridge.request import Headers, Request

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*", re.ASCII | re.IGNORECASE)
_ETAGS = re.compile(r'(?:W/)?"[^"]*"')
_OF_304 = frozenset(
    [
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "last-modified",
        "vary",
        "access-control-allow-origin",
    ]
)
"""What a 304 repeats (RFC 9110, section 15.4.5); and what browsers ask of every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer to a client."""

    status: int
    headers: Headers = ()
    added: Headers = ()
    """Said anew each time."""
    body: bytes = b""


def give(request: Request, stored: Stored) -> Given:
    """The part of a stored answer that the request asks for."""
    if stored.status == 200 and _has_it(request, stored):
        return Given(status=304, headers=tuple(h for h in stored.headers if h[0] in _OF_304))
    whole = Given(status=stored.status, headers=stored.headers, body=stored.body)
    asked = request.header("range")
    if asked is None or stored.status != 200 or request.method != "GET" or not _same(request, stored):
        return whole
    match = _RANGE.fullmatch(asked)
    if match is None:
        # Several ranges, or a unit of somebody's own: all of it is a good answer too.
        return whole
    length = len(stored.body)
    first, last = _bounds(match, length)
    if first > last and match.group(2) and int(match.group(1)) > int(match.group(2)):
        return whole
    if first > last:
        return Given(status=416, headers=(("content-range", f"bytes */{length}"),))
    headers = (*stored.headers, ("content-range", f"bytes {first}-{last}/{length}"))
    return Given(status=206, headers=headers, body=stored.body[first : last + 1])


def validators(stored: Stored) -> Headers:
    """What to ask the service with, whether the answer is still good (section 4.3.1)."""
    etag, modified = stored.header("etag"), stored.header("last-modified")
    found = (("if-none-match", etag), ("if-modified-since", modified))
    return tuple((name, value) for name, value in found if value)


def same_version(stored: Stored, etag: str | None) -> bool:
    """Whether a 304 with that ETag, or none, is about the stored answer (section 4.3.4)."""
    return etag is None or _weak(etag) == _weak(stored.header("etag") or "")


def _has_it(request: Request, stored: Stored) -> bool:
    """Whether the client's own copy is the stored one."""
    wanted = request.header("if-none-match")
    if wanted is not None:
        etag = stored.header("etag")
        return wanted.strip() == "*" or (
            etag is not None and _weak(etag) in {_weak(one) for one in _ETAGS.findall(wanted)}
        )
    since = http_date(request.header("if-modified-since"))
    if since is None:
        return False
    modified = http_date(stored.header("last-modified") or stored.header("date"))
    return (stored.times.received if modified is None else modified) <= since


def _same(request: Request, stored: Stored) -> bool:
    """Whether a range may be given, by If-Range (RFC 9110, section 13.1.5): only of the very same version."""
    condition = request.header("if-range")
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith('"'):
        return condition == stored.header("etag")
    return condition == stored.header("last-modified")


def _weak(etag: str) -> str:
    return etag.strip().removeprefix("W/")


def _bounds(match: re.Match[str], length: int) -> tuple[int, int]:
    start, end, suffix = match.groups()
    if suffix is not None:
        return (max(0, length - int(suffix)), length - 1) if int(suffix) else (length, length - 1)
    return int(start), min(int(end), length - 1) if end else length - 1
