"""What a cluster's endpoints are spoken to in, and which of their answers count as errors."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import protocol_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from meshgate.model.destination import ConnectionPool, TrafficPolicy
from meshgate.model.service import AppProtocol
from meshgate.policies.packing import duration, pack, uint32

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def speak(
    cluster: cluster_pb2.Cluster,
    protocol: AppProtocol,
    policy: TrafficPolicy,
    *,
    http2: bool,
    server_name_by_request: bool,
) -> None:
    """HTTP/2 between proxies of ours, whatever the application speaks; else what it speaks."""
    if not (protocol.is_http or protocol is AppProtocol.UNKNOWN):
        return
    pool = policy.pool or ConnectionPool()
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if server_name_by_request:
        options.upstream_http_protocol_options.auto_sni = True
        # Envoy would compare names also where it checks no authority; it takes some clusters only with it.
        unchecked = policy.client_tls is not None and policy.client_tls.insecure_skip_verify
        checked = not unchecked or bool(cluster.cluster_type.name)
        options.upstream_http_protocol_options.auto_san_validation = checked
    common = options.common_http_protocol_options
    idle_ms = pool.tcp_idle_timeout_ms if pool.idle_timeout_ms is None else pool.idle_timeout_ms
    if idle_ms is not None:
        common.idle_timeout.CopyFrom(duration(idle_ms))
    if pool.max_connection_duration_ms is not None:
        common.max_connection_duration.CopyFrom(duration(pool.max_connection_duration_ms))
    if pool.max_requests_per_connection:
        common.max_requests_per_connection.CopyFrom(uint32(pool.max_requests_per_connection))
    if pool.use_client_protocol:
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        _http2(options.use_downstream_protocol_config.http2_protocol_options, pool)
    elif http2:
        _http2(options.explicit_http_config.http2_protocol_options, pool)
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    if policy.outliers is not None and policy.outliers.error_codes:
        _count_as_errors(options, policy.outliers.error_codes)
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))


def _http2(options: protocol_pb2.Http2ProtocolOptions, pool: ConnectionPool) -> None:
    options.allow_connect = True
    if pool.max_concurrent_streams:
        options.max_concurrent_streams.CopyFrom(uint32(pool.max_concurrent_streams))
    if pool.http2_keepalive_ms is not None:
        interval_ms, timeout_ms = pool.http2_keepalive_ms
        options.connection_keepalive.interval.CopyFrom(duration(interval_ms))
        options.connection_keepalive.timeout.CopyFrom(duration(timeout_ms))


def _count_as_errors(
    options: http_protocol_options_pb2.HttpProtocolOptions, statuses: tuple[int, ...]
) -> None:
    """Only these statuses make outlier detection count an error; others count as a success."""
    matcher = options.outlier_detection.error_matcher
    matches = [matcher] if len(statuses) == 1 else [matcher.or_match.rules.add() for _ in statuses]
    for found, status in zip(matches, statuses, strict=True):
        header = found.http_response_headers_match.headers.add(name=":status")
        header.string_match.exact = str(status)
