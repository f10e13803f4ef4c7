"""Since when conditions hold, also after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshgate.app.condition_times import ConditionTimes


def test_a_condition_keeps_its_time_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "conditions.json"
    times = ConditionTimes(file)
    times.take({"a": True, "b": False}, "1")
    times.take({"a": True, "b": True}, "2")
    assert (times.since("a"), times.since("b"), times.since("c")) == ("1", "2", "")
    again = ConditionTimes(file)
    again.take({"a": False, "b": True}, "3")
    assert (again.since("a"), again.since("b")) == ("3", "2")
    again.take({"a": False}, "4")
    assert again.since("b") == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 3}', '{"a": [1]}', "7"])
def test_a_file_that_is_none_is_begun_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "conditions.json"
    file.write_text(text)
    times = ConditionTimes(file)
    times.take({"a": True}, "1")
    assert times.since("a") == "1"
    assert ConditionTimes(file).since("a") == "1"


def test_a_folder_that_is_gone_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    times = ConditionTimes(tmp_path / "gone" / "conditions.json")
    times.take({"a": True}, "1")
    assert times.since("a") == "1"
