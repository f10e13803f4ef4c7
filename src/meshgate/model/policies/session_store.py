"""Where sessions are kept that a cookie only names."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.model.policies.limits import RedisTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsInRedis:
    """A Redis that all gateways share."""

    redis: RedisTarget
    prefix: str = "sessions"
    """Of the keys, before a colon."""
