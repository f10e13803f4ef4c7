"""Kong's `correlation-id`: a header that names each request (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Literal

from meshgate.dialects.kong.plugins.config import Config, Report, ShownHeaderName
from meshgate.model.policies.change import IdGenerator
from meshgate.model.policy import CorrelationId


class CorrelationIdConfig(Config):
    """Every field of the plugin."""

    header_name: ShownHeaderName = "Kong-Request-ID"
    generator: Literal["uuid", "uuid#counter", "tracker"] = "uuid#counter"
    echo_downstream: bool = False


def lower_correlation_id(config: CorrelationIdConfig, report: Report) -> CorrelationId:
    """The policy."""
    return CorrelationId(
        header_name=config.header_name,
        generator=IdGenerator(config.generator),
        echo_downstream=config.echo_downstream,
        origin=report.origin(),
    )
