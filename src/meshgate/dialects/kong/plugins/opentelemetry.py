"""Kong's `opentelemetry`: each request as spans, in OTLP over HTTP (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.dialects.kong.plugins.addresses import web_address
from meshgate.dialects.kong.plugins.config import Config, Line, Report, ShownHeaderName
from meshgate.dialects.kong.plugins.propagation import (
    HeaderType,
    PropagationConfig,
    Ratio,
    TimeoutMs,
    lower_propagation,
    told_in,
)
from meshgate.dialects.kong.plugins.queue import Batch, QueueConfig, lower_queue
from meshgate.dialects.schema import SecretText
from meshgate.model.policies.queues import QueueLimits
from meshgate.model.policies.tracing import Delivery, OpenTelemetry

DEFAULT_RATIO = 0.01
"""kong.conf's `tracing_sampling_rate`."""
_OLD_BATCH, _OLD_DELAY = 200, 3
"""What the old fields were by default: then they say nothing, as in Kong."""
_OWN = frozenset({"host", "content-length"})


class OtelQueueConfig(QueueConfig):
    """The queue, with this plugin's own default."""

    max_batch_size: Batch = 200


class OpenTelemetryConfig(Config):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "logs_endpoint": "Kong sends lines of its own log there; requests are written down by http-log",
        "access_logs_endpoint": "requests are written down by http-log, or over OTLP as a Telemetry says",
        "metrics": "`meshgate metrics` has them, in Prometheus' form",
    }

    traces_endpoint: SecretText | None = None
    endpoint: SecretText | None = None
    headers: dict[ShownHeaderName, SecretText] | None = None
    resource_attributes: dict[Line, Annotated[Line, Field(min_length=1)]] | None = None
    queue: OtelQueueConfig = OtelQueueConfig()
    batch_span_count: Batch | None = None
    batch_flush_delay: Annotated[int, Field(ge=0, le=3600)] | None = None
    connect_timeout: TimeoutMs = 1_000
    send_timeout: TimeoutMs = 5_000
    read_timeout: TimeoutMs = 5_000
    http_response_header_for_traceid: ShownHeaderName | None = None
    header_type: HeaderType | None = None
    sampling_rate: Ratio | None = None
    propagation: PropagationConfig | None = None


def lower_opentelemetry(config: OpenTelemetryConfig, report: Report) -> OpenTelemetry:
    """The policy."""
    for name in config.headers or {}:
        if name.lower() in _OWN:
            report.error("MG2103", ("headers", name), "is set by the gateway itself", "leave it out")
    for name, value in (config.resource_attributes or {}).items():
        if "$(" in value:
            report.warn(
                "MG1103", ("resource_attributes", name), "holds a template; it is sent as it is written"
            )
    field, endpoint = "traces_endpoint", config.traces_endpoint
    if config.endpoint is not None:
        _old("endpoint", "traces_endpoint", report)
        if endpoint is None:
            field, endpoint = "endpoint", config.endpoint
    if endpoint is None and "logs_endpoint" not in _given(report):
        report.error("MG2103", (), "needs traces_endpoint", "name the receiver of spans")
    ratio = DEFAULT_RATIO if config.sampling_rate is None else config.sampling_rate
    return OpenTelemetry(
        endpoint=web_address(endpoint, (field,), report),
        headers=tuple(sorted((config.headers or {}).items())),
        resource_attributes=tuple(sorted((config.resource_attributes or {}).items())),
        sampling_ratio=ratio,
        response_header=told_in(config.http_response_header_for_traceid, report),
        propagation=lower_propagation(
            config.propagation, report, header_type=config.header_type, default_format="w3c"
        ),
        delivery=Delivery(
            connect_timeout_ms=config.connect_timeout,
            send_timeout_ms=config.send_timeout,
            read_timeout_ms=config.read_timeout,
            queue=_queue(config, report),
        ),
        origin=report.origin(),
    )


def _queue(config: OpenTelemetryConfig, report: Report) -> QueueLimits:
    queue = lower_queue(config.queue)
    if config.batch_span_count not in (None, _OLD_BATCH):
        _old("batch_span_count", "queue.max_batch_size", report)
        queue = replace(queue, max_batch_size=config.batch_span_count)
    if config.batch_flush_delay not in (None, _OLD_DELAY):
        _old("batch_flush_delay", "queue.max_coalescing_delay", report)
        queue = replace(queue, max_coalescing_delay_s=config.batch_flush_delay)
    return queue


def _old(field: str, new: str, report: Report) -> None:
    report.warn("MG2104", (field,), f"is the old spelling of {new}", f"write {new} instead")


def _given(report: Report) -> Mapping[str, object]:
    """The fields as they are written."""
    config = report.document.data.get("config")
    return config if isinstance(config, dict) else {}
