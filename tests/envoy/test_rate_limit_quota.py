"""`policy: quota` of rate-limiting: two real gateways share one limit, each with what it is lent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, plugin, route, send
from tests.envoy.limits_edge import ask_many, gateways

pytestmark = pytest.mark.envoy

ADA = (("apikey", "ada-key"),)
BOB = (("apikey", "bob-key"),)
MANIFESTS = (
    plugin("key", "key-auth", "{}")
    + plugin(
        "all", "rate-limiting", "{minute: 40, policy: quota, limit_by: service, hide_client_headers: true}"
    )
    + plugin(
        "each",
        "rate-limiting",
        "{minute: 3, hour: 100, policy: quota, error_code: 420, error_message: 'Enough, %d'}",
    )
    + plugin("tenant", "rate-limiting", "{hour: 2, policy: quota, limit_by: header, header_name: x-tenant}")
    + plugin("strict", "rate-limiting", "{day: 5, policy: quota, limit_by: ip, fault_tolerant: false}")
    + plugin("path", "rate-limiting", "{day: 1, policy: quota, limit_by: path, path: /path/one}")
    + route("all", "all")
    + route("each", "key", "each")
    + route("tenant", "tenant")
    + route("strict", "strict")
    + route("path", "path")
    + consumer("ada", {"ada-key": ("key-auth", {"key": "ada-key"})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bob-key"})})
)
DEADLINE_S = 60.0


def passed(answers: list[Answer]) -> int:
    assert all(a.reached or a.status in (420, 429) for a in answers), answers
    return sum(a.reached for a in answers)


async def refused_once(port: int, request: Ask) -> Answer:
    """The first refusal; requests that came before the gateway had its lease have passed."""
    async with asyncio.timeout(DEADLINE_S):
        while (answer := await send(port, request)).reached:
            pass
    return answer


def test_two_gateways_share_a_limit(tmp_path: Path) -> None:
    """What one does not use goes to the other with its next report, and nothing passes twice."""

    async def play() -> None:
        async with gateways(MANIFESTS, tmp_path, 2) as (one, two):
            for port in (one, two):  # now the service knows of both
                await refused_once(port, Ask("/tenant"))
            request = Ask("/all")
            first = await asyncio.gather(ask_many(one, request, 1), ask_many(two, request, 1))
            count = sum(map(passed, first))
            both = await asyncio.gather(ask_many(one, request, 30), ask_many(two, request, 3))
            count += sum(map(passed, both))
            assert passed(both[0]) < 30, "the first has used up its part, the second has most of its own"
            async with asyncio.timeout(DEADLINE_S):
                while count < 40:  # until the reports have moved the rest to the first
                    count += passed(await ask_many(one, request, 1))
            hidden = await send(one, request)
            assert not [name for name in hidden.headers if "ratelimit" in name or "retry" in name]
            # The limit, and what passed at each gateway while its first lease was on its way.
            count += passed(await ask_many(one, request, 5)) + passed(await ask_many(two, request, 5))
            assert 40 <= count <= 42

    asyncio.run(play())


def test_each_identity_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async def play() -> None:
        async with gateways(MANIFESTS, tmp_path) as (port,):
            answer = await refused_once(port, Ask("/each", headers=ADA))
            assert (answer.status, answer.message) == (420, "Enough, %d")
            assert answer.header("ratelimit-remaining") == "0"
            assert 1 <= int(answer.header("retry-after") or "") <= 60
            assert answer.header("ratelimit-reset") == answer.header("retry-after")
            bob = await send(port, Ask("/each", headers=BOB))
            assert bob.reached
            assert bob.header("x-ratelimit-limit-minute") == "3"
            assert bob.header("x-ratelimit-limit-hour") == "100"
            assert bob.header("x-ratelimit-remaining-minute") is None
            assert (await refused_once(port, Ask("/tenant", headers=(("x-tenant", "a"),)))).status == 429
            assert (await send(port, Ask("/tenant", headers=(("x-tenant", "b"),)))).reached
            assert (await refused_once(port, Ask("/tenant"))).message == "API rate limit exceeded"
            # A value that no name can have counts by address, and breaks nobody's count.
            assert not (await send(port, Ask("/tenant", headers=(("x-tenant", "\xff"),)))).reached
            assert (await send(port, Ask("/tenant", headers=(("x-tenant", "c"),)))).reached
            refusal = await refused_once(port, Ask("/path/one?x=1"))
            assert refusal.status == 429
            assert 1 <= int(refusal.header("retry-after") or "") <= 86400
            assert refusal.header("x-ratelimit-limit-day") == "1"
            assert not (await send(port, Ask("/path/one", source="127.0.0.9"))).reached
            assert (await send(port, Ask("/path/two", source="127.0.0.9"))).reached

    asyncio.run(play())


def test_strict_limits_let_nothing_pass_without_a_lease(tmp_path: Path) -> None:
    async def play() -> None:
        async with gateways(MANIFESTS, tmp_path) as (port,):
            request = Ask("/strict")
            assert not (await send(port, request)).reached, "it asks for a lease"
            async with asyncio.timeout(DEADLINE_S):
                while not (await send(port, request)).reached:
                    pass
            assert passed(await ask_many(port, request, 10)) == 4

    asyncio.run(play())


def test_where_nobody_lends(tmp_path: Path) -> None:
    async def play() -> None:
        async with gateways(MANIFESTS, tmp_path, service=False) as (port,):
            assert passed(await ask_many(port, Ask("/all"), 50)) == 50, "fault_tolerant: true"
            assert passed(await ask_many(port, Ask("/strict"), 5)) == 0, "fault_tolerant: false"

    asyncio.run(play())
