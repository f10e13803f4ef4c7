"""What to count: one rule per rate-limiting plugin instance. Values only."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from meshgate.core.secret import Secret
from meshgate.ratelimit.windows import Window

DOMAIN = "meshgate"
"""The RLS domain that Envoy's filter names."""


class LimitBy(enum.Enum):
    """Whose requests share a counter; what cannot be found falls back to the client's address."""

    CONSUMER = "consumer"
    CREDENTIAL = "credential"
    IP = "ip"
    SERVICE = "service"
    HEADER = "header"
    PATH = "path"


class Policy(enum.Enum):
    """Where counters live."""

    LOCAL = "local"
    """In this process; each gateway counts for itself."""
    REDIS = "redis"
    """In a Redis that all gateways share; exact across them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTarget:
    """A Redis database and how to reach it. Equal targets share one connection."""

    host: str = ""
    """Name or address; may be empty only where `unix` is set."""
    port: int = 6379
    unix: str = ""
    """Path of a Unix socket; wins over host and port."""
    username: str = ""
    password: Secret | None = None
    database: int = 0
    ssl: bool = False
    ssl_verify: bool = False
    """Whether the certificate and its name are checked, as Kong's default leaves off."""
    server_name: str = ""
    """The name for SNI and the check; `host` where empty."""
    timeout_ms: int = 2000
    """The longest that one request may wait for this Redis, connecting included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests allowed per window; None is no limit. At least one is set, each is > 0."""

    second: int | None = None
    minute: int | None = None
    hour: int | None = None
    day: int | None = None
    month: int | None = None
    year: int | None = None

    def per_window(self) -> tuple[tuple[Window, int], ...]:
        """The windows that have a limit, shorter first."""
        pairs = ((window, getattr(self, window.value)) for window in Window)
        return tuple((window, limit) for window, limit in pairs if limit is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One instance of Kong's rate-limiting plugin."""

    id: str
    """Names the rule in Envoy's descriptor and in counter keys; keep it over edits, or counting restarts."""
    limits: Limits
    limit_by: LimitBy = LimitBy.CONSUMER
    header_name: str = ""
    """For `LimitBy.HEADER`; Envoy sends the header's value, so this is for people who read the file."""
    path: str = ""
    """For `LimitBy.PATH`: the one path, without query, that is counted by itself."""
    service_id: str = ""
    """For `LimitBy.SERVICE`: what the one counter belongs to."""
    policy: Policy = Policy.LOCAL
    redis: RedisTarget | None = None
    """Set where the policy is `Policy.REDIS`."""
    fault_tolerant: bool = True
    """Whether requests pass uncounted while the store is away; otherwise the call fails UNAVAILABLE."""
    hide_client_headers: bool = False
    error_code: int = 429
    error_message: str = "API rate limit exceeded"
    consumer_overrides: Mapping[str, Limits] = field(default_factory=lambda: MappingProxyType({}))
    """By consumer id: the limits of a plugin that is bound to that consumer. They replace `limits`."""

    @property
    def store(self) -> RedisTarget | None:
        """The Redis that counts for this rule; None where this process does."""
        return self.redis if self.policy is Policy.REDIS else None
