"""The record `redis` of plugins that count in Redis, and its old flat spelling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from meshgate.core.secret import Secret
from meshgate.dialects.kong.catalog import REDIS_FIELDS
from meshgate.dialects.kong.plugins.config import Config, Report, Word
from meshgate.dialects.schema import SecretText, show
from meshgate.model.policy import RedisTarget

Port = Annotated[int, Field(ge=1, le=65535)]
Milliseconds = Annotated[int, Field(ge=1, le=2**31 - 2)]
Database = Annotated[int, Field(ge=0, le=2**31 - 1)]


class RedisConfig(Config):
    """Kong's record, with `redis_` taken off the names."""

    host: Word | None = None
    port: Port | None = None
    timeout: Milliseconds | None = None
    username: Word | None = None
    password: SecretText | None = None
    database: Database | None = None
    ssl: bool | None = None
    ssl_verify: bool | None = None
    server_name: Word | None = None


class FlatRedisConfig(Config):
    """The spelling until Kong 3.8, accepted until 4.0."""

    redis_host: Word | None = None
    redis_port: Port | None = None
    redis_timeout: Milliseconds | None = None
    redis_username: Word | None = None
    redis_password: SecretText | None = None
    redis_database: Database | None = None
    redis_ssl: bool | None = None
    redis_ssl_verify: bool | None = None
    redis_server_name: Word | None = None


def lower_redis(
    flat: FlatRedisConfig, record: RedisConfig | None, report: Report, *, wanted: bool
) -> RedisTarget | None:
    """Where to count; None where `wanted` is false. Old names are MG2104, contradictions MG2103."""
    values = record_values(flat, record, "redis_", REDIS_FIELDS, report)
    if not wanted:
        return None
    if "host" not in values:
        report.error("MG2103", ("redis", "host"), "is required where policy is redis")
        return None
    if "timeout" in values:
        values["timeout_ms"] = values.pop("timeout")
    return RedisTarget(**values)  # type: ignore[arg-type]  # each was checked as a field above


def record_values(
    flat: Config, record: Config | None, prefix: str, names: Iterable[str], report: Report
) -> dict[str, object]:
    """What is set, by the record's names; the flat spelling of each begins with `prefix`."""
    found: dict[str, object] = {}
    for name in names:
        field = f"{prefix}{name}"
        old = getattr(flat, field, None)
        new = getattr(record, name) if record is not None else None
        if old is not None:
            shown = "..." if isinstance(old, Secret) else show(old)
            message, remedy = f"is the old spelling of redis.{name}", f"write redis: {{{name}: {shown}}}"
            report.warn("MG2104", (field,), message, remedy)
        if old is not None and new is not None and old != new:
            report.error("MG2103", (field,), f"contradicts redis.{name}", "keep redis alone")
        value = new if new is not None else old
        if value is not None:
            found[name] = value
    return found
