from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from meshgate.core.secret import Secret
from meshgate.model.policy import RedisTarget
from meshgate.ratelimit.counters import Counter, StoreUnavailable, Taken
from meshgate.ratelimit.redis_store import EXPIRY_SLACK_S, RedisStore
from tests.redis_server import RedisServer, redis_server
from tests.unit.ratelimit.asking import until

pytestmark = pytest.mark.redis

NOW = 1_000_000.5
MINUTE = Counter("minute", 3, 1_000_020)
HOUR = Counter("hour", 100, 1_003_000)


def target(redis: RedisServer, timeout_ms: int = 2000, password: str = "") -> RedisTarget:
    return RedisTarget(
        host=redis.host,
        port=redis.port,
        password=Secret.of(password) if password else None,
        timeout_ms=timeout_ms,
    )


@contextlib.asynccontextmanager
async def running(where: RedisTarget) -> AsyncIterator[RedisStore]:
    store = RedisStore(where)
    task = asyncio.create_task(store.run())
    try:
        yield store
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def available(store: RedisStore) -> bool:
    return store.available


def test_all_windows_or_none_and_counters_expire(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with running(target(redis)) as store:
            assert await store.take((MINUTE, HOUR), NOW) == Taken(True, (0, 0))
            assert await store.take((MINUTE,), NOW) == Taken(True, (1,))
            assert await store.take((MINUTE, HOUR), NOW) == Taken(True, (2, 1))
            assert await store.take((MINUTE, HOUR), NOW) == Taken(False, (3, 2))
            assert await store.take((HOUR,), NOW) == Taken(True, (2,))
        ttl = int(redis.command("TTL", "minute")[1:])
        assert 0 < ttl <= 20 + EXPIRY_SLACK_S

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


def test_requests_of_one_batch_are_told_apart(tmp_path: Path) -> None:
    """More than one batch's worth at once, of several counters: each gets its own answer."""
    keys = [f"key{number}" for number in range(7)]

    async def play(redis: RedisServer) -> None:
        async with running(target(redis)) as store:
            asked = [
                (Counter(key, 40, 1_000_100), HOUR) if turn % 2 else (Counter(key, 40, 1_000_100),)
                for turn in range(50)
                for key in keys
            ]
            taken = await asyncio.gather(*(store.take(counters, NOW) for counters in asked))
            for key in keys:
                passed = [
                    outcome.used[0]
                    for counters, outcome in zip(asked, taken, strict=True)
                    if counters[0].key == key and outcome.accepted
                ]
                assert len(passed) <= 40
                assert passed == list(range(len(passed))), "each saw the ones before it"
            assert sum(outcome.accepted for outcome in taken if len(outcome.used) == 2) == 100

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


def test_who_gave_up_before_it_was_sent_is_not_counted(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        store = RedisStore(target(redis))
        given_up = asyncio.create_task(store.take((HOUR,), NOW))
        await asyncio.sleep(0)  # lets it queue up; nobody carries it to Redis yet
        given_up.cancel()
        task = asyncio.create_task(store.run())
        assert await store.take((HOUR,), NOW) == Taken(True, (0,))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


def test_killed_and_restarted(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with running(target(redis)) as store:
            await store.take((HOUR,), NOW)
            redis.kill()
            with pytest.raises(StoreUnavailable):
                await store.take((HOUR,), NOW)
            assert not store.available
            redis.start()
            await until(lambda: available(store))
            assert await store.take((HOUR,), NOW) == Taken(True, (0,)), "an empty Redis, and a new script"

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


def test_a_restart_between_two_requests_goes_unnoticed(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with running(target(redis)) as store:
            await store.take((HOUR,), NOW)
            redis.restart()
            assert await store.take((HOUR,), NOW) == Taken(True, (0,))

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


def test_a_redis_that_hangs_fails_its_requests_and_then_everybody_at_once(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with running(target(redis, timeout_ms=100)) as store:
            await store.take((HOUR,), NOW)
            redis.freeze()
            outcomes = await asyncio.gather(
                *(store.take((HOUR,), NOW) for _ in range(20)), return_exceptions=True
            )
            assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
            # Fails without waiting for Redis: within this very step of the loop.
            late = asyncio.create_task(store.take((HOUR,), NOW))
            await asyncio.sleep(0)
            assert late.done()
            assert isinstance(late.exception(), StoreUnavailable)
            redis.thaw()
            await until(lambda: available(store))
            assert (await store.take((HOUR,), NOW)).accepted

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))


@pytest.mark.parametrize(("password", "works"), [("s3cret", True), ("wr0ng", False), ("", False)])
def test_passwords_open_and_are_never_logged(tmp_path: Path, password: str, works: bool) -> None:
    async def play(redis: RedisServer) -> None:
        async with running(target(redis, password=password)) as store:
            if works:
                assert (await store.take((HOUR,), NOW)).accepted
                return
            with pytest.raises(StoreUnavailable) as caught:
                await store.take((HOUR,), NOW)
            assert "s3cret" not in str(caught.value)

    with redis_server(tmp_path, password="s3cret") as redis, structlog.testing.capture_logs() as logs:
        asyncio.run(play(redis))
    assert bool(logs) != works
    assert not any(word in repr(logs) for word in ("s3cret", "wr0ng"))


def test_a_redis_that_cannot_write_is_not_called_available(tmp_path: Path) -> None:
    async def play(redis: RedisServer) -> None:
        async with running(target(redis)) as store:
            redis.command("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreUnavailable):
                await store.take((HOUR,), NOW)
            redis.command("CONFIG", "SET", "maxmemory", "0")
            await until(lambda: available(store))
            assert (await store.take((HOUR,), NOW)).accepted

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))
