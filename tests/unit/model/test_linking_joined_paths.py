"""The path of a Service and that of a request, joined as Kong's router joins them."""

from __future__ import annotations

import re

import pytest

from meshgate.model.linking.joined_paths import joined_paths
from meshgate.model.route import PathKind, PathMatch
from meshgate.model.service import EdgeOptions


def _joined(kind: PathKind, value: str, base: str, request: str, *, strip: bool, joins: bool) -> str:
    edge = EdgeOptions(path=base.rstrip("/"), path_slash=base.endswith("/"))
    pattern, substitution = joined_paths(PathMatch(kind=kind, value=value), edge, strip=strip, joins=joins)
    return re.sub(pattern, substitution, request)


def _kong(matched: str, base: str, request: str, *, strip: bool, joins: bool) -> str:
    """In Kong's words: `matched` is what the route's path took of the request."""
    rest = request.removeprefix(matched)
    if not strip:
        if joins or base.endswith("/"):
            return base + request[1:]
        return base if request == "/" else base + request
    if joins:
        double = base.endswith("/") and rest.startswith("/")
        return base + (rest[1:] if double else rest)
    if not rest:
        return base.rstrip("/") + ("/" if request.endswith("/") and request != "/" else "")
    return base.rstrip("/") + "/" + rest.removeprefix("/")


@pytest.mark.parametrize("joins", [False, True], ids=["v0", "v1"])
@pytest.mark.parametrize("strip", [False, True], ids=["kept", "stripped"])
@pytest.mark.parametrize("base", ["/b", "/b/", "/b.c/d"])
@pytest.mark.parametrize(
    ("kind", "value", "matched", "request_path"),
    [
        (PathKind.EXACT, "/s", "/s", "/s"),
        (PathKind.SEGMENTS, "/s", "/s", "/s"),
        (PathKind.SEGMENTS, "/s", "/s/", "/s/"),
        (PathKind.SEGMENTS, "/s", "/s/", "/s/a/b"),
        (PathKind.PREFIX, "/s", "/s", "/s"),
        (PathKind.PREFIX, "/s", "/s", "/s/"),
        (PathKind.PREFIX, "/s", "/s", "/s/a"),
        (PathKind.PREFIX, "/s", "/s", "/sa"),
        (PathKind.PREFIX, "/s", "/s", "/sa/s"),
        (PathKind.PREFIX, "/s/", "/s/", "/s/"),
        (PathKind.PREFIX, "/s/", "/s/", "/s/a"),
        (PathKind.PREFIX, "/s.x", "/s.x", "/s.x/a"),
        (PathKind.PREFIX, "/", "/", "/a/b"),
        (PathKind.REGEX, "(?:/v[0-9]).*", "/v1", "/v1"),
        (PathKind.REGEX, "(?:/v[0-9]).*", "/v1", "/v1/a"),
        (PathKind.REGEX, "(?:/v[0-9]).*", "/v1", "/v1a"),
        (PathKind.REGEX, "(?:/v([0-9])/(u|w)).*", "/v1/u", "/v1/u/a"),
        (PathKind.REGEX, "(?:/v([0-9])/([uw])).*", "/v1/u", "/v1/ua"),
        (PathKind.REGEX, "(?:/v[0-9]/).*", "/v1/", "/v1/a"),
    ],
)  # fmt: skip
def test_as_kong(
    kind: PathKind, value: str, matched: str, request_path: str, base: str, strip: bool, joins: bool
) -> None:
    expected = _kong(matched, base, request_path, strip=strip, joins=joins)
    assert _joined(kind, value, base, request_path, strip=strip, joins=joins) == expected


def test_the_root_keeps_no_slash_that_is_not_there() -> None:
    for strip in (False, True):
        assert _joined(PathKind.PREFIX, "/", "/b", "/", strip=strip, joins=False) == "/b"


def test_a_regex_with_too_many_groups_still_stays_below_the_services_path() -> None:
    value = "(?:/(a)(b)(c)(d)).*"
    assert _joined(PathKind.REGEX, value, "/b", "/abcdx", strip=True, joins=False) == "/b/x"
