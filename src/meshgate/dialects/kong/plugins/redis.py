"""The record `redis` of plugins that count in Redis, and its old flat spelling."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.core.secret import Secret
from meshgate.dialects.kong.catalog import REDIS_FIELDS
from meshgate.dialects.kong.plugins.config import Config, Report, Word
from meshgate.dialects.schema import SecretText, show
from meshgate.model.policy import RedisTarget

_VAULT = "{vault://"

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
    values: dict[str, object] = {}
    for name in REDIS_FIELDS:
        old = getattr(flat, f"redis_{name}")
        new = getattr(record, name) if record is not None else None
        if old is not None:
            _report_old(name, old, report)
        if old is not None and new is not None and old != new:
            report.error("MG2103", (f"redis_{name}",), f"contradicts redis.{name}", "keep redis alone")
        value = new if new is not None else old
        if value is not None:
            values["timeout_ms" if name == "timeout" else name] = value
            _check_reference(value, ("redis", name) if new is not None else (f"redis_{name}",), report)
    if not wanted:
        return None
    if "host" not in values:
        report.error("MG2103", ("redis", "host"), "is required where policy is redis")
        return None
    return RedisTarget(**values)  # type: ignore[arg-type]  # each was checked as a field above


def _report_old(name: str, value: object, report: Report) -> None:
    shown = "..." if isinstance(value, Secret) else show(value)
    report.warn(
        "MG2104",
        (f"redis_{name}",),
        f"redis_{name} is the old spelling of redis.{name}",
        f"write redis: {{{name}: {shown}}}",
    )


def _check_reference(value: object, field: FieldPath, report: Report) -> None:
    """Kong can fetch values from a vault; here the reference itself would be used."""
    text = value.reveal_text() if isinstance(value, Secret) else value
    if isinstance(text, str) and text.startswith(_VAULT):
        report.error("MG1104", field, "refers to a vault, which is not supported")
