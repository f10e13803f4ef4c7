"""Spans, by Envoy's own tracers: Zipkin and OpenTelemetry.

Zipkin's understands B3 and W3C's trace context and sends both; OpenTelemetry's speaks W3C's.
The address in a span is without its query, as in the logs: keys and tokens travel there.
"""

from __future__ import annotations

from typing import assert_never

from envoy.config.core.v3 import http_service_pb2
from envoy.config.trace.v3 import http_tracer_pb2, opentelemetry_pb2, zipkin_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.tracers.opentelemetry.resource_detectors.v3 import (
    environment_resource_detector_pb2 as environment_pb2,
)
from envoy.type.tracing.v3 import custom_tag_pb2

from meshgate.model.mesh_config import OpenTelemetryTracing, ZipkinTracing
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.route import Destination
from meshgate.model.telemetry import SpanTag, TagKind, Tracing
from meshgate.policies.packing import boolean, duration, extension, header, pack, uint32
from meshgate.translate.access_log import PATH, grpc_to
from meshgate.translate.names import outbound_cluster

_Manager = hcm.HttpConnectionManager
URL_TAG = "http.url"
_URL = f"%REQ(:SCHEME)%://%REQ(:AUTHORITY)%{PATH}"


def tracing(wanted: Tracing, proxy: Proxy) -> hcm.HttpConnectionManager.Tracing:
    """The tracer of a connection manager."""
    found = hcm.HttpConnectionManager.Tracing()
    found.client_sampling.value = 100
    found.random_sampling.value = wanted.sampling_percent
    found.overall_sampling.value = 100
    found.max_path_tag_length.CopyFrom(uint32(wanted.provider.max_tag_length))
    # The gateway's span covers its whole work, the call to the service is a span within.
    found.spawn_upstream_span.CopyFrom(boolean(proxy.kind is ProxyKind.GATEWAY))
    found.provider.CopyFrom(_provider(wanted, proxy))
    tags = {URL_TAG: SpanTag(kind=TagKind.FORMATTER, value=_URL), **wanted.tags}
    found.custom_tags.extend(_tag(name, tag) for name, tag in sorted(tags.items()))
    return found


def _provider(wanted: Tracing, proxy: Proxy) -> http_tracer_pb2.Tracing.Http:
    match wanted.provider:
        case ZipkinTracing():
            config = pack(_zipkin(wanted.provider, wanted.collector))
            return http_tracer_pb2.Tracing.Http(name="envoy.tracers.zipkin", typed_config=config)
        case OpenTelemetryTracing():
            config = pack(_open_telemetry(wanted.provider, wanted.collector, proxy))
            return http_tracer_pb2.Tracing.Http(name="envoy.tracers.opentelemetry", typed_config=config)
        case _:
            assert_never(wanted.provider)


def _zipkin(provider: ZipkinTracing, collector: Destination) -> zipkin_pb2.ZipkinConfig:
    return zipkin_pb2.ZipkinConfig(
        collector_cluster=outbound_cluster(collector),
        collector_endpoint=provider.path,
        collector_hostname=collector.host,
        collector_endpoint_version=zipkin_pb2.ZipkinConfig.HTTP_JSON,
        trace_id_128bit=not provider.enable_64bit_trace_id,
        shared_span_context=boolean(False),
        trace_context_option=zipkin_pb2.ZipkinConfig.USE_B3_WITH_W3C_PROPAGATION,
    )


def _open_telemetry(
    provider: OpenTelemetryTracing, collector: Destination, proxy: Proxy
) -> opentelemetry_pb2.OpenTelemetryConfig:
    found = opentelemetry_pb2.OpenTelemetryConfig(service_name=f"{proxy.workload.name}.{proxy.namespace}")
    if provider.http_path is None:
        found.grpc_service.CopyFrom(grpc_to(collector))
    else:
        found.http_service.CopyFrom(_http_service(provider, provider.http_path, collector))
    if provider.environment_resource:
        name = "envoy.tracers.opentelemetry.resource_detectors.environment"
        detector = environment_pb2.EnvironmentResourceDetectorConfig()
        found.resource_detectors.append(extension(name, detector))
    return found


def _http_service(
    provider: OpenTelemetryTracing, path: str, collector: Destination
) -> http_service_pb2.HttpService:
    found = http_service_pb2.HttpService()
    found.http_uri.uri = f"http://{collector.host}/{path.lstrip('/')}"
    found.http_uri.cluster = outbound_cluster(collector)
    found.http_uri.timeout.CopyFrom(duration(provider.http_timeout_ms))
    found.request_headers_to_add.extend(header(name, value) for name, value in provider.http_headers)
    return found


def _tag(name: str, tag: SpanTag) -> custom_tag_pb2.CustomTag:
    found = custom_tag_pb2.CustomTag(tag=name)
    match tag.kind:
        case TagKind.LITERAL:
            found.literal.value = tag.value
        case TagKind.ENVIRONMENT:
            found.environment.name, found.environment.default_value = tag.value, tag.default
        case TagKind.HEADER:
            found.request_header.name, found.request_header.default_value = tag.value, tag.default
        case TagKind.FORMATTER:
            found.value = tag.value
        case _:
            assert_never(tag.kind)
    return found
