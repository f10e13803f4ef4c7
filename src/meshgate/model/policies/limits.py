"""Policies that count: how much of something, in which windows, and where the counters are."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret


class LimitBy(enum.Enum):
    CONSUMER = "consumer"
    CREDENTIAL = "credential"
    IP = "ip"
    SERVICE = "service"
    HEADER = "header"
    PATH = "path"


class LimitStore(enum.Enum):
    LOCAL = "local"
    """Each gateway counts for itself, in Envoy."""
    REDIS = "redis"
    """One exact count for all gateways."""
    QUOTA = "quota"
    """One limit for all gateways, each of which is lent a part of it and counts in Envoy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per calendar window; None where there is no limit."""

    second: int | None = None
    minute: int | None = None
    hour: int | None = None
    day: int | None = None
    month: int | None = None
    year: int | None = None

    def windows(self) -> tuple[tuple[str, int], ...]:
        """The limits that are set, shortest window first: `(("minute", 100), ...)`."""
        names = ("second", "minute", "hour", "day", "month", "year")
        return tuple((n, v) for n in names if (v := getattr(self, n)) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTarget:
    host: str
    """A DNS name or address; the name of a Service of ours leads to its pods."""
    port: int = 6379
    username: str = ""
    password: Secret | None = None
    database: int = 0
    ssl: bool = False
    ssl_verify: bool = False
    server_name: str = ""
    timeout_ms: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerLimits:
    """Limits that replace a rule's own for one consumer."""

    consumer_id: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Kong's `rate-limiting`."""

    rule_id: str
    """Names the counter: the same for all rules made of one edge rule."""
    limits: Limits
    store: LimitStore = LimitStore.LOCAL
    limit_by: LimitBy = LimitBy.CONSUMER
    header_name: str = ""
    path: str = ""
    redis: RedisTarget | None = None
    fault_tolerant: bool = True
    hide_client_headers: bool = False
    error_code: int = 429
    error_message: str = "API rate limit exceeded"
    service_id: str = ""
    consumer_limits: tuple[ConsumerLimits, ...] = ()
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLimits:
    """Limits of something that the service counts in a unit of its own."""

    name: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRateLimit:
    """Kong's `response-ratelimiting`: the service says in a header what a request has cost."""

    rule_id: str
    """Names the counters: the same for all rules made of one edge rule."""
    limits: tuple[NamedLimits, ...]
    """Sorted by name; at least one."""
    header_name: str = "x-kong-limit"
    limit_by: LimitBy = LimitBy.CONSUMER
    """CONSUMER, CREDENTIAL or IP."""
    store: LimitStore = LimitStore.LOCAL
    """LOCAL: in the memory of our service."""
    redis: RedisTarget | None = None
    fault_tolerant: bool = True
    block_on_first_violation: bool = False
    hide_client_headers: bool = False
    origin: Origin = BUILT_IN
