"""Sessions in Redis: under a hash of the id that the cookie holds, sealed by whoever keeps them there.

So neither a copy of the database nor its administrator can be anybody: the content wants the secret, and
a cookie wants the id, which is not in Redis.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from meshgate.model.policies.session_store import Node, SessionsInRedis
from meshgate.stores.redis_client import connect, connect_by_sentinel, disconnect
from meshgate.stores.redis_cluster import Command, RedisCluster

MAX_BYTES = 256 * 1024
"""A larger session is refused."""
_CONNECTIONS = 32
_LONGEST_S = 400 * 86_400
"""Of a session without any end."""


class StoreError(Exception):
    """The sessions cannot be asked for; the message names a kind of failure alone."""


@dataclass(frozen=True, slots=True)
class _OneRedis:
    """One server, or the one that is the master."""

    redis: Redis
    by_sentinel: bool

    async def ask(self, key: str, command: Command) -> object:
        try:
            return await command(self.redis)
        except RedisConnectionError:
            if not self.by_sentinel:
                raise
            # It has tried again where it was (redis-py 8.1): only a new connection asks who is the master.
            return await command(self.redis)

    async def close(self) -> None:
        await disconnect(self.redis)


@dataclass(frozen=True, slots=True)
class Shared:
    """A client, and who may use it at a time: one more waits."""

    redis: _OneRedis | RedisCluster
    turns: asyncio.Semaphore


class RedisClients:
    """One client for each Redis, whatever the configuration is by then."""

    def __init__(self) -> None:
        self._clients: dict[SessionsInRedis, Shared] = {}

    def get(self, settings: SessionsInRedis, places: Mapping[str, str]) -> Shared:
        """The client of a Redis, whose servers may be services of ours."""

        def where(node: Node) -> Node:
            host, _, port = places.get(f"{node[0]}:{node[1]}", "").rpartition(":")
            return (host, int(port)) if host else node

        redis, several = settings.redis, bool(settings.sentinel or settings.cluster)
        named = redis.server_name or (redis.host if redis.ssl and not several else "")
        found = replace(settings, redis=replace(redis, server_name=named), prefix="").at(where)
        if found not in self._clients:
            self._clients[found] = Shared(_connect(found), asyncio.Semaphore(_CONNECTIONS))
        return self._clients[found]

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._clients.values():
            await client.redis.close()
        self._clients.clear()


def _connect(settings: SessionsInRedis) -> _OneRedis | RedisCluster:
    target = settings.redis
    if settings.cluster:
        return RedisCluster(target, settings.cluster, connections=_CONNECTIONS)
    if settings.sentinel is None:
        return _OneRedis(connect(target, connections=_CONNECTIONS), by_sentinel=False)
    client = connect_by_sentinel(target, settings.sentinel, connections=_CONNECTIONS)
    return _OneRedis(client, by_sentinel=True)


class SessionStore:
    """Sessions of one plugin's settings. Every method raises `StoreError` within the Redis' timeout."""

    def __init__(self, settings: SessionsInRedis, clients: RedisClients, places: Mapping[str, str]) -> None:
        self._prefix = settings.prefix
        self._timeout_s = settings.redis.timeout_ms / 1000
        self._shared = clients.get(settings, places)

    async def get(self, id: str) -> str | None:
        """What is kept; None where there is nothing any more."""
        key = self._key(id)
        found = await self._ask(key, lambda redis: redis.get(key))
        return found.decode("latin-1") if isinstance(found, bytes) and len(found) <= MAX_BYTES else None

    async def put(self, id: str, content: str, lasts_s: float | None, *, new: bool) -> bool:
        """Keeps it for so long (None: as long as possible). What is not `new` must still be there: a
        request that was on its way when somebody logged out must not bring the session back."""
        if len(content) > MAX_BYTES:
            raise StoreError("the session is too large")
        seconds = _LONGEST_S if lasts_s is None else max(1, ceil(lasts_s))
        key = self._key(id)
        kept = await self._ask(key, lambda redis: redis.set(key, content, ex=seconds, nx=new, xx=not new))
        return bool(kept)

    async def end(self, id: str) -> None:
        """Nobody is known by it any more, at no gateway."""
        key = self._key(id)
        await self._ask(key, lambda redis: redis.delete(key))

    async def _ask(self, key: str, command: Command) -> object:
        """What it gives; it ends within the timeout, however many servers are asked."""
        try:
            async with asyncio.timeout(self._timeout_s), self._shared.turns:
                return await self._shared.redis.ask(key, command)
        except (RedisError, OSError, TimeoutError) as error:
            raise _failure(error) from error

    def _key(self, id: str) -> str:
        return f"{self._prefix}:{hashlib.sha256(id.encode()).hexdigest()}"


def _failure(error: Exception) -> StoreError:
    return StoreError(f"the store of sessions cannot be asked: {type(error).__name__}")
