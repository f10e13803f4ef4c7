"""Sessions in a real Redis: a session that has ended is not brought back by a request on its way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from meshgate.bridge.session_store import RedisClients, SessionStore, StoreError
from meshgate.model.policies.limits import RedisTarget
from meshgate.model.policies.session_store import SessionsInRedis
from tests.redis_server import find_redis_server, free_port, redis_server

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(find_redis_server() is None, reason="no redis-server"),
]


def test_what_has_ended_stays_ended(tmp_path: Path) -> None:
    async def run(port: int) -> None:
        clients = RedisClients()
        target = RedisTarget(host="sessions.shop", port=1)
        store = SessionStore(SessionsInRedis(redis=target), clients, {"sessions.shop:1": f"127.0.0.1:{port}"})
        try:
            assert await store.put("id", "one", 60, new=True)
            assert await store.get("id") == "one"
            assert not await store.put("id", "other", 60, new=True)
            assert await store.put("id", "two", None, new=False)
            await store.end("id")
            assert not await store.put("id", "three", 60, new=False)
            assert await store.get("id") is None
            with pytest.raises(StoreError, match="too large"):
                await store.put("id", "x" * 300_000, 60, new=True)
        finally:
            await clients.close()

    with redis_server(tmp_path) as redis:
        asyncio.run(run(redis.port))


def test_no_redis(tmp_path: Path) -> None:
    async def run() -> None:
        clients = RedisClients()
        store = SessionStore(
            SessionsInRedis(redis=RedisTarget(host="127.0.0.1", port=free_port(), timeout_ms=500)),
            clients,
            {},
        )
        for call in (store.get("id"), store.end("id"), store.put("id", "x", 1, new=True)):
            with pytest.raises(StoreError, match=r"^the store of sessions cannot be asked: \w+$"):
                await call
        await clients.close()

    asyncio.run(run())
