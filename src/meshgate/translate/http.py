"""HTTP connection managers: what the three kinds of listeners have in common."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3 import protocol_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as pb
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from meshgate.model.reader import Reader
from meshgate.policies.packing import boolean, duration, http_filter, pack, uint32
from meshgate.translate.fault import FAULT_FILTER

MAX_STREAMS = 1000
"""Concurrent HTTP/2 streams that a proxy accepts on one connection from another."""


def detect(listener: listener_pb2.Listener, reader: Reader) -> None:
    """How long a listener looks at first bytes; then a connection goes on as one that told nothing.

    Who waits is a server that speaks first, on a port that does not say what it speaks.
    """
    listener.listener_filters_timeout.CopyFrom(duration(reader.mesh_config().protocol_detection_timeout_ms))
    listener.continue_on_listener_filters_timeout = True


def connection_manager(stat_prefix: str, filters: Iterable[pb.HttpFilter]) -> pb.HttpConnectionManager:
    """A connection manager with the filters, then faults and the router; paths are normalised."""
    manager = pb.HttpConnectionManager(
        stat_prefix=stat_prefix,
        codec_type=pb.HttpConnectionManager.AUTO,
        normalize_path=boolean(True),
        server_header_transformation=pb.HttpConnectionManager.PASS_THROUGH,
    )
    manager.http_filters.extend(filters)
    manager.http_filters.append(http_filter(FAULT_FILTER, fault_pb2.HTTPFault()))
    # The sidecars' tracing and statistics are read from counters, never made per request here.
    manager.http_filters.append(http_filter("envoy.filters.http.router", router_pb2.Router()))
    manager.upgrade_configs.add(upgrade_type="websocket")
    manager.http2_protocol_options.CopyFrom(
        protocol_pb2.Http2ProtocolOptions(allow_connect=True, max_concurrent_streams=uint32(MAX_STREAMS))
    )
    return manager


def http_chain(manager: pb.HttpConnectionManager) -> listener_components_pb2.Filter:
    """The network filter that holds a connection manager."""
    return listener_components_pb2.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=pack(manager)
    )


def tcp_chain(cluster: str, stat_prefix: str) -> listener_components_pb2.Filter:
    """The network filter that carries bytes to a cluster."""
    return listener_components_pb2.Filter(
        name="envoy.filters.network.tcp_proxy",
        typed_config=pack(tcp_proxy_pb2.TcpProxy(cluster=cluster, stat_prefix=stat_prefix)),
    )
