"""Active health checks: what a cluster asks its endpoints, and which of them it asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2
from envoy.type.v3 import http_pb2

from meshgate.model.external import ExternalEndpoint
from meshgate.model.health import ActiveCheck, GrpcCheck, HttpCheck, TcpCheck
from meshgate.policies.packing import duration, uint32


def add_check(cluster: cluster_pb2.Cluster, endpoints: Iterable[ExternalEndpoint]) -> None:
    """Envoy asks every endpoint of a cluster the same: that of the first which has a check.

    It begins at once, also where nobody sends anything, and in plaintext, as a probe would be.
    """
    check = next((e.check for e in endpoints if e.check is not None), None)
    if check is None:
        return
    found = cluster.health_checks.add(
        timeout=duration(check.timeout_s * 1000),
        interval=duration(check.period_s * 1000),
        no_traffic_interval=duration(check.period_s * 1000),
        unhealthy_threshold=uint32(check.failure_threshold),
        healthy_threshold=uint32(check.success_threshold),
    )
    if cluster.transport_socket_matches:
        found.transport_socket_match_criteria.update({"tlsMode": "disabled"})
    _ask(found, check.action)


def add_active_check(cluster: cluster_pb2.Cluster, check: ActiveCheck | None, *, http2: bool) -> None:
    """Envoy asks each endpoint where requests would go, over the same TLS."""
    if check is None:
        return
    found = cluster.health_checks.add(
        timeout=duration(check.timeout_ms),
        interval=duration(check.interval_ms),
        no_traffic_interval=duration(check.interval_ms),
        unhealthy_interval=duration(check.unhealthy_interval_ms),
        no_traffic_healthy_interval=duration(check.interval_ms),
        unhealthy_threshold=uint32(check.failures),
        healthy_threshold=uint32(check.successes),
    )
    _ask(found, check.action)
    if http2 and found.HasField("http_health_check"):
        found.http_health_check.codec_client_type = http_pb2.HTTP2


def _ask(found: health_check_pb2.HealthCheck, action: HttpCheck | TcpCheck | GrpcCheck) -> None:
    match action:
        case HttpCheck(path=path, host=host, headers=headers, statuses=good):
            found.http_health_check.path = path
            found.http_health_check.host = host
            for first, last in [(one, one) for one in good] or [(200, 399)]:
                statuses = found.http_health_check.expected_statuses.add()
                statuses.start, statuses.end = first, last + 1
            for name, value in headers:
                header = found.http_health_check.request_headers_to_add.add().header
                header.key, header.value = name, value
        case TcpCheck():
            found.tcp_health_check.SetInParent()
        case GrpcCheck(service=service):
            found.grpc_health_check.service_name = service
        case _:
            assert_never(action)


def leave_others_alone(groups: Iterable[endpoint_components_pb2.LocalityLbEndpoints]) -> None:
    """Endpoints without a check of their own, pods among them, are not asked what others are asked."""
    endpoints = [one.endpoint for group in groups for one in group.lb_endpoints]
    if any(e.health_check_config.port_value for e in endpoints):
        for endpoint in endpoints:
            if not endpoint.health_check_config.port_value:
                endpoint.health_check_config.disable_active_health_check = True
