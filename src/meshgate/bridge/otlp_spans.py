"""A request as spans in OTLP, with the names and attributes of Kong's own instrumentation (3.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from meshgate import __version__
from meshgate.bridge.identifiers import NODE
from meshgate.bridge.traced import Ids, Traced
from meshgate.model.policies.tracing import OpenTelemetry

SCOPE, SCOPE_VERSION = "kong-internal", "0.1.0"
REQUEST, BALANCER = "kong", "kong.balancer"


def otlp_spans(ids: Ids, request: Traced) -> list[bytes]:
    """The span of the request and, where a service was called, that of its last try."""
    found = [_request(ids, request)]
    if request.called:
        found.append(_balancer(ids, request))
    return [bytes(span.SerializeToString()) for span in found]


def otlp_body(policy: OpenTelemetry, spans: Sequence[bytes]) -> bytes:
    """A batch as it is sent."""
    message = trace_service_pb2.ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    attributes = {"service.name": "kong", "service.instance.id": NODE, "service.version": __version__}
    _set(resource.resource.attributes, {**attributes, **dict(policy.resource_attributes)})
    # OTLP 0.15 calls the field of this number `scope_spans`.
    scope = resource.instrumentation_library_spans.add()
    scope.instrumentation_library.name, scope.instrumentation_library.version = SCOPE, SCOPE_VERSION
    scope.spans.extend(trace_pb2.Span.FromString(span) for span in spans)
    return bytes(message.SerializeToString())


def _request(ids: Ids, request: Traced) -> trace_pb2.Span:
    span = _span(ids.trace, ids.span, ids.parent, REQUEST)
    span.kind = trace_pb2.Span.SPAN_KIND_SERVER
    span.start_time_unix_nano, span.end_time_unix_nano = request.moments.began, request.moments.ended
    _set(
        span.attributes,
        {
            "http.method": request.method,
            "http.url": f"{request.scheme}://{ids.host}{request.shown(ids.path)}",
            "http.host": ids.host,
            "http.scheme": request.scheme,
            "http.flavor": request.version,
            "http.client_ip": request.client[0],
            "net.peer.ip": request.peer_ip,
            "http.status_code": request.status,
            "http.route": request.route.path,
            "kong.request.id": request.request_id,
        },
    )
    return span


def _balancer(ids: Ids, request: Traced) -> trace_pb2.Span:
    span = _span(ids.trace, ids.child, ids.span, BALANCER)
    span.kind = trace_pb2.Span.SPAN_KIND_CLIENT
    span.start_time_unix_nano, span.end_time_unix_nano = request.moments.called, request.moments.heard
    attributes: dict[str, str | int] = {
        "try_count": request.attempts,
        "net.peer.ip": request.upstream[0],
        "net.peer.port": request.upstream[1],
        "net.peer.name": request.route.host,
    }
    _set(span.attributes, attributes)
    return span


def _span(trace: str, id: str, parent: str, name: str) -> trace_pb2.Span:
    return trace_pb2.Span(
        trace_id=bytes.fromhex(trace.rjust(32, "0")),
        span_id=bytes.fromhex(id),
        parent_span_id=bytes.fromhex(parent),
        name=name,
    )


def _set(attributes: object, values: Mapping[str, str | int]) -> None:
    for name, value in sorted(values.items()):
        if value == "":
            continue
        told = common_pb2.AnyValue()
        if isinstance(value, int):
            told.int_value = value
        else:
            told.string_value = value
        attributes.append(common_pb2.KeyValue(key=name, value=told))  # type: ignore[attr-defined]
