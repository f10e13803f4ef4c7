"""Where sessions are kept that a cookie only names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from meshgate.core.secret import Secret
from meshgate.model.policies.limits import RedisTarget

Node = tuple[str, int]
"""(host, port)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSentinel:
    """Who says which Redis is the master by now."""

    nodes: tuple[Node, ...]
    """Asked in turn."""
    master: str
    """The name that they know it by."""
    username: str = ""
    password: Secret | None = None
    """Of the sentinels themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsInRedis:
    """A Redis that all gateways share."""

    redis: RedisTarget
    """Its host and port count where there is neither `sentinel` nor `cluster`."""
    sentinel: RedisSentinel | None = None
    cluster: tuple[Node, ...] = ()
    """Some nodes of a Redis Cluster, of which one must answer; empty: it is none."""
    prefix: str = "sessions"
    """Of the keys, before a colon."""

    @property
    def servers(self) -> tuple[Node, ...]:
        """Who is asked first."""
        nodes = self.sentinel.nodes if self.sentinel else self.cluster
        return nodes or ((self.redis.host, self.redis.port),)

    def at(self, where: Callable[[Node], Node]) -> SessionsInRedis:
        """The same with these at other addresses."""
        nodes = tuple(map(where, self.servers))
        if self.sentinel is not None:
            return replace(self, sentinel=replace(self.sentinel, nodes=nodes))
        if self.cluster:
            return replace(self, cluster=nodes)
        host, port = nodes[0]
        return replace(self, redis=replace(self.redis, host=host, port=port))
