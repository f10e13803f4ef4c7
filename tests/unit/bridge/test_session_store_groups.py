"""Sessions in Redis that Sentinel watches, and in a Redis Cluster: real ones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from meshgate.bridge.session_store import RedisClients, SessionStore, StoreError
from meshgate.core.secret import Secret
from meshgate.core.typed_json import dump, load
from meshgate.model.policies.limits import RedisTarget
from meshgate.model.policies.session_store import RedisSentinel, SessionsInRedis
from tests.redis_groups import cluster_of_three, steps_of_a_move, watched_by_sentinel
from tests.redis_server import find_redis_server, free_port

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(find_redis_server() is None, reason="no redis-server"),
]
PASSWORD = "demo-only"


def _with_store(
    settings: SessionsInRedis, places: dict[str, str], use: Callable[[SessionStore], Awaitable[None]]
) -> None:
    async def run() -> None:
        clients = RedisClients()
        try:
            await use(SessionStore(settings, clients, places))
        finally:
            await clients.close()

    asyncio.run(run())


def test_the_master_is_found_again_when_it_is_another(tmp_path: Path) -> None:
    with watched_by_sentinel(tmp_path, PASSWORD) as redis:
        settings = SessionsInRedis(
            redis=RedisTarget(host="127.0.0.1", password=Secret(PASSWORD.encode()), timeout_ms=20_000),
            # The first does not answer; the second is a service of ours.
            sentinel=RedisSentinel(
                nodes=(("127.0.0.1", free_port()), ("sentinels.shop", 26379)), master="shop"
            ),
        )

        async def use(store: SessionStore) -> None:
            assert await store.put("id", "one", 60, new=True)
            assert redis.master.command("WAIT", "1", "20000") == b":1\r\n"
            await asyncio.to_thread(redis.fail_over)
            # The connection to the old master is still there, and it takes nothing any more.
            assert await store.put("id", "two", 60, new=False)
            assert await store.get("id") == "two"
            await store.end("id")
            assert await store.get("id") is None

        _with_store(settings, {"sentinels.shop:26379": f"127.0.0.1:{redis.sentinel.port}"}, use)


def test_nobody_knows_the_master(tmp_path: Path) -> None:
    settings = SessionsInRedis(
        redis=RedisTarget(host="127.0.0.1", timeout_ms=2_000),
        sentinel=RedisSentinel(
            nodes=(("127.0.0.1", free_port()),), master="shop", password=Secret(PASSWORD.encode())
        ),
    )

    async def use(store: SessionStore) -> None:
        with pytest.raises(StoreError, match=r"^the store of sessions cannot be asked: \w+$"):
            await store.get("id")

    _with_store(settings, {}, use)


def test_a_cluster(tmp_path: Path) -> None:
    with cluster_of_three(tmp_path) as nodes:
        settings = SessionsInRedis(
            redis=RedisTarget(host="127.0.0.1", timeout_ms=20_000),
            cluster=(("127.0.0.1", free_port()), ("sessions.shop", 6379)),
        )

        async def use(store: SessionStore) -> None:
            ids = [f"id-{number}" for number in range(30)]
            assert all(await asyncio.gather(*(store.put(one, one, 60, new=True) for one in ids)))
            assert list(await asyncio.gather(*map(store.get, ids))) == ids
            kept = [int(node.command("DBSIZE").strip(b":\r\n")) for node in nodes]
            assert sum(kept) == len(ids)
            assert all(kept)
            await store.end(ids[0])
            assert not await store.put(ids[0], "back", 60, new=False)
            for step in steps_of_a_move(nodes, f"sessions:{sha256(b'id-1').hexdigest()}"):
                await asyncio.to_thread(step)
                # Told of another node, first for this key alone, then for good.
                assert await store.get("id-1") == "id-1"
                assert await store.put("id-1", "id-1", 60, new=False)
            left = int(nodes[2].command("DBSIZE").strip(b":\r\n"))
            nodes[2].kill()
            answers = await asyncio.gather(*map(store.get, ids[1:]), return_exceptions=True)
            assert sum(isinstance(a, StoreError) for a in answers) == left
            assert 0 < left < len(answers)

        _with_store(settings, {"sessions.shop:6379": f"127.0.0.1:{nodes[0].port}"}, use)


def test_no_cluster(tmp_path: Path) -> None:
    settings = SessionsInRedis(
        redis=RedisTarget(host="127.0.0.1", timeout_ms=2_000), cluster=(("127.0.0.1", free_port()),)
    )

    async def use(store: SessionStore) -> None:
        with pytest.raises(StoreError, match=r"^the store of sessions cannot be asked: \w+$"):
            await store.end("id")

    _with_store(settings, {}, use)


@contextmanager
def _silent() -> Iterator[tuple[str, int]]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        yield listening.getsockname()[:2]


def test_a_silent_node_leaves_time_for_the_others(tmp_path: Path) -> None:
    target = RedisTarget(host="127.0.0.1", timeout_ms=9_000)

    async def use(store: SessionStore) -> None:
        assert await store.put("id", "one", 60, new=True)
        assert await store.get("id") == "one"

    with cluster_of_three(tmp_path) as nodes, _silent() as silent:
        cluster = (silent, (nodes[1].host, nodes[1].port))
        _with_store(SessionsInRedis(redis=target, cluster=cluster), {}, use)
    with watched_by_sentinel(tmp_path, PASSWORD) as redis, _silent() as silent:
        known = replace(target, password=Secret(PASSWORD.encode()))
        at = (silent, (redis.sentinel.host, redis.sentinel.port))
        sentinel = RedisSentinel(nodes=at, master="shop")
        _with_store(SessionsInRedis(redis=known, sentinel=sentinel), {}, use)


def test_the_bridge_is_told_of_them() -> None:
    sentinel = RedisSentinel(nodes=(("a", 1), ("b", 2)), master="shop", password=Secret(PASSWORD.encode()))
    for settings in (
        SessionsInRedis(redis=RedisTarget(host="h"), sentinel=sentinel),
        SessionsInRedis(redis=RedisTarget(host="h"), cluster=(("a", 1),)),
    ):
        assert load(SessionsInRedis, dump(settings)) == settings
