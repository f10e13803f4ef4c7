"""Kong's `request-size-limiting`: how long a body may be (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.model.policy import RequestSize

_UNITS = {"bytes": 1, "kilobytes": 2**10, "megabytes": 2**20}
MAX_BYTES = 2**32 - 1
"""What Envoy can count to."""


class RequestSizeLimitingConfig(Config):
    """Every field of the plugin."""

    allowed_payload_size: Annotated[int, Field(ge=1)] = 128
    size_unit: Literal["megabytes", "kilobytes", "bytes"] = "megabytes"
    require_content_length: bool = False


def lower_request_size_limiting(config: RequestSizeLimitingConfig, report: Report) -> RequestSize:
    """The policy, in bytes."""
    limit = config.allowed_payload_size * _UNITS[config.size_unit]
    if limit > MAX_BYTES:
        report.error("MG2103", ("allowed_payload_size",), f"must be at most {MAX_BYTES} bytes, got {limit}")
    return RequestSize(
        max_body_bytes=limit, require_content_length=config.require_content_length, origin=report.origin()
    )
