"""Clients of Redis: of one, and of whichever is the master."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from meshgate.core.secret import Secret
from meshgate.model.policies.session_store import RedisSentinel
from meshgate.model.policy import RedisTarget


class _NamedSSLConnection(SSLConnection):
    """TLS to a server whose certificate names it otherwise than the address does."""

    def __init__(self, *, tls_server_name: str, **kwargs: Any) -> None:
        self._tls_server_name = tls_server_name
        super().__init__(**kwargs)

    def _connection_arguments(self) -> Mapping[str, Any]:
        # redis-py 8.1 has no option for SNI; what this returns goes to asyncio.open_connection.
        name = self._tls_server_name or self.host
        return {**super()._connection_arguments(), "server_hostname": name}


class _SentinelSSLConnection(SentinelManagedConnection, _NamedSSLConnection):
    """The same to whoever is the master."""


def connect(target: RedisTarget, *, connections: int = 4) -> Redis:
    """A client that opens connections when it is used, so many at the most.

    A command is tried again once where its connection turns out closed (Redis was restarted
    while the connection was idle), never after a timeout.
    """
    options = {
        "host": target.host,
        "port": target.port,
        "db": target.database,
        "max_connections": connections,
        **_login(target.username, target.password),
        **_patience(target),
    }
    if not target.ssl:
        return Redis(connection_pool=ConnectionPool(connection_class=Connection, **options))
    options |= {**_tls(target), "tls_server_name": target.server_name or target.host}
    return Redis(connection_pool=ConnectionPool(connection_class=_NamedSSLConnection, **options))


def connect_by_sentinel(target: RedisTarget, sentinel: RedisSentinel, *, connections: int) -> Redis:
    """A client of the Redis that the sentinels call the master, whichever that is when it connects."""
    tls = {"ssl": True, **_tls(target)} if target.ssl else {}
    # One that is silent must not use up the time of the others.
    share = replace(target, timeout_ms=max(1, target.timeout_ms // (len(sentinel.nodes) + 1)))
    found = Sentinel(  # type: ignore[no-untyped-call]  # redis-py 8.1
        sentinel.nodes,
        sentinel_kwargs={**_login(sentinel.username, sentinel.password), **_patience(share), **tls},
    )
    options = {
        "db": target.database,
        "max_connections": connections,
        **_login(target.username, target.password),
        **_patience(target),
    }
    if target.ssl:
        named = {"tls_server_name": target.server_name}
        options |= {"connection_class": _SentinelSSLConnection, **_tls(target), **named}
    client: Redis = found.master_for(sentinel.master, **options)
    return client


async def disconnect(client: Redis) -> None:
    """Ends all connections of a client, those to sentinels too."""
    await client.aclose()
    pool = client.connection_pool
    await pool.disconnect()
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _login(username: str, password: Secret | None) -> dict[str, Any]:
    return {"username": username or None, "password": password.reveal_text() if password else None}


def _patience(target: RedisTarget) -> dict[str, Any]:
    seconds = target.timeout_ms / 1000
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "protocol": 2,
    }


def _tls(target: RedisTarget) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": "required" if target.ssl_verify else "none",
        "ssl_check_hostname": target.ssl_verify,
    }
