"""What an Envoy is started with: who it is and where its configuration comes from."""

from __future__ import annotations

from dataclasses import dataclass

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.config.overload.v3 import overload_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2
from envoy.extensions.resource_monitors.fixed_heap.v3 import fixed_heap_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from meshgate.core.secret import Secret
from meshgate.model.locality import NOWHERE
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.policies.bridge import CLUSTER as BRIDGE_CLUSTER
from meshgate.policies.packing import duration, pack, uint32
from meshgate.policies.proxy_cache import CLUSTER as CACHE_CLUSTER
from meshgate.policies.rate_limit_service import CLUSTER as RATE_LIMIT_CLUSTER
from meshgate.policies.route_counts import BUCKETS, PREFIX
from meshgate.policies.route_logs import CLUSTER as LOGS_CLUSTER
from meshgate.translate.tls import ads_source
from meshgate.translate.upstream_protocol import HTTP_OPTIONS

XDS_CLUSTER = "xds-grpc"
MAX_REGEX_PROGRAM = 32_768
"""Istio's limit for compiled regexes."""
MAX_EDGE_CONNECTIONS = 50_000
"""Connections that the gateway holds at most, so that a flood cannot take its memory."""
MAX_EDGE_HEAP_BYTES = 2 * 1024**3
"""Heap of the gateway; 50,000 idle connections take about half of it."""
_HEAP = "envoy.resource_monitors.fixed_heap"
_SHORTEST_MS = (
    (overload_pb2.ScaleTimersOverloadActionConfig.HTTP_DOWNSTREAM_CONNECTION_IDLE, 2_000),
    (overload_pb2.ScaleTimersOverloadActionConfig.HTTP_DOWNSTREAM_STREAM_IDLE, 10_000),
)
"""Timers that overload shortens, and how far."""
_SHEDDING = (
    ("shrink_heap", 0.9),
    ("disable_http_keepalive", 0.92),
    ("stop_accepting_requests", 0.95),
    ("reset_high_memory_stream", 0.97),
    ("reject_incoming_connections", 0.98),
)
"""Actions, and the share of the heap from which they hold."""
_RECONNECT_FIRST_MS = 100
_RECONNECT_LONGEST_MS = 1_000
"""Between tries to reach the control plane. Envoy's own 30 s would leave a proxy at its old
configuration for that long after the control plane is back, which takes a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Unix sockets on this machine; each path at most 107 bytes."""

    xds: str
    admin: str
    rate_limit: str = ""
    """Empty for proxies that ask no rate limit service."""
    bridge: str = ""
    """Empty for proxies that have nothing to ask the bridge."""
    cache: str = ""
    """Empty for proxies that keep no answers."""
    logs: str = ""
    """Empty for proxies that have nothing to write down."""


def bootstrap(proxy: Proxy, sockets: Sockets, token: Secret) -> bootstrap_pb2.Bootstrap:
    """The bootstrap of a proxy that gets everything else over one delta ADS stream.

    The result holds the proxy's token: whoever stores it keeps it readable by the proxy only.
    """
    config = bootstrap_pb2.Bootstrap()
    config.node.id = proxy.id
    config.node.cluster = f"{proxy.workload.name}.{proxy.namespace}"
    place = proxy.locality
    if place != NOWHERE:
        config.node.locality.region, config.node.locality.zone = place.region, place.zone
        config.node.locality.sub_zone = place.sub_zone
    config.node.metadata.update(dict(sorted(proxy.described.items())))
    _admin(config, sockets.admin)
    ads = config.dynamic_resources.ads_config
    ads.api_type = config_source_pb2.ApiConfigSource.DELTA_GRPC
    ads.transport_api_version = config_source_pb2.V3
    service = ads.grpc_services.add()
    service.envoy_grpc.cluster_name = XDS_CLUSTER
    back_off = service.envoy_grpc.retry_policy.retry_back_off
    back_off.base_interval.CopyFrom(duration(_RECONNECT_FIRST_MS))
    back_off.max_interval.CopyFrom(duration(_RECONNECT_LONGEST_MS))
    service.initial_metadata.append(
        base_pb2.HeaderValue(key="authorization", value=f"Bearer {token.reveal_text()}")
    )
    for source in (config.dynamic_resources.lds_config, config.dynamic_resources.cds_config):
        source.CopyFrom(ads_source())
        # For ever, as in Istio: after Envoy's own 15 s it would call itself ready with nothing, and the
        # proxy that it replaces would go.
        source.initial_fetch_timeout.SetInParent()
    config.static_resources.clusters.append(socket_cluster(XDS_CLUSTER, sockets.xds))
    if sockets.rate_limit:
        config.static_resources.clusters.append(socket_cluster(RATE_LIMIT_CLUSTER, sockets.rate_limit))
    if sockets.bridge:
        config.static_resources.clusters.append(socket_cluster(BRIDGE_CLUSTER, sockets.bridge))
    if sockets.cache:
        config.static_resources.clusters.append(socket_cluster(CACHE_CLUSTER, sockets.cache))
    if sockets.logs:
        config.static_resources.clusters.append(socket_cluster(LOGS_CLUSTER, sockets.logs))
    config.layered_runtime.CopyFrom(runtime())
    if proxy.kind is ProxyKind.GATEWAY:
        add_buckets(config)
        config.overload_manager.CopyFrom(overload_manager())
    return config


def runtime() -> bootstrap_pb2.LayeredRuntime:
    """Settings without a field of their own.

    Regexes may be as large as Istio allows (Envoy's default is 100). Authorization rules
    compare several values of a header as one text, as Istio documents it: an ALLOW rule for
    `admin` is not met by `guest` and `admin`. (Envoy 1.40 would compare them one by one;
    what keeps requests out does so by its pattern, see `policies/matching_text.py`.)
    """
    found = bootstrap_pb2.LayeredRuntime()
    layer = found.layers.add(name="meshgate")
    layer.static_layer.update(
        {
            "re2.max_program_size.error_level": MAX_REGEX_PROGRAM,
            "envoy.reloadable_features.rbac_match_headers_individually": False,
        }
    )
    return found


def add_buckets(config: bootstrap_pb2.Bootstrap) -> None:
    """The limits of Kong's histograms, which only a bootstrap can set."""
    for metric, limits in BUCKETS.items():
        setting = config.stats_config.histogram_bucket_settings.add(buckets=map(float, limits))
        setting.match.prefix = f"{PREFIX}.{metric}"


def _admin(config: bootstrap_pb2.Bootstrap, path: str) -> None:
    config.admin.address.pipe.path = path
    config.admin.address.pipe.mode = 0o600


def socket_cluster(name: str, path: str) -> cluster_pb2.Cluster:
    """A cluster that leads to a gRPC server on a Unix socket."""
    cluster = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.STATIC, connect_timeout=duration(1000))
    cluster.load_assignment.cluster_name = name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.pipe.path = path
    options = http_protocol_options_pb2.HttpProtocolOptions()
    keepalive = options.explicit_http_config.http2_protocol_options.connection_keepalive
    keepalive.interval.CopyFrom(duration(30_000))
    keepalive.timeout.CopyFrom(duration(10_000))
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    thresholds = cluster.circuit_breakers.thresholds.add()
    thresholds.max_requests.CopyFrom(uint32(100_000))
    thresholds.max_pending_requests.CopyFrom(uint32(100_000))
    return cluster


def overload_manager() -> overload_pb2.OverloadManager:
    """What the gateway does before it runs out of memory or connections.

    Envoy's advice for the edge: shorter patience with idle clients from 85% of the heap on, no
    new requests from 95%, no new connections from 98%.
    """
    manager = overload_pb2.OverloadManager()
    manager.refresh_interval.CopyFrom(duration(250))
    # Streams that hold a megabyte and more can be told apart, and end first.
    manager.buffer_factory_config.minimum_account_to_track_power_of_two = 20
    manager.resource_monitors.add(
        name=_HEAP,
        typed_config=pack(fixed_heap_pb2.FixedHeapConfig(max_heap_size_bytes=MAX_EDGE_HEAP_BYTES)),
    )
    manager.resource_monitors.add(
        name="envoy.resource_monitors.global_downstream_max_connections",
        typed_config=pack(
            downstream_connections_pb2.DownstreamConnectionsConfig(
                max_active_downstream_connections=MAX_EDGE_CONNECTIONS
            )
        ),
    )
    patience = manager.actions.add(name="envoy.overload_actions.reduce_timeouts")
    scaled = patience.triggers.add(name=_HEAP).scaled
    scaled.scaling_threshold, scaled.saturation_threshold = 0.85, 0.95
    timeouts = overload_pb2.ScaleTimersOverloadActionConfig()
    for timer, shortest_ms in _SHORTEST_MS:
        timeouts.timer_scale_factors.add(timer=timer).min_timeout.CopyFrom(duration(shortest_ms))
    patience.typed_config.CopyFrom(pack(timeouts))
    for action, threshold in _SHEDDING:
        manager.actions.add(name=f"envoy.overload_actions.{action}").triggers.add(
            name=_HEAP
        ).threshold.value = threshold
    return manager
