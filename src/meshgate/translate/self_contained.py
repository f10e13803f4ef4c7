"""A proxy's whole configuration in one bootstrap: nothing left to discover.

For people and for `envoy --mode validate`: what the proxy would learn over ADS is put in
its place. Virtual hosts and clusters that a sidecar learns on demand are all there.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from google.protobuf.message import Message

from meshgate.model.envoy_patch import Area
from meshgate.model.names import short_hosts
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.policies.bridge import CLUSTER as BRIDGE_CLUSTER
from meshgate.policies.packing import pack
from meshgate.policies.proxy_cache import CLUSTER as CACHE_CLUSTER
from meshgate.policies.rate_limit_service import CLUSTER as RATE_LIMIT_CLUSTER
from meshgate.policies.route_logs import CLUSTER as LOGS_CLUSTER
from meshgate.translate import endpoint, gateway, inbound, observe, outbound, patching, secret
from meshgate.translate.bootstrap import add_buckets, runtime, socket_cluster
from meshgate.translate.cluster import PROXY_SOCKET
from meshgate.translate.gateway_http3 import QUIC
from meshgate.translate.names import CLUSTER, LISTENER, OUTBOUND_ROUTES, ROUTES, VIRTUAL_HOST
from meshgate.translate.patched import patch_gateway_routes
from meshgate.translate.translator import EnvoyTranslator

MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
TLS = "envoy.transport_sockets.tls"
ON_DEMAND = "envoy.filters.http.on_demand"

_TRANSLATOR = EnvoyTranslator()


def self_contained(reader: Reader, proxy: Proxy) -> bootstrap_pb2.Bootstrap:
    """All listeners, routes, clusters, endpoints and secrets of `proxy` as static resources."""
    config = bootstrap_pb2.Bootstrap()
    config.node.id, config.node.cluster = proxy.id, f"{proxy.workload.name}.{proxy.namespace}"
    config.layered_runtime.CopyFrom(runtime())
    if proxy.kind is ProxyKind.GATEWAY:
        add_buckets(config)
    builder = _Builder(reader, proxy)
    config.static_resources.listeners.extend(builder.listeners())
    config.static_resources.clusters.extend(builder.clusters())
    return config


class _Builder:
    def __init__(self, reader: Reader, proxy: Proxy) -> None:
        self._reader, self._proxy = reader, proxy
        self._gateway = proxy.kind is ProxyKind.GATEWAY
        self._clusters: set[str] = set()

    def listeners(self) -> list[listener_pb2.Listener]:
        if self._gateway:
            names = gateway.listener_names(self._reader, self._proxy)
        else:
            names = inbound.listener_names(self._reader, self._proxy)
            names += outbound.listener_names(self._reader, self._proxy)
        extra = patching.added_names(self._reader, self._proxy, Area.LISTENER)
        found = [self._make(LISTENER, name) for name in (*names, *sorted(extra - set(names)))]
        listeners = [listener for listener in found if isinstance(listener, listener_pb2.Listener)]
        for listener in listeners:
            chains = [*listener.filter_chains]
            if listener.HasField("default_filter_chain"):
                chains.append(listener.default_filter_chain)
            for chain in chains:
                self._complete(chain)
        return listeners

    def _make(self, type_url: str, name: str) -> Message | None:
        return _TRANSLATOR.translate(self._reader, self._proxy, type_url, name)

    def _complete(self, chain: listener_components_pb2.FilterChain) -> None:
        for filter_ in chain.filters:
            if filter_.name == MANAGER:
                manager = hcm.HttpConnectionManager()
                filter_.typed_config.Unpack(manager)
                self._routes(manager)
                filter_.typed_config.CopyFrom(pack(manager))
            if filter_.name == TCP_PROXY:
                self._carried(filter_)
        if chain.HasField("transport_socket"):
            self._secrets(chain.transport_socket, tls_pb2.DownstreamTlsContext())

    def _carried(self, filter_: listener_components_pb2.Filter) -> None:
        proxy = tcp_proxy_pb2.TcpProxy()
        filter_.typed_config.Unpack(proxy)
        proxy.ClearField("on_demand")
        weighted = proxy.weighted_clusters.clusters
        self._clusters.update(filter(None, (proxy.cluster, *(entry.name for entry in weighted))))
        filter_.typed_config.CopyFrom(pack(proxy))

    def _routes(self, manager: hcm.HttpConnectionManager) -> None:
        if manager.HasField("rds"):
            name = manager.rds.route_config_name
            if self._gateway:
                found: Message | None = gateway.routes(self._reader, self._proxy, name)
                assert isinstance(found, route_pb2.RouteConfiguration)
                patch_gateway_routes(self._reader, self._proxy, found)
            else:
                found = self._make(ROUTES, name)
            manager.route_config.CopyFrom(found or route_pb2.RouteConfiguration(name=name))
        if manager.route_config.HasField("vhds"):
            manager.route_config.ClearField("vhds")
            manager.route_config.virtual_hosts.extend(self._known_hosts())
        kept = [f for f in manager.http_filters if f.name != ON_DEMAND]
        del manager.http_filters[:]
        manager.http_filters.extend(kept)
        self._clusters.update(_named_clusters(manager.route_config.virtual_hosts))

    def _known_hosts(self) -> Iterable[route_components_pb2.VirtualHost]:
        hosts: dict[str, None] = {}
        for _, service in sorted(self._reader.all_services().items()):
            for name in short_hosts(service.name, self._proxy.namespace):
                hosts[name] = None
                hosts.update({f"{name}:{port.number}": None for port in service.ports})
        known = sorted(self._reader.mesh_host_names())
        # Envoy compares hosts in lower case: a rule for another spelling is one that no request meets.
        hosts.update({h: None for h in known if not h.startswith("*") and h == h.lower()})
        for host in hosts:
            found = self._make(VIRTUAL_HOST, f"{OUTBOUND_ROUTES}/{host}")
            if isinstance(found, route_components_pb2.VirtualHost):
                yield found

    def clusters(self) -> list[cluster_pb2.Cluster]:
        if self._gateway:
            names = set(gateway.clusters(self._reader))
        else:
            names = {
                *inbound.clusters(self._reader, self._proxy),
                *outbound.clusters(self._reader, self._proxy),
            }
        names.update(observe.clusters(self._reader, self._proxy))
        names |= patching.added_names(self._reader, self._proxy, Area.CLUSTER)
        found = []
        for name in sorted(names | self._clusters):
            built = self._make(CLUSTER, name)
            if isinstance(built, cluster_pb2.Cluster):
                found.append(self._cluster(built))
        if self._gateway:
            found.append(socket_cluster(RATE_LIMIT_CLUSTER, "rate-limit.sock"))
            found.append(socket_cluster(BRIDGE_CLUSTER, "bridge.sock"))
            found.append(socket_cluster(CACHE_CLUSTER, "cache.sock"))
            found.append(socket_cluster(LOGS_CLUSTER, "logs.sock"))
        return found

    def _cluster(self, built: cluster_pb2.Cluster) -> cluster_pb2.Cluster:
        if built.type == cluster_pb2.Cluster.EDS:
            assignment = endpoint.translate(
                self._reader, self._proxy, built.eds_cluster_config.service_name or built.name
            )
            built.ClearField("eds_cluster_config")
            built.type = cluster_pb2.Cluster.STATIC
            built.load_assignment.CopyFrom(
                assignment or endpoint_pb2.ClusterLoadAssignment(cluster_name=built.name)
            )
        if built.HasField("transport_socket"):
            self._secrets(built.transport_socket, tls_pb2.UpstreamTlsContext())
        for match in built.transport_socket_matches:
            self._secrets(match.transport_socket, tls_pb2.UpstreamTlsContext())
        return built

    def _secrets(
        self,
        socket: base_pb2.TransportSocket,
        context: tls_pb2.DownstreamTlsContext | tls_pb2.UpstreamTlsContext,
    ) -> None:
        if socket.name == PROXY_SOCKET:
            wrapped = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
            socket.typed_config.Unpack(wrapped)
            self._secrets(wrapped.transport_socket, context)
            socket.typed_config.CopyFrom(pack(wrapped))
            return
        if socket.name == QUIC:
            quic = quic_transport_pb2.QuicDownstreamTransport()
            socket.typed_config.Unpack(quic)
            inner = base_pb2.TransportSocket(name=TLS, typed_config=pack(quic.downstream_tls_context))
            self._secrets(inner, context)
            inner.typed_config.Unpack(quic.downstream_tls_context)
            socket.typed_config.CopyFrom(pack(quic))
            return
        if socket.name != TLS:
            return
        socket.typed_config.Unpack(context)
        common = context.common_tls_context
        names = [s.name for s in common.tls_certificate_sds_secret_configs]
        del common.tls_certificate_sds_secret_configs[:]
        for name in names:
            found = self._secret(name)
            if found is not None:
                common.tls_certificates.append(found.tls_certificate)
        if common.HasField("combined_validation_context"):
            validation = tls_pb2.CommonTlsContext().combined_validation_context.default_validation_context
            validation.CopyFrom(common.combined_validation_context.default_validation_context)
            bundle = self._secret(
                common.combined_validation_context.validation_context_sds_secret_config.name
            )
            if bundle is not None:
                validation.MergeFrom(bundle.validation_context)
            common.validation_context.CopyFrom(validation)
        socket.typed_config.CopyFrom(pack(context))

    def _secret(self, name: str) -> secret_pb2.Secret | None:
        return secret.translate(self._reader, self._proxy, name)


def _named_clusters(hosts: Iterable[route_components_pb2.VirtualHost]) -> set[str]:
    names: set[str] = set()
    for host in hosts:
        for route in host.routes:
            names.add(route.route.cluster)
            names.update(entry.name for entry in route.route.weighted_clusters.clusters)
            names.update(mirror.cluster for mirror in route.route.request_mirror_policies)
    return names - {""}
