"""Sessions outside of cookies: `redis`, and its spelling until Kong 3.8 (`session_redis_*`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.secret import Secret
from meshgate.dialects.kong.plugins.config import Config, Line, Report, Word
from meshgate.dialects.kong.plugins.redis import Milliseconds, Port, RedisConfig, record_values
from meshgate.dialects.schema import Items, SecretText, show
from meshgate.model.policies.limits import RedisTarget
from meshgate.model.policies.session_store import Node, RedisSentinel, SessionsInRedis

Count = Annotated[int, Field(ge=0)]


class RedisNode(Config):
    """One of a cluster."""

    ip: Word = "127.0.0.1"
    host: Word = "127.0.0.1"
    port: Port = 6379


class SessionRedis(RedisConfig):
    """Kong's record."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"cloud_authentication": "Redis is asked with a password"}

    prefix: Line | None = None
    socket: Line | None = None
    connect_timeout: Milliseconds | None = None
    read_timeout: Milliseconds | None = None
    send_timeout: Milliseconds | None = None
    cluster_nodes: Items[RedisNode] | None = None
    cluster_addresses: Items[Line] | None = None
    cluster_max_redirections: Count | None = None
    sentinel_addresses: Items[Line] | None = None
    sentinel_nodes: Items[RedisNode] | None = None
    sentinel_master: Word | None = None
    sentinel_role: Word | None = None
    sentinel_username: Word | None = None
    sentinel_password: SecretText | None = None
    keepalive_pool_size: Count | None = None
    keepalive_backlog: Count | None = None
    connection_is_proxied: bool | None = None


class FlatSessionRedis(Config):
    """The old spelling."""

    redis: SessionRedis | None = None
    session_redis_host: Word | None = None
    session_redis_port: Port | None = None
    session_redis_prefix: Line | None = None
    session_redis_socket: Line | None = None
    session_redis_connect_timeout: Milliseconds | None = None
    session_redis_read_timeout: Milliseconds | None = None
    session_redis_send_timeout: Milliseconds | None = None
    session_redis_username: Word | None = None
    session_redis_password: SecretText | None = None
    session_redis_ssl: bool | None = None
    session_redis_ssl_verify: bool | None = None
    session_redis_server_name: Word | None = None
    session_redis_cluster_nodes: Items[RedisNode] | None = None
    session_redis_cluster_max_redirections: Count | None = None


_NO_EFFECT = {
    "cluster_max_redirections": "up to five redirections are followed",
    "keepalive_pool_size": "up to 32 connections are kept",
    "keepalive_backlog": "who finds all connections busy waits up to the timeout",
    "connection_is_proxied": "Redis is asked in the same way",
}
_DEFAULTS = {"cluster_max_redirections": 5, "keepalive_pool_size": 256, "connection_is_proxied": False}
"""Kong's own, which its exports hold."""
_ADDRESS = re.compile(r"(.+):([0-9]{1,5})")
_TIMEOUTS = ("timeout", "connect_timeout", "read_timeout", "send_timeout")


def lower_session_store(config: FlatSessionRedis, report: Report, *, wanted: bool) -> SessionsInRedis | None:
    """Where sessions are kept; None where `wanted` is false. Old names are MG2104, contradictions MG2103."""
    values = record_values(config, config.redis, "session_redis_", SessionRedis.model_fields, report)
    if not wanted:
        return None
    if values.get("socket"):
        report.error("MG1104", ("redis", "socket"), "a Unix socket is not supported")
    for name, message in _NO_EFFECT.items():
        if name in values and values[name] != _DEFAULTS.get(name):
            report.warn("MG1103", ("redis", name), message)
    timeouts = [value for name in _TIMEOUTS if isinstance(value := values.get(name), int)]
    target = {
        name: values[name]
        for name in ("port", "username", "password", "database", "ssl", "ssl_verify", "server_name")
        if name in values
    }
    return SessionsInRedis(
        redis=RedisTarget(  # each was checked as a field above
            host=str(values.get("host", "127.0.0.1")),
            timeout_ms=max(timeouts, default=2000),
            **target,  # type: ignore[arg-type]
        ),
        sentinel=_sentinel(values, report),
        cluster=_cluster(values, report),
        prefix=str(values.get("prefix", "sessions")),
    )


def _sentinel(values: Mapping[str, object], report: Report) -> RedisSentinel | None:
    nodes = (*_nodes(values, "sentinel_nodes", "host"), *_addresses(values, "sentinel_addresses", report))
    master, role = values.get("sentinel_master"), values.get("sentinel_role", "master")
    if not nodes and not master:
        for name in ("sentinel_role", "sentinel_username", "sentinel_password"):
            if values.get(name):
                report.warn("MG1103", ("redis", name), "there is no Redis Sentinel")
        return None
    if not nodes or not master:
        missing = "sentinel_master" if nodes else "sentinel_nodes"
        report.error("MG2103", ("redis", missing), "is required for Redis Sentinel")
        return None
    if role != "master":
        report.warn("MG1103", ("redis", "sentinel_role"), "sessions are written, so the master is asked")
    password = values.get("sentinel_password")
    return RedisSentinel(
        nodes=nodes,
        master=str(master),
        username=str(values.get("sentinel_username") or ""),
        password=password if isinstance(password, Secret) else None,
    )


def _cluster(values: Mapping[str, object], report: Report) -> tuple[Node, ...]:
    nodes = (*_nodes(values, "cluster_nodes", "ip"), *_addresses(values, "cluster_addresses", report))
    if nodes and (values.get("sentinel_nodes") or values.get("sentinel_addresses")):
        report.error("MG2103", ("redis",), "must be a cluster or be found by Sentinel, not both")
    if nodes and values.get("database"):
        report.error("MG2103", ("redis", "database"), "must be 0: a cluster has no others")
    return nodes


def _nodes(values: Mapping[str, object], name: str, address: str) -> tuple[Node, ...]:
    given = values.get(name)
    nodes = given if isinstance(given, tuple) else ()
    return tuple((getattr(node, address), node.port) for node in nodes)


def _addresses(values: Mapping[str, object], name: str, report: Report) -> Iterator[Node]:
    """The spelling until Kong 3.8: `host:port`."""
    given = values.get(name)
    for i, text in enumerate(given if isinstance(given, tuple) else ()):
        found = _ADDRESS.fullmatch(text)
        if found is None or not 1 <= int(found[2]) <= 65535:
            report.error("MG2103", ("redis", name, i), f"must be HOST:PORT, got {show(text)}")
        else:
            yield found[1].strip("[]"), int(found[2])
