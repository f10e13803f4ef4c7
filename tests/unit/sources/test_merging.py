"""JSON merge patch after RFC 7386, and apply's three-way merge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.dialects.document import Json
from meshgate.sources.merging import MAX_DEPTH, content_hash, merge_patch, three_way, too_deep

RFC_CASES: list[tuple[Json, Json, Json]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_CASES)
def test_the_cases_of_the_rfc(target: Json, patch: Json, result: Json) -> None:
    assert merge_patch(target, patch) == result


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)


@given(_VALUES, _VALUES)
def test_a_patch_changes_neither_side_and_repeats(target: Json, patch: Json) -> None:
    before = content_hash(target), content_hash(patch)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert (content_hash(target), content_hash(patch)) == before


@given(_OBJECTS, _OBJECTS)
def test_apply_alone_gives_what_was_written(first: Json, second: Json) -> None:
    assert three_way(first, first, second) == second
    assert three_way(second, second, second) == second


def test_apply_leaves_what_others_set() -> None:
    last: Json = {"spec": {"a": 1, "b": [1]}}
    live: Json = {"spec": {"a": 1, "b": [1], "others": 2}}
    assert three_way(last, live, {"spec": {"b": [2]}}) == {"spec": {"b": [2], "others": 2}}


def test_the_hash_knows_types_and_not_the_order() -> None:
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert len({content_hash(v) for v in (1, "1", [1], {"1": 1}, None, True, "\ud800")}) == 7


def test_depth() -> None:
    data: Json = 1
    for _ in range(MAX_DEPTH):
        data = [data]
    assert not too_deep(data)
    assert too_deep({"a": [data]})
