"""Matches of delegates within the matches that they are reached by."""

from __future__ import annotations

import pytest

from meshgate.model.linking.delegate_matches import joined
from meshgate.model.route import MatchKind, NamedMatch, PathKind, PathMatch, RequestMatch, StringMatch


def _path(kind: PathKind, value: str, *, ignore_case: bool = False) -> RequestMatch:
    return RequestMatch(paths=(PathMatch(kind=kind, value=value, ignore_case=ignore_case),))


def _header(kind: MatchKind, value: str = "", *, invert: bool = False) -> RequestMatch:
    return RequestMatch(
        headers=(NamedMatch(name="x", match=StringMatch(kind=kind, value=value), invert=invert),)
    )


ROOT = _path(PathKind.PREFIX, "/a")


@pytest.mark.parametrize(
    ("above", "own", "within"),
    [
        (ROOT, _path(PathKind.PREFIX, "/a/b"), True),
        (ROOT, _path(PathKind.EXACT, "/ab"), True),
        (ROOT, _path(PathKind.PREFIX, "/"), False),
        (ROOT, _path(PathKind.REGEX, "/a/.*"), False),
        (ROOT, _path(PathKind.PREFIX, "/a/b", ignore_case=True), False),
        (_path(PathKind.PREFIX, "/A", ignore_case=True), _path(PathKind.EXACT, "/a", ignore_case=True), True),
        (_path(PathKind.EXACT, "/a"), ROOT, False),
        (_path(PathKind.EXACT, "/a"), _path(PathKind.EXACT, "/a"), True),
        (_path(PathKind.REGEX, "/a+"), _path(PathKind.REGEX, "/a+"), True),
        (_header(MatchKind.PRESENT), _header(MatchKind.EXACT, "one"), True),
        (_header(MatchKind.EXACT, "one"), _header(MatchKind.PRESENT), False),
        (_header(MatchKind.PREFIX, "o"), _header(MatchKind.EXACT, "one"), True),
        (_header(MatchKind.EXACT, "one"), _header(MatchKind.EXACT, "two"), False),
        (_header(MatchKind.REGEX, "o+"), _header(MatchKind.EXACT, "o"), False),
        (RequestMatch(port=80), RequestMatch(port=81), False),
        (RequestMatch(port=80), RequestMatch(port=80), True),
    ],
)
def test_a_narrower_match_stands_for_both(above: RequestMatch, own: RequestMatch, within: bool) -> None:
    assert joined((above,), (own,)) == ((own,) if within else None)


def test_what_must_not_be_there_narrows_and_never_collides() -> None:
    (both,) = (
        joined((_header(MatchKind.EXACT, "one", invert=True),), (_header(MatchKind.EXACT, "two"),)) or ()
    )
    assert [(h.match.value, h.invert) for h in both.headers] == [("one", True), ("two", False)]


def test_one_side_without_matches_takes_the_others() -> None:
    assert joined((), (ROOT,)) == (ROOT,) == joined((ROOT,), ())


def test_each_of_the_delegates_matches_needs_one_above() -> None:
    other = _path(PathKind.PREFIX, "/b")
    assert joined((ROOT, other), (_path(PathKind.EXACT, "/b/c"), _path(PathKind.EXACT, "/a/c"))) == (
        _path(PathKind.EXACT, "/b/c"),
        _path(PathKind.EXACT, "/a/c"),
    )
    assert joined((ROOT,), (_path(PathKind.EXACT, "/a/c"), other)) is None
