from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.model.policy import ConsumerLimits, Limits, RateLimit
from meshgate.ratelimit.limiter import RETIRED_RULES_S, Limiter, UnknownRuleError
from meshgate.ratelimit.stores import RedisStores
from meshgate.ratelimit.windows import Window, per_window, window_start
from tests.unit.ratelimit.asking import NOON, StillClock, read, request


def with_limiter(
    play: Callable[[Limiter, StillClock], Awaitable[None]], *rules: RateLimit, clock: StillClock | None = None
) -> None:
    """Plays against a limiter that has these rules."""
    still = clock or StillClock()

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            limiter = Limiter(clock=still, stores=RedisStores(tasks))
            limiter.replace_rules({rule.rule_id: rule for rule in rules})
            await play(limiter, still)

    asyncio.run(run())


async def ask(limiter: Limiter, **entries: str) -> tuple[bool, dict[str, str]]:
    return read(await limiter.decide(request(entries)))


limit = st.none() | st.integers(1, 6)


@given(
    st.builds(Limits, second=limit, minute=limit, hour=limit, day=st.integers(1, 9)),
    st.lists(st.tuples(st.floats(0, 2000), st.sampled_from("abc")), max_size=60),
)
def test_no_window_ever_passes_more_than_its_limit(limits: Limits, steps: list[tuple[float, str]]) -> None:
    """Requests of three consumers with pauses of any length; who passes must be just who has room."""

    async def play(limiter: Limiter, clock: StillClock) -> None:
        passed: Counter[tuple[str, Window, object]] = Counter()
        for pause, consumer in steps:
            clock.time += timedelta(seconds=pause)
            windows = [
                ((consumer, window, window_start(window, clock.time)), most)
                for window, most in per_window(limits)
            ]
            room = all(passed[key] < most for key, most in windows)
            accepted, headers = await ask(limiter, rule="r", consumer=consumer)
            assert accepted == room
            assert ("Retry-After" in headers) == (not room)
            passed.update(key for key, _ in windows if accepted)

    with_limiter(play, RateLimit(rule_id="r", limits=limits))


def test_a_new_window_starts_anew() -> None:
    async def play(limiter: Limiter, clock: StillClock) -> None:
        assert [(await ask(limiter, rule="r"))[0] for _ in range(3)] == [True, True, False]
        clock.advance(seconds=44)
        assert not (await ask(limiter, rule="r"))[0], "still the same minute"
        clock.advance(seconds=1)
        assert (await ask(limiter, rule="r"))[0]

    with_limiter(play, RateLimit(rule_id="r", limits=Limits(minute=2)), clock=StillClock(NOON))


def test_a_consumer_can_have_limits_of_its_own() -> None:
    async def play(limiter: Limiter, clock: StillClock) -> None:
        assert [(await ask(limiter, rule="r", consumer="gold"))[0] for _ in range(4)] == [True] * 3 + [False]
        assert [(await ask(limiter, rule="r", consumer="other"))[0] for _ in range(2)] == [True, False]
        _, headers = await ask(limiter, rule="r", consumer="gold")
        assert headers["X-RateLimit-Limit-Hour"] == "3"
        assert "X-RateLimit-Limit-Minute" not in headers

    with_limiter(
        play,
        RateLimit(
            rule_id="r",
            limits=Limits(minute=1),
            consumer_limits=(ConsumerLimits(consumer_id="gold", limits=Limits(hour=3)),),
        ),
    )


def test_several_rules_count_together_or_not_at_all() -> None:
    both = request({"rule": "narrow"}, {"rule": "wide"})

    async def play(limiter: Limiter, clock: StillClock) -> None:
        assert [read(await limiter.decide(both))[0] for _ in range(3)] == [True, False, False]
        _, headers = await ask(limiter, rule="wide")
        assert headers["X-RateLimit-Remaining-Day"] == "8", "refused requests were not counted"

    with_limiter(
        play,
        RateLimit(rule_id="narrow", limits=Limits(day=1)),
        RateLimit(rule_id="wide", limits=Limits(day=10)),
    )


def test_requests_without_a_rule_pass() -> None:
    async def play(limiter: Limiter, clock: StillClock) -> None:
        assert read(await limiter.decide(request())) == (True, {})
        assert await ask(limiter, consumer="a") == (True, {})

    with_limiter(play)


def test_an_edited_rule_keeps_its_count_and_a_removed_one_lingers() -> None:
    async def play(limiter: Limiter, clock: StillClock) -> None:
        await ask(limiter, rule="r")
        limiter.replace_rules({"r": RateLimit(rule_id="r", limits=Limits(year=2))})
        _, headers = await ask(limiter, rule="r")
        assert headers["X-RateLimit-Remaining-Year"] == "0"

        limiter.replace_rules({})
        assert not (await ask(limiter, rule="r"))[0], "proxies may still ask for it"
        clock.advance(seconds=RETIRED_RULES_S + 1)
        limiter.replace_rules({})
        with pytest.raises(UnknownRuleError):
            await ask(limiter, rule="r")

    with_limiter(play, RateLimit(rule_id="r", limits=Limits(year=9)))
