"""Replaced rules stay for a while, and not for ever."""

from __future__ import annotations

from meshgate.core.retiring import MOST_RETIRED, Retiring
from tests.unit.bridge.tools import StandingClock


def test_a_replaced_rule_stays_until_its_time_is_over() -> None:
    clock = StandingClock()
    rules: Retiring[str] = Retiring(clock, keep_s=30)
    assert rules.replace({"a": "1", "b": "1"}) == {"a": "1", "b": "1"}
    assert rules.replace({"b": "2"}) == {"a": "1", "b": "2"}, "of one id only the newest counts"
    clock.forward(20)
    assert rules.replace({"c": "1"}) == {"a": "1", "b": "2", "c": "1"}
    clock.forward(20)
    assert rules.replace({"c": "1"}) == {"b": "2", "c": "1"}
    assert rules.replace({"b": "3"}) == {"c": "1", "b": "3"}, "one that is back is current"
    clock.forward(31)
    assert rules.replace({}) == {"b": "3"}, "its time begins when it is replaced"


def test_so_many_and_not_more() -> None:
    rules: Retiring[int] = Retiring(StandingClock(), keep_s=30)
    known = [rules.replace({str(number): number}) for number in range(MOST_RETIRED + 3)]
    assert list(known[-1].values()) == [*range(2, MOST_RETIRED + 3)]
