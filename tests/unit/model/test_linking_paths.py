"""The algebra of paths, held against doing the two steps one after the other."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.model.linking.paths import Combined, combine, matches, try_regex
from meshgate.model.route import PathKind, PathMatch, Rewrite
from tests.unit.model.build import exact, prefix, regex, segments

PATHS = ("/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/bc", "/a/b/c", "/b", "/A", "/a/B", "/ab/c", "/b/a")
VALUES = st.sampled_from(("/", "/a", "/a/", "/a/b", "/ab", "/b", "/b/c"))
EDGES = st.builds(
    PathMatch, kind=st.sampled_from((PathKind.EXACT, PathKind.PREFIX, PathKind.SEGMENTS)), value=VALUES
)
MESHES = st.one_of(
    st.none(),
    st.builds(
        PathMatch,
        kind=st.sampled_from((PathKind.EXACT, PathKind.PREFIX)),
        value=VALUES,
        ignore_case=st.booleans(),
    ),
    st.builds(PathMatch, kind=st.just(PathKind.REGEX), value=st.sampled_from(("/b.*", "/", "/a|/b", ".*"))),
)
REWRITES = st.one_of(
    st.just(Rewrite()), st.builds(Rewrite, prefix=st.sampled_from(("/", "/v2", "/v2/", "/a\\1")))
)


def rewritten(path: str, match: PathMatch, rewrite: Rewrite) -> str:
    """What one proxy makes of a path that met `match`."""
    if rewrite.path_regex:
        return re.sub(rewrite.path_regex, rewrite.substitution, path, count=1)
    if rewrite.prefix is None:
        return path
    if match.kind in (PathKind.EXACT, PathKind.REGEX):
        return rewrite.prefix
    rest = path[len(match.value.rstrip("/") if match.kind is PathKind.SEGMENTS else match.value) :]
    return rewrite.prefix + (rest.removeprefix("/") if rewrite.prefix.endswith("/") else rest)


def two_steps(path: str, edge: PathMatch, mesh: PathMatch, rewrite: Rewrite, strip: bool) -> str | None:
    """What a gateway and then a sidecar make of it; None where one of them does not match."""
    if not matches(edge, path):
        return None
    behind = rewritten(path, edge, Rewrite(prefix="/")) if strip else path
    if not matches(mesh, behind):
        return None
    return rewritten(behind, mesh, rewrite)


def one_step(path: str, combined: Combined | None) -> str | None:
    if combined is None or not all(matches(p, path) for p in combined.paths):
        return None
    if combined.rewrite.prefix is not None:
        assert len(combined.paths) == 1
    return rewritten(path, combined.paths[0], combined.rewrite)


@settings(max_examples=600, deadline=None)
@given(edge=EDGES, mesh=MESHES, rewrite=REWRITES, strip=st.booleans(), path=st.sampled_from(PATHS))
def test_one_step_does_what_two_do(
    edge: PathMatch, mesh: PathMatch | None, rewrite: Rewrite, strip: bool, path: str
) -> None:
    combined = combine(edge, mesh, rewrite, strip)
    if combined is not None and combined.inexact:
        return
    assert one_step(path, combined) == two_steps(path, edge, mesh or prefix("/"), rewrite, strip)


@pytest.mark.parametrize(
    ("edge", "mesh", "paths"),
    [
        (segments("/api"), prefix("/api/v1"), (prefix("/api/v1"),)),
        (segments("/api"), prefix("/ap"), (segments("/api"),)),
        (segments("/api"), prefix("/apix"), None),
        (segments("/"), regex("/a.*"), (regex("/a.*"),)),
        (segments("/api"), regex("/a.*"), (segments("/api"), regex("/a.*"))),
        (exact("/api"), prefix("/a"), (exact("/api"),)),
        (prefix("/b"), exact("/api"), None),
    ],
)
def test_a_conjunction_is_as_short_as_it_can_be(
    edge: PathMatch, mesh: PathMatch, paths: tuple[PathMatch, ...] | None
) -> None:
    combined = combine(edge, mesh, Rewrite(), False)
    assert (combined.paths if combined else None) == paths


def test_stripped_prefixes_join_without_a_regex() -> None:
    combined = combine(segments("/api"), prefix("/v1"), Rewrite(), True)
    assert combined == Combined(paths=(prefix("/api/v1"),), rewrite=Rewrite(prefix="/v1"))


def test_a_regex_rewrite_moves_behind_the_stripped_prefix() -> None:
    wanted = Rewrite(path_regex="^/v([0-9]+)/(.*)$", substitution="/\\2/\\1")
    combined = combine(segments("/api"), None, wanted, True)
    assert combined is not None
    assert not combined.inexact
    assert one_step("/api/v7/x", combined) == "/x/7"


def test_what_cannot_be_said_in_one_step_is_reported() -> None:
    unanchored = Rewrite(path_regex="b+", substitution="c")
    combined = combine(segments("/api"), None, unanchored, True)
    assert combined is not None
    assert combined.inexact
    combined = combine(regex("/u/.*"), prefix("/v1"), Rewrite(), True)
    assert combined is not None
    assert combined.inexact


def test_a_stripped_regex_loses_what_stands_before_its_open_end() -> None:
    combined = combine(regex(r"/u/\d+.*"), None, Rewrite(), True)
    assert one_step("/u/12/cart", combined) == "/cart"
    assert one_step("/u/12", combined) == "/"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "a*a*a*a*a*b", "(?P<x", "a{99999999999}"])
def test_a_regex_that_could_run_away_is_not_tried(pattern: str) -> None:
    assert try_regex(pattern, "a" * 60) is None


def test_a_tame_regex_is_tried() -> None:
    assert try_regex("pay.*", "payment") is True
    assert try_regex("PAY.*", "payment") is False
    assert try_regex("PAY.*", "payment", ignore_case=True) is True
