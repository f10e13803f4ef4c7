"""Kong's response-ratelimiting against a real Envoy: the service says what an answer has cost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, plugin, route, send
from tests.envoy.limits_edge import gateways
from tests.redis_server import RedisServer, redis_server
from tests.simulate.live import Serving

pytestmark = [pytest.mark.envoy, pytest.mark.redis]


def costing(cluster: str) -> Serving:
    """A service that costs what the request's `x-cost` says, and shows the request's headers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                told = json.dumps(headers).encode()
                cost = f"X-Kong-Limit: {headers['x-cost']}\r\n" if "x-cost" in headers else ""
                reply = (
                    f"HTTP/1.1 200 OK\r\nx-reached: {cluster}\r\n{cost}content-length: {len(told)}\r\n\r\n"
                )
                writer.write(reply.encode() + told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return answer


def manifests(redis: RedisServer) -> str:
    away = "redis: {host: 127.0.0.1, port: 1, timeout: 200}"
    shared = f"policy: redis, redis: {{host: 127.0.0.1, port: {redis.port}}}"
    return (
        plugin("key", "key-auth", "{}")
        + plugin("cost", "response-ratelimiting", "{limits: {video: {minute: 5, hour: 50}, sms: {day: 2}}}")
        + plugin(
            "hidden", "response-ratelimiting", "{hide_client_headers: true, limits: {video: {minute: 1}}}"
        )
        + plugin(
            "block", "response-ratelimiting", "{block_on_first_violation: true, limits: {video: {minute: 1}}}"
        )
        + plugin(
            "redis", "response-ratelimiting", f"{{{shared}, limit_by: ip, limits: {{video: {{day: 4}}}}}}"
        )
        + plugin("away", "response-ratelimiting", f"{{policy: redis, {away}, limits: {{video: {{day: 4}}}}}}")
        + plugin(
            "strict",
            "response-ratelimiting",
            f"{{policy: redis, {away}, fault_tolerant: false, limits: {{video: {{day: 4}}}}}}",
        )
        + route("cost", "key", "cost")
        + "".join(route(name, name) for name in ("hidden", "block", "redis", "away", "strict"))
        + consumer("ada", {"ada-key": ("key-auth", {"key": "ada-key"})})
        + consumer("bob", {"bob-key": ("key-auth", {"key": "bob-key"})})
    )


def limits(answer: Answer) -> dict[str, str]:
    return {
        name.removeprefix("x-ratelimit-"): value[0]
        for name, value in answer.headers.items()
        if name.startswith("x-ratelimit-")
    }


def left(answer: Answer) -> dict[str, str]:
    """What the service was told."""
    assert answer.reached, (answer.status, answer.body)
    start = "x-ratelimit-remaining-"
    seen = json.loads(answer.body)
    return {name.removeprefix(start): seen[name] for name in sorted(seen) if name.startswith(start)}


def ask(path: str, cost: str = "", key: str = "ada-key", source: str = "127.0.0.1") -> Ask:
    headers = (("apikey", key), *((("x-cost", cost),) if cost else ()))
    return Ask(path, headers=headers, source=source)


async def counting_in_memory(port: int) -> None:
    first = await send(port, ask("/cost", "video=2, sms = 1"))
    assert left(first) == {"sms": "2", "video": "5"}
    assert limits(first) == {
        "limit-video-minute": "5",
        "remaining-video-minute": "3",
        "limit-video-hour": "50",
        "remaining-video-hour": "48",
        "limit-sms-day": "2",
        "remaining-sms-day": "1",
    }
    assert first.header("x-kong-limit") is None
    free = await send(port, ask("/cost", "other=3, video, video=x"))
    assert left(free) == {"sms": "1", "video": "3"}
    assert limits(free)["remaining-video-minute"] == "3"
    # The one that goes beyond still passes; what comes then has nothing left to take from.
    beyond = await send(port, ask("/cost", "video=4"))
    assert left(beyond)["video"] == "3"
    assert limits(beyond)["remaining-video-minute"] == "0"
    refused = await send(port, ask("/cost", "video=1"))
    assert (refused.status, refused.body, refused.reached) == (429, "", False)
    assert limits(refused)["remaining-video-minute"] == "0"
    assert refused.header("x-kong-limit") is None
    without = await send(port, ask("/cost"))
    assert left(without) == {"sms": "1", "video": "-1"}, "what costs nothing passes"
    other = await send(port, ask("/cost", "sms=1", "bob-key"))
    assert left(other) == {"sms": "2", "video": "5"}
    assert not limits(await send(port, ask("/cost", "video=1", "nobody"))), "no limit for who is refused"


async def counting_in_redis(ports: tuple[int, ...]) -> None:
    one, two = ports
    assert left(await send(one, ask("/redis", "video=3"))) == {"video": "4"}
    second = await send(two, ask("/redis", "video=1"))
    assert left(second) == {"video": "1"}
    assert limits(second) == {"limit-video-day": "4", "remaining-video-day": "0"}
    assert (await send(one, ask("/redis", "video=1"))).status == 429
    assert left(await send(one, ask("/redis", source="127.0.0.7"))) == {"video": "4"}


def test_costs(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with gateways(manifests(redis), tmp_path, 2, answering=costing) as ports:
            await counting_in_memory(ports[0])
            await counting_in_redis(ports)
            port = ports[0]
            assert not limits(await send(port, ask("/hidden", "video=1")))
            hidden = await send(port, ask("/hidden", "video=1"))
            assert (hidden.status, limits(hidden)) == (429, {})
            assert (await send(port, ask("/block", "video=1"))).reached
            blocked = await send(port, ask("/block"))
            assert (blocked.status, blocked.message) == (429, "API rate limit exceeded for 'video'")
            for _ in range(2):  # Redis cannot be reached, and is known to be away
                assert left(await send(port, ask("/away", "video=1"))) == {}
                strict = await send(port, ask("/strict", "video=1"))
                assert (strict.status, strict.message) == (500, "An unexpected error occurred")

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


def test_nobody_counts(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with gateways(manifests(redis), tmp_path, service=False, answering=costing) as (port,):
            assert (await send(port, ask("/cost", "video=9"))).reached
            strict = await send(port, ask("/strict", "video=1"))
            assert (strict.status, strict.message) == (500, "An unexpected error occurred")

    asyncio.run(play(RedisServer(tmp_path)))


def _member(name: str, plugin: str) -> str:
    written = consumer(name, {f"{name}-key": ("key-auth", {"key": f"{name}-key"})})
    return written.replace("class: kong", f"class: kong, konghq.com/plugins: {plugin}")


def _cost(name: str, limit: int) -> str:
    return plugin(name, "response-ratelimiting", f"{{limits: {{video: {{minute: {limit}}}}}}}")


def test_costs_of_one_consumer(tmp_path: Path) -> None:
    text = (
        plugin("key", "key-auth", "{}")
        + _cost("for-all", 50)
        + _cost("for-ada", 3)
        + _cost("for-bob-here", 2)
        + route("limited", "key", "for-all", "for-bob-here")
        + route("free", "key")
        + _member("ada", "for-ada")
        + _member("bob", "for-bob-here")
        + consumer("cat", {"cat-key": ("key-auth", {"key": "cat-key"})})
    )

    async def body() -> None:
        async with gateways(text, tmp_path, answering=costing) as (port,):
            # Of a consumer alone there is one count on all routes.
            assert left(await send(port, ask("/limited", "video=1"))) == {"video": "3"}
            assert left(await send(port, ask("/free", "video=2"))) == {"video": "2"}
            assert (await send(port, ask("/limited", "video=1"))).status == 429
            assert (await send(port, ask("/free", "video=1"))).status == 429
            # With a route it is for the two together.
            bob = [await send(port, ask("/limited", "video=2", "bob-key")) for _ in range(2)]
            assert (left(bob[0]), bob[1].status) == ({"video": "2"}, 429)
            assert limits(bob[0]) == {"limit-video-minute": "2", "remaining-video-minute": "0"}
            assert left(await send(port, ask("/free", "video=2", "bob-key"))) == {}
            # All others have the route's own, or none.
            assert left(await send(port, ask("/limited", "video=2", "cat-key"))) == {"video": "50"}
            assert left(await send(port, ask("/free", "video=2", "cat-key"))) == {}

    asyncio.run(body())
