"""The arithmetic by which the demo judges a split."""

from __future__ import annotations

import pytest

from meshgate.cli.demo_steps import Split, counted, milliseconds


@pytest.mark.parametrize(("v2", "holds"), [(100, True), (128, True), (129, False), (72, True), (71, False)])
def test_a_split_holds_within_three_standard_errors(v2: int, holds: bool) -> None:
    # sqrt(0.1 * 0.9 / 1000) is 0.0095: 28.5 requests of a thousand.
    split = Split(counts={"v1": 1000 - v2, "v2": v2}, version="v2", percent=10)
    assert split.holds is holds
    assert str(split) == f"v1 {1000 - v2}, v2 {v2}: {v2 / 10:.1f}% v2, wanted 10 ± 2.8"


def test_no_answer_is_no_split() -> None:
    assert not Split(counts={}, version="v2", percent=10).holds


def test_all_or_nothing_allows_no_exception() -> None:
    assert Split(counts={"v2": 50}, version="v2", percent=100).holds
    assert not Split(counts={"v1": 1, "v2": 49}, version="v2", percent=100).holds


def test_counts_are_sorted() -> None:
    assert counted({"v2": 1, "v1": 9}) == "v1 9, v2 1"
    assert counted({}) == "no answer"


def test_percentiles() -> None:
    values = [number / 1000 for number in range(100, 0, -1)]
    assert (milliseconds(values, 50), milliseconds(values, 99)) == (51.0, 100.0)
    assert milliseconds([], 99) == 0.0
