"""Kong's `rate-limiting`: so many requests per window (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.dialects.kong.catalog import WINDOWS
from meshgate.dialects.kong.plugins.config import HeaderName, Line, Report, Word
from meshgate.dialects.kong.plugins.redis import FlatRedisConfig, RedisConfig, lower_redis
from meshgate.dialects.schema import show
from meshgate.model.policy import LimitBy, Limits, LimitStore, RateLimit

Limit = Annotated[int, Field(ge=1, le=2**32 - 1)] | None
"""Requests per window; whole numbers only, up to what Envoy's buckets hold."""

EXACT = -1
"""The `sync_rate` that counts every request at once."""
SHORTEST_SYNC_S = 0.02

_STORES = {"redis": LimitStore.REDIS, "quota": LimitStore.QUOTA}


class RateLimitingConfig(FlatRedisConfig):
    """Every field of the plugin."""

    REMEDIES: ClassVar[Mapping[str, str]] = dict.fromkeys(WINDOWS, "remove it for no limit")

    second: Limit = None
    minute: Limit = None
    hour: Limit = None
    day: Limit = None
    month: Limit = None
    year: Limit = None
    limit_by: Literal["consumer", "credential", "ip", "service", "header", "path"] = "consumer"
    header_name: HeaderName = ""
    path: Word = ""
    policy: Literal["local", "cluster", "redis", "quota"] = "local"
    fault_tolerant: bool = True
    hide_client_headers: bool = False
    error_code: Annotated[int, Field(ge=400, le=599)] = 429
    error_message: Line = "API rate limit exceeded"
    sync_rate: float = EXACT
    redis: RedisConfig | None = None


def lower_rate_limiting(config: RateLimitingConfig, report: Report) -> RateLimit:
    """The policy; its `rule_id` is the plugin's name, which `link` replaces by the rule's."""
    _check_limits(config, report)
    _check_identity(config, report)
    _check_store(config, report)
    redis = lower_redis(config, config.redis, report, wanted=config.policy == "redis")
    return RateLimit(
        rule_id=report.document.ref.name,
        limits=Limits(**{window: getattr(config, window) for window in WINDOWS}),
        store=_STORES.get(config.policy, LimitStore.LOCAL),
        limit_by=LimitBy(config.limit_by),
        header_name=config.header_name if config.limit_by == "header" else "",
        path=config.path if config.limit_by == "path" else "",
        redis=redis,
        fault_tolerant=config.fault_tolerant,
        hide_client_headers=config.hide_client_headers,
        error_code=config.error_code,
        error_message=config.error_message,
        origin=report.origin(),
    )


def _check_limits(config: RateLimitingConfig, report: Report) -> None:
    given = [(window, limit) for window in WINDOWS if (limit := getattr(config, window)) is not None]
    if not given:
        report.error("MG2103", (), f"must have at least one of {', '.join(WINDOWS)}, got none")
    for (shorter, less), (longer, more) in pairwise(given):
        if more < less:
            report.error(
                "MG2103",
                (longer,),
                f"must be >= {less}, the limit per {shorter}, got {more}",
                f"raise it, or remove the limit per {shorter}, which can never be reached",
            )


def _check_identity(config: RateLimitingConfig, report: Report) -> None:
    for kind, field in (("header", "header_name"), ("path", "path")):
        value: str = getattr(config, field)
        if config.limit_by == kind and not value:
            report.error("MG2103", (field,), f"is required where limit_by is {kind}")
        elif config.limit_by != kind and value:
            report.warn(
                "MG2103",
                (field,),
                f"has no effect where limit_by is {config.limit_by}",
                f"set limit_by: {kind}",
            )
    if config.path and not config.path.startswith("/"):
        report.error("MG2103", ("path",), f"must start with /, got {show(config.path)}")


def _check_store(config: RateLimitingConfig, report: Report) -> None:
    if config.policy == "quota" and config.second is not None:
        report.error(
            "MG2103",
            ("second",),
            "cannot be lent to gateways, which report every five seconds",
            "use local or redis, or a limit per minute",
        )
    if config.policy == "cluster":
        report.error(
            "MG2103",
            ("policy",),
            "cluster needs a database of Kong's, which there is none of",
            "use redis for one count, or local for one per gateway",
        )
    if config.sync_rate == EXACT:
        return
    if config.policy != "redis" or config.sync_rate < SHORTEST_SYNC_S:
        rule = f"must be {EXACT}, or at least {SHORTEST_SYNC_S} with policy redis"
        report.error("MG2103", ("sync_rate",), f"{rule}, got {config.sync_rate:g}")
    else:
        report.warn(
            "MG1103",
            ("sync_rate",),
            "every request is counted in Redis at once; the rate has no effect",
            "remove it",
        )
