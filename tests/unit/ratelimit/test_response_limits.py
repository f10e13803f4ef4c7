"""Limits on what answers cost: what services declare, what rules files hold, what stores count."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from meshgate.core.secret import Secret
from meshgate.model.policy import Limits, LimitStore, NamedLimits, RateLimit, RedisTarget, ResponseRateLimit
from meshgate.ratelimit.counters import Counter
from meshgate.ratelimit.limiter import RETIRED_RULES_S
from meshgate.ratelimit.memory import MemoryStore
from meshgate.ratelimit.response_limits import ResponseLimiter, costs_of
from meshgate.ratelimit.rules_file import parse, parse_responses, serialise
from meshgate.ratelimit.stores import RedisStores
from meshgate.stores.settings_file import SettingsError
from tests.unit.ratelimit.asking import StillClock

LIMITS = (
    NamedLimits(name="sms", limits=Limits(day=1)),
    NamedLimits(name="video", limits=Limits(minute=5)),
)


@pytest.mark.parametrize(
    ("values", "costs"),
    [
        (["video=2"], {"video": 2}),
        ([" video = 2 , sms=1 "], {"video": 2, "sms": 1}),
        (["video=1", "sms=1"], {"video": 1, "sms": 1}),
        (["video=1,video=3"], {"video": 3}),
        (["video=-1"], {"video": -1}),
        (["", "video", "video=", "video=1.5", "video=x", "video=1=2", "other=1", "Video=1", "video=¹"], {}),
        (["video=" + "9" * 40], {}),
    ],
)
def test_what_a_service_declares(values: list[str], costs: dict[str, int]) -> None:
    assert costs_of(values, LIMITS) == costs


def test_rules_files_hold_both_kinds() -> None:
    target = RedisTarget(host="redis", password=Secret.of("not-a-secret"))
    rule = ResponseRateLimit(rule_id="b", limits=LIMITS, store=LimitStore.REDIS, redis=target)
    text = serialise([RateLimit(rule_id="a", limits=Limits(day=1))], [replace(rule, rule_id="c"), rule, rule])
    assert list(parse(text)) == ["a"]
    assert dict(parse_responses(text)) == {"b": rule, "c": replace(rule, rule_id="c")}
    assert not parse_responses('{"format": 1, "rules": []}'), "written before there were any"


@pytest.mark.parametrize(
    "broken", ["", "[]", '{"responses": 5}', '{"responses": "{}"}', '{"responses": "x"}']
)
def test_broken_rules_files(broken: str) -> None:
    with pytest.raises(SettingsError):
        parse_responses(broken)


def test_stores_count_any_amount_and_look_without_counting() -> None:
    store, counter = MemoryStore(), (Counter("k", 2**53, 100),)
    assert store.take(counter, 0.0, 0).used == (0,)
    assert len(store) == 0
    store.take(counter, 0.0, 7)
    assert store.take(counter, 0.0, 0).used == (7,)


def test_a_replaced_rule_is_known_while_proxies_may_name_it() -> None:
    async def body() -> None:
        clock = StillClock()
        async with asyncio.TaskGroup() as tasks:
            limiter = ResponseLimiter(clock=clock, stores=RedisStores(tasks), tasks=tasks)
            rule = ResponseRateLimit(rule_id="a", limits=LIMITS)
            limiter.replace_rules({"a": rule})
            limiter.replace_rules({})
            assert limiter.rule("a") is rule
            clock.advance(seconds=RETIRED_RULES_S + 1)
            limiter.replace_rules({})
            assert limiter.rule("a") is None

    asyncio.run(body())
