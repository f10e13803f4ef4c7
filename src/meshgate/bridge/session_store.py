"""Sessions in Redis: under a hash of the id that the cookie holds, sealed by whoever keeps them there.

So neither a copy of the database nor its administrator can be anybody: the content wants the secret, and
a cookie wants the id, which is not in Redis.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from redis.asyncio import Redis
from redis.exceptions import RedisError

from meshgate.model.policies.limits import RedisTarget
from meshgate.model.policies.session_store import SessionsInRedis
from meshgate.stores.redis_client import connect

MAX_BYTES = 256 * 1024
"""A larger session is refused."""
_CONNECTIONS = 32
_LONGEST_S = 400 * 86_400
"""Of a session without any end."""


class StoreError(Exception):
    """The sessions cannot be asked for; the message names a kind of failure alone."""


class RedisClients:
    """One client for each Redis, whatever the configuration is by then."""

    def __init__(self) -> None:
        self._clients: dict[RedisTarget, Redis] = {}

    def get(self, target: RedisTarget, places: Mapping[str, str]) -> Redis:
        """The client of a Redis, which may be a service of ours."""
        host, _, port = places.get(f"{target.host}:{target.port}", "").rpartition(":")
        if host:
            named = target.server_name or (target.host if target.ssl else "")
            target = replace(target, host=host, port=int(port), server_name=named)
        if target not in self._clients:
            self._clients[target] = connect(target, connections=_CONNECTIONS, waits=True)
        return self._clients[target]

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._clients.values():
            await client.aclose()
            await client.connection_pool.disconnect()
        self._clients.clear()


class SessionStore:
    """Sessions of one plugin's settings. Every method raises `StoreError` within the Redis' timeout."""

    def __init__(self, settings: SessionsInRedis, clients: RedisClients, places: Mapping[str, str]) -> None:
        self._prefix = settings.prefix
        self._client = clients.get(settings.redis, places)

    async def get(self, id: str) -> str | None:
        """What is kept; None where there is nothing any more."""
        try:
            found = await self._client.get(self._key(id))
        except (RedisError, OSError, TimeoutError) as error:
            raise _failure(error) from error
        return found.decode("latin-1") if isinstance(found, bytes) and len(found) <= MAX_BYTES else None

    async def put(self, id: str, content: str, lasts_s: float | None, *, new: bool) -> bool:
        """Keeps it for so long (None: as long as possible). What is not `new` must still be there: a
        request that was on its way when somebody logged out must not bring the session back."""
        if len(content) > MAX_BYTES:
            raise StoreError("the session is too large")
        seconds = _LONGEST_S if lasts_s is None else max(1, ceil(lasts_s))
        try:
            kept = await self._client.set(self._key(id), content, ex=seconds, nx=new, xx=not new)
        except (RedisError, OSError, TimeoutError) as error:
            raise _failure(error) from error
        return bool(kept)

    async def end(self, id: str) -> None:
        """Nobody is known by it any more, at no gateway."""
        try:
            await self._client.delete(self._key(id))
        except (RedisError, OSError, TimeoutError) as error:
            raise _failure(error) from error

    def _key(self, id: str) -> str:
        return f"{self._prefix}:{hashlib.sha256(id.encode()).hexdigest()}"


def _failure(error: Exception) -> StoreError:
    return StoreError(f"the store of sessions cannot be asked: {type(error).__name__}")
