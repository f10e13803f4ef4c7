"""Kong's `response-ratelimiting`: the service says what a request has cost (schema of Kong 3.9.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.dialects.kong.catalog import WINDOWS
from meshgate.dialects.kong.plugins.config import Config, HeaderName, Report
from meshgate.dialects.kong.plugins.redis import FlatRedisConfig, RedisConfig, lower_redis
from meshgate.dialects.schema import show
from meshgate.model.policy import LimitBy, Limits, LimitStore, NamedLimits, ResponseRateLimit

Limit = Annotated[int, Field(ge=1, le=2**53)] | None
_NAME = re.compile(r"[!#$&'*+.^_`|~0-9A-Za-z-]+")
"""What can be part of a header's name."""


class WindowsConfig(Config):
    """The limits of one name."""

    REMEDIES: ClassVar[Mapping[str, str]] = dict.fromkeys(WINDOWS, "remove it for no limit")

    second: Limit = None
    minute: Limit = None
    hour: Limit = None
    day: Limit = None
    month: Limit = None
    year: Limit = None


class ResponseRateLimitingConfig(FlatRedisConfig):
    """Every field of the plugin."""

    header_name: HeaderName = "x-kong-limit"
    limit_by: Literal["consumer", "credential", "ip"] = "consumer"
    policy: Literal["local", "cluster", "redis"] = "local"
    fault_tolerant: bool = True
    redis: RedisConfig | None = None
    block_on_first_violation: bool = False
    hide_client_headers: bool = False
    limits: dict[str, WindowsConfig]


def lower_response_ratelimiting(config: ResponseRateLimitingConfig, report: Report) -> ResponseRateLimit:
    """The policy; `link` names its counters."""
    if not config.limits:
        report.error("MG2103", ("limits",), "must name at least one limit")
    for name, windows in config.limits.items():
        _check(name, windows, report)
    if config.policy == "cluster":
        report.error(
            "MG2103",
            ("policy",),
            "cluster needs a database of Kong's, which there is none of",
            "use redis for one count, or local for one in memory",
        )
    named = (
        NamedLimits(name=name, limits=Limits(**{w: getattr(windows, w) for w in WINDOWS}))
        for name, windows in sorted(config.limits.items())
    )
    return ResponseRateLimit(
        rule_id=report.document.ref.name,
        limits=tuple(named),
        header_name=config.header_name,
        limit_by=LimitBy(config.limit_by),
        store=LimitStore.REDIS if config.policy == "redis" else LimitStore.LOCAL,
        redis=lower_redis(config, config.redis, report, wanted=config.policy == "redis"),
        fault_tolerant=config.fault_tolerant,
        block_on_first_violation=config.block_on_first_violation,
        hide_client_headers=config.hide_client_headers,
        origin=report.origin(),
    )


def _check(name: str, windows: WindowsConfig, report: Report) -> None:
    if not _NAME.fullmatch(name):
        report.error("MG2103", ("limits", name), f"must be part of a header's name, got {show(name)}")
    given = [(window, limit) for window in WINDOWS if (limit := getattr(windows, window)) is not None]
    if not given:
        report.error("MG2103", ("limits", name), f"must have at least one of {', '.join(WINDOWS)}, got none")
    for (shorter, less), (longer, more) in pairwise(given):
        if more < less:
            report.error(
                "MG2103",
                ("limits", name, longer),
                f"must be >= {less}, the limit per {shorter}, got {more}",
                f"raise it, or remove the limit per {shorter}, which can never be reached",
            )
