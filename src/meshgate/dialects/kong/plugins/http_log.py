"""Kong's `http-log`: each request as JSON, to an HTTP server (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.addresses import parts_of
from meshgate.dialects.kong.plugins.config import Report, ShownHeaderName
from meshgate.dialects.kong.plugins.queue import OldQueueConfig, lower_old_queue
from meshgate.dialects.schema import SecretText
from meshgate.model.policies.logs import HttpLog

Milliseconds = Annotated[float, Field(gt=0, le=2**31 - 2)]
LUA = "no Lua runs here; entries have the usual fields"
_OWN = frozenset({"host", "content-length", "content-type"})
"""Headers that nobody may set."""


class HttpLogConfig(OldQueueConfig):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "custom_fields_by_lua": LUA,
        **OldQueueConfig.UNSUPPORTED,
    }

    http_endpoint: SecretText
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    content_type: Literal["application/json", "application/json; charset=utf-8"] = "application/json"
    timeout: Milliseconds = 10_000
    keepalive: Milliseconds = 60_000
    headers: dict[ShownHeaderName, SecretText] | None = None


def lower_http_log(config: HttpLogConfig, report: Report) -> HttpLog:
    """The policy."""
    parts = parts_of(config.http_endpoint, ("http_endpoint",), report)
    user = parts.username if parts is not None else ""
    headers = config.headers or {}
    for name in headers:
        if name.lower() in _OWN:
            report.error("MG2103", ("headers", name), "is set by the gateway itself", "leave it out")
        elif name.lower() == "authorization" and user:
            report.error(
                "MG2103", ("headers", name), "says who it is a second time: http_endpoint holds a user"
            )
    return HttpLog(
        endpoint=config.http_endpoint,
        method=config.method,
        content_type=config.content_type,
        timeout_ms=config.timeout,
        keepalive_ms=config.keepalive,
        headers=tuple(sorted(headers.items())),
        queue=lower_old_queue(config, report),
        origin=report.origin(),
    )
