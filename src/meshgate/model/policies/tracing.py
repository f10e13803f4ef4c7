"""Kong's plugins that trace requests, as data: whom spans are sent to, and how a trace is carried on."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.policies.queues import ONE_BY_ONE, QueueLimits

EXTRACTED = ("b3", "w3c", "jaeger", "ot", "datadog", "aws", "gcp", "instana")
"""Formats of headers that a trace is read from, in Kong's order; `b3` reads both of its forms."""
INJECTED = ("w3c", "b3", "b3-single", "jaeger", "ot", "datadog", "aws", "gcp", "instana")
"""Formats that it is written in."""
PRESERVE = "preserve"
"""Among those: the one that it was read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """How a trace goes on from the client's request to the service's."""

    default_format: str
    """What `preserve` means where nothing was read."""
    extract: tuple[str, ...] = ()
    """The first of them that the request has counts; empty: each request begins a trace."""
    inject: tuple[str, ...] = ()
    """Empty: the service is told nothing."""
    clear: tuple[str, ...] = ()
    """Headers, in lower case, that the service does not get as the client sent them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How spans are sent over HTTP."""

    connect_timeout_ms: float
    send_timeout_ms: float = 5_000
    read_timeout_ms: float = 5_000
    queue: QueueLimits = ONE_BY_ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Zipkin:
    """Kong's `zipkin`."""

    endpoint: Secret | None = None
    """None: traces are carried on and nobody is told of spans."""
    local_service_name: str = "kong"
    default_service_name: str = ""
    """Of the other side where it has no name."""
    sample_ratio: float = 0.001
    """Of requests that come without a decision; 0 to 1."""
    include_credential: bool = True
    trace_id_bytes: int = 16
    tags_header: str = "zipkin-tags"
    """Lower case; empty: none."""
    static_tags: tuple[tuple[str, str], ...] = ()
    path_in_name: bool = False
    phases_as_tags: bool = False
    response_header: str = ""
    """In which the client is told the trace's id."""
    propagation: Propagation = Propagation(default_format="b3")
    delivery: Delivery = Delivery(connect_timeout_ms=2_000)
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTelemetry:
    """Kong's `opentelemetry`."""

    endpoint: Secret | None = None
    """OTLP over HTTP; None: traces are carried on and nobody is told of spans."""
    headers: tuple[tuple[str, Secret], ...] = ()
    resource_attributes: tuple[tuple[str, str], ...] = ()
    sampling_ratio: float = 0.01
    """Of all requests but those that come with a decision against; 0 to 1. As in Kong: also of those that
    come with one in favour. The default is kong.conf's."""
    response_header: str = ""
    propagation: Propagation = Propagation(default_format="w3c")
    delivery: Delivery = Delivery(connect_timeout_ms=1_000, queue=QueueLimits(max_batch_size=200))
    origin: Origin = BUILT_IN


Tracer = Zipkin | OpenTelemetry

TRACERS: tuple[type[Tracer], ...] = (Zipkin, OpenTelemetry)
"""In Kong's order: the second reads what the first has written."""
