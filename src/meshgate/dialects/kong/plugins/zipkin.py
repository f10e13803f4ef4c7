"""Kong's `zipkin`: each request as spans in Zipkin's JSON (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.addresses import web_address
from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line, Report, ShownHeaderName
from meshgate.dialects.kong.plugins.propagation import (
    Format,
    HeaderType,
    PropagationConfig,
    Ratio,
    TimeoutMs,
    lower_propagation,
    told_in,
)
from meshgate.dialects.kong.plugins.queue import QueueConfig, lower_queue
from meshgate.dialects.schema import Items, SecretText
from meshgate.model.policies.tracing import Delivery, Zipkin

PROTECTED_TAGS = frozenset(
    {
        "error",
        "http.method",
        "http.path",
        "http.status_code",
        "kong.balancer.state",
        "kong.balancer.try",
        "kong.consumer",
        "kong.credential",
        "kong.node.id",
        "kong.route",
        "kong.service",
        "lc",
        "peer.hostname",
    }
)
"""Names that are the plugin's own."""

Text = Annotated[Line, Field(min_length=1)]


class StaticTag(Config):
    """An entry of `static_tags`."""

    name: Text
    value: Text


class ZipkinConfig(Config):
    """Every field of the plugin."""

    local_service_name: Text = "kong"
    http_endpoint: SecretText | None = None
    sample_ratio: Ratio = 0.001
    default_service_name: Text | None = None
    include_credential: bool = True
    traceid_byte_count: Literal[8, 16] = 16
    header_type: HeaderType | None = None
    default_header_type: Format | None = None
    tags_header: HeaderName = "Zipkin-Tags"
    static_tags: Items[StaticTag] = ()
    http_span_name: Literal["method", "method_path"] = "method"
    connect_timeout: TimeoutMs = 2_000
    send_timeout: TimeoutMs = 5_000
    read_timeout: TimeoutMs = 5_000
    http_response_header_for_traceid: ShownHeaderName | None = None
    phase_duration_flavor: Literal["annotations", "tags"] = "annotations"
    queue: QueueConfig = QueueConfig()
    propagation: PropagationConfig | None = None


def lower_zipkin(config: ZipkinConfig, report: Report) -> Zipkin:
    """The policy."""
    _check_tags(config, report)
    if config.default_header_type not in (None, "b3"):
        report.warn(
            "MG2104",
            ("default_header_type",),
            "is the old spelling of propagation.default_format",
            "write propagation instead",
        )
    return Zipkin(
        endpoint=web_address(config.http_endpoint, ("http_endpoint",), report),
        local_service_name=config.local_service_name,
        default_service_name=config.default_service_name or "",
        sample_ratio=config.sample_ratio,
        include_credential=config.include_credential,
        trace_id_bytes=config.traceid_byte_count,
        tags_header=config.tags_header.lower(),
        static_tags=tuple((tag.name, tag.value) for tag in config.static_tags),
        path_in_name=config.http_span_name == "method_path",
        phases_as_tags=config.phase_duration_flavor == "tags",
        response_header=told_in(config.http_response_header_for_traceid, report),
        propagation=lower_propagation(
            config.propagation,
            report,
            header_type=config.header_type,
            default_format=config.default_header_type or "b3",
        ),
        delivery=Delivery(
            connect_timeout_ms=config.connect_timeout,
            send_timeout_ms=config.send_timeout,
            read_timeout_ms=config.read_timeout,
            queue=lower_queue(config.queue),
        ),
        origin=report.origin(),
    )


def _check_tags(config: ZipkinConfig, report: Report) -> None:
    seen: set[str] = set()
    for number, tag in enumerate(config.static_tags):
        if tag.name in PROTECTED_TAGS:
            report.error(
                "MG2103", ("static_tags", number, "name"), f"{tag.name} is a tag of the plugin's own"
            )
        elif tag.name in seen:
            report.error("MG2103", ("static_tags", number, "name"), f"{tag.name} is there twice")
        seen.add(tag.name)
