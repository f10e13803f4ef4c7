"""A redis-py connection pool for a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool, Connection, ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from meshgate.model.policy import RedisTarget


class _NamedSSLConnection(SSLConnection):
    """TLS to a server whose certificate names it otherwise than the address does."""

    def __init__(self, *, tls_server_name: str, **kwargs: Any) -> None:
        self._tls_server_name = tls_server_name
        super().__init__(**kwargs)

    def _connection_arguments(self) -> Mapping[str, Any]:
        # redis-py 8.1 has no option for SNI; what this returns goes to asyncio.open_connection.
        return {**super()._connection_arguments(), "server_hostname": self._tls_server_name}


def connect(target: RedisTarget, *, connections: int = 4, waits: bool = False) -> Redis:
    """A client that opens connections when it is used, so many at the most.

    `waits`: who finds them all busy waits for one, up to the target's timeout; else that is an error.

    A command is tried again once where its connection turns out closed (Redis was restarted
    while the connection was idle), never after a timeout.
    """
    seconds = target.timeout_ms / 1000
    options: dict[str, Any] = {
        "host": target.host,
        "port": target.port,
        "db": target.database,
        "username": target.username or None,
        "password": target.password.reveal_text() if target.password else None,
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "protocol": 2,
        "max_connections": connections,
    }
    kind = BlockingConnectionPool if waits else ConnectionPool
    if waits:
        options["timeout"] = seconds
    if not target.ssl:
        return Redis(connection_pool=kind(connection_class=Connection, **options))
    options |= {
        "ssl_cert_reqs": "required" if target.ssl_verify else "none",
        "ssl_check_hostname": target.ssl_verify,
        "tls_server_name": target.server_name or target.host,
    }
    return Redis(connection_pool=kind(connection_class=_NamedSSLConnection, **options))
