"""What is told about traffic: access logs, metrics and traces, as declared and as linked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.mesh_config import (
    FileAccessLog,
    OpenTelemetryAccessLog,
    OpenTelemetryTracing,
    ZipkinTracing,
)
from meshgate.model.route import Destination
from meshgate.model.service import EMPTY


class Mode(enum.Enum):
    """Which side of a workload's traffic a rule is about. A gateway's is the client's."""

    CLIENT = "CLIENT"
    SERVER = "SERVER"
    BOTH = "CLIENT_AND_SERVER"

    def takes(self, side: Mode) -> bool:
        """Whether a rule of this mode is about that one side."""
        return self in (Mode.BOTH, side)


class Metric(enum.Enum):
    """Istio's standard metrics that proxies count; the value is the name without `istio_`."""

    REQUEST_COUNT = "requests_total"
    REQUEST_DURATION = "request_duration_milliseconds"
    REQUEST_SIZE = "request_bytes"
    RESPONSE_SIZE = "response_bytes"
    TCP_OPENED_CONNECTIONS = "tcp_connections_opened_total"
    TCP_CLOSED_CONNECTIONS = "tcp_connections_closed_total"
    TCP_SENT_BYTES = "tcp_sent_bytes_total"
    TCP_RECEIVED_BYTES = "tcp_received_bytes_total"


# ---- as declared ----


class TagKind(enum.Enum):
    """Where a span's tag has its value from."""

    LITERAL = "literal"
    ENVIRONMENT = "environment"
    HEADER = "header"
    FORMATTER = "formatter"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanTag:
    """One custom tag."""

    kind: TagKind
    value: str
    """The literal, the variable's or header's name, or text with Envoy's command operators."""
    default: str = ""


NO_TAGS: Mapping[str, SpanTag] = EMPTY  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingRule:
    """One entry of `tracing`; None inherits."""

    providers: tuple[str, ...] = ()
    mode: Mode = Mode.BOTH
    sampling_percent: float | None = None
    disabled: bool | None = None
    tags: Mapping[str, SpanTag] | None = None
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOverride:
    """What becomes of one label of a metric."""

    name: str
    expression: str | None = None
    """Its new value, a CEL expression; None: the label is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricOverride:
    """One entry of `metrics.overrides`."""

    metrics: tuple[Metric, ...]
    everything: bool = False
    """`ALL_METRICS` by name: what disables them is undone by any later override, as in Istio."""
    mode: Mode = Mode.BOTH
    disabled: bool | None = None
    tags: tuple[TagOverride, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsRule:
    """One entry of `metrics`."""

    providers: tuple[str, ...] = ()
    overrides: tuple[MetricOverride, ...] = ()
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLogRule:
    """One entry of `accessLogging`."""

    providers: tuple[str, ...] = ()
    mode: Mode = Mode.BOTH
    disabled: bool = False
    condition: str = ""
    """CEL; empty logs everything."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryObject:
    """One Telemetry as written."""

    ref: ObjectRef
    namespace: str
    selector: Mapping[str, str] = EMPTY
    tracing: tuple[TracingRule, ...] = ()
    metrics: tuple[MetricsRule, ...] = ()
    access_logs: tuple[AccessLogRule, ...] = ()
    created: str = ""
    origin: Origin = BUILT_IN


# ---- as linked ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Spans of one side of a proxy."""

    provider: ZipkinTracing | OpenTelemetryTracing
    collector: Destination
    sampling_percent: float
    """Of the requests that come without a decision; 0 to 100."""
    tags: Mapping[str, SpanTag] = NO_TAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """One access log of one side of a proxy."""

    provider: FileAccessLog | OpenTelemetryAccessLog
    collector: Destination | None = None
    """Where records go over the network."""
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric with its labels as overrides leave them."""

    metric: Metric
    removed: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    """(label, CEL expression)."""


STANDARD_MEASURES = tuple(Measure(metric=metric) for metric in Metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is told about one side of a proxy's traffic."""

    tracing: Tracing | None = None
    access_logs: tuple[AccessLog, ...] = ()
    measures: tuple[Measure, ...] = STANDARD_MEASURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is told about a workload, or about all of a namespace or of the mesh."""

    client: Observed = Observed()
    server: Observed = Observed()

    def of(self, side: Mode) -> Observed:
        """The client's or the server's."""
        return self.server if side is Mode.SERVER else self.client


STANDARD = Observation()
"""Where no Telemetry and no MeshConfig says otherwise: the standard metrics alone, as in Istio."""

MESH_KEY = "*"
"""The key of what holds for proxies that nothing else is said about."""


def namespace_key(namespace: str) -> str:
    """The key of what holds for a namespace's proxies; no workload has it."""
    return f"{namespace}/*"
