"""The tour's verdict: what counts as held, and that a failed step stops nothing but a failed start."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_steps import Finding, Findings, Step
from meshgate.cli.demo_tour import STEPS, start, tour
from meshgate.cli.errors import CliError


@contextmanager
def a_shop() -> Iterator[Shop]:
    """A shop that is never started."""
    shop = Shop(None, None, None)
    try:
        yield shop
    finally:
        shop.close()


def run(*steps: Step) -> tuple[bool, str]:
    """The verdict and the text of a tour."""
    text = io.StringIO()
    with a_shop() as shop:
        held = tour(shop, Console(file=text, width=200), steps)
    return held, text.getvalue()


def good(shop: Shop) -> Findings:
    yield Finding(asked="is it [so]?", came="it is")


def bad(shop: Shop) -> Findings:
    yield Finding(asked="and this?", came="no", held=False)
    yield Finding(asked="but that?", came="yes")


def broken(shop: Shop) -> Findings:
    yield Finding(asked="first", came="well")
    raise CliError("the control plane went away")


def test_all_held() -> None:
    held, text = run(Step(title="one", run=good), Step(title="two", run=good))
    assert held
    assert "is it [so]?" in text
    assert "All 2 steps held" in text


@pytest.mark.parametrize("failing", [bad, broken])
def test_one_that_does_not_hold_is_named_and_the_others_go_on(failing: object) -> None:
    assert callable(failing)
    held, text = run(Step(title="the weak one", run=failing), Step(title="two", run=good))
    assert not held
    assert text.count("FAIL") == 1
    assert text.count("PASS") == 1
    assert text.rstrip().endswith("the weak one")


def test_without_a_start_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_start(self: Shop) -> float:
        raise CliError("the port is taken")

    monkeypatch.setattr(Shop, "start", no_start)
    held, text = run(Step(title="start", run=start), Step(title="two", run=good))
    assert not held
    assert "the port is taken" in text
    assert "two" not in text


def test_the_tour_begins_with_a_start_and_ends_with_an_end() -> None:
    assert STEPS[0].run is start
    assert STEPS[-1].title == "Nothing stays behind"
