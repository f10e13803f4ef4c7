"""Kong's `request-termination`: the gateway answers by itself (schema of Kong 3.9.3)."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, Line, Report, ShownHeaderName
from meshgate.model.policy import Termination

JSON = "application/json; charset=utf-8"

_MESSAGES = {
    401: "Unauthorized",
    404: "Not found",
    405: "Method not allowed",
    500: "An unexpected error occurred",
    502: "Bad Gateway",
    503: "Service unavailable",
}


class RequestTerminationConfig(Config):
    """Every field of the plugin."""

    status_code: Annotated[int, Field(ge=200, le=599)] = 503
    message: Line | None = None
    content_type: Line | None = None
    body: Annotated[str, Field(max_length=65536)] | None = None
    echo: bool = False
    trigger: ShownHeaderName | None = None


def lower_request_termination(config: RequestTerminationConfig, report: Report) -> Termination:
    """The policy; the contradictions that Kong refuses are refused."""
    if config.message is not None and (config.body is not None or config.content_type is not None):
        report.error("MG2103", ("message",), "excludes content_type and body", "keep one of them")
    if config.content_type is not None and config.body is None:
        report.error("MG2103", ("content_type",), "needs a body")
    if config.echo and (config.body is not None or config.content_type is not None):
        report.error("MG2103", ("echo",), "excludes content_type and body")
    body, content_type = config.body, config.content_type
    message = config.message if config.message is not None else _MESSAGES.get(config.status_code)
    if body is None:
        body = (
            ""
            if message is None
            else json.dumps({"message": message}, ensure_ascii=False, separators=(",", ":"))
        )
        content_type = None
    return Termination(
        status=config.status_code,
        body=body,
        content_type=content_type or JSON,
        trigger=config.trigger or "",
        echo=(message or "") if config.echo else None,
        origin=report.origin(),
    )
