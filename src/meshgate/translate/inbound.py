"""The inbound side of a sidecar: who may speak to the application, and how."""

from __future__ import annotations

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.authorization import OPEN, Guard
from meshgate.model.proxy import Isolation, Proxy
from meshgate.model.reader import Reader
from meshgate.model.service import AppProtocol
from meshgate.model.workload import InboundPort, MtlsMode
from meshgate.policies.packing import boolean, pack, uint32
from meshgate.translate import guard as guarding
from meshgate.translate import tls
from meshgate.translate.http import connection_manager, detect, http_chain, tcp_chain
from meshgate.translate.names import INBOUND_PASSTHROUGH_CLUSTER, inbound_cluster

VIRTUAL_INBOUND = "virtualInbound"
VIRTUAL_INBOUND_PORT = 15006
PLAIN_HTTP = ("http/1.0", "http/1.1", "h2c")


def listener_names(reader: Reader, proxy: Proxy) -> list[str]:
    """One listener for all ports where traffic is redirected, else one per port."""
    if proxy.isolation is Isolation.NETNS:
        return [VIRTUAL_INBOUND]
    inbound = reader.inbound(str(proxy.workload))
    ports = inbound.ports if inbound else ()
    return [f"inbound_{p.port}" for p in ports if p.port in proxy.inbound_ports]


def listener(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    """The inbound listener of that name."""
    inbound = reader.inbound(str(proxy.workload))
    guard = inbound.guard if inbound else OPEN
    if name == VIRTUAL_INBOUND and proxy.isolation is Isolation.NETNS:
        found = _listener(reader, name, "0.0.0.0", VIRTUAL_INBOUND_PORT)
        found.listener_filters.insert(0, _inspector("original_dst", original_dst_pb2.OriginalDst()))
        for port in inbound.ports if inbound else ():
            found.filter_chains.extend(_chains(port, guard, by_destination=True))
        mode = inbound.default_mtls if inbound else MtlsMode.PERMISSIVE
        found.filter_chains.extend(_passthrough_chains(mode, guard))
        return found
    for port in inbound.ports if inbound else ():
        if name == f"inbound_{port.port}" and port.port in proxy.inbound_ports:
            found = _listener(reader, name, proxy.address, proxy.inbound_ports[port.port])
            found.filter_chains.extend(_chains(port, guard, by_destination=False))
            return found
    return None


def clusters(reader: Reader, proxy: Proxy) -> list[str]:
    """The clusters that the inbound listeners lead to."""
    inbound = reader.inbound(str(proxy.workload))
    names = [inbound_cluster(p.port) for p in (inbound.ports if inbound else ())]
    names += guarding.clusters(inbound.guard) if inbound else []
    return [*names, INBOUND_PASSTHROUGH_CLUSTER] if proxy.isolation is Isolation.NETNS else names


def _listener(reader: Reader, name: str, address: str, port: int) -> listener_pb2.Listener:
    found = listener_pb2.Listener(name=name, traffic_direction=1)
    found.address.socket_address.address = address
    found.address.socket_address.port_value = port
    found.listener_filters.append(_inspector("tls_inspector", tls_inspector_pb2.TlsInspector()))
    found.listener_filters.append(_inspector("http_inspector", http_inspector_pb2.HttpInspector()))
    # A client that says nothing (a server-first protocol) goes on as plain TCP.
    detect(found, reader)
    return found


def _inspector(kind: str, config: object) -> listener_components_pb2.ListenerFilter:
    return listener_components_pb2.ListenerFilter(
        name=f"envoy.filters.listener.{kind}",
        typed_config=pack(config),  # type: ignore[arg-type]
    )


def _chains(
    port: InboundPort, guard: Guard, *, by_destination: bool
) -> list[listener_components_pb2.FilterChain]:
    """The chains of one port: mTLS from proxies of ours, plaintext, or both, as its mode says."""
    chains: list[listener_components_pb2.FilterChain] = []
    if port.mtls is not MtlsMode.DISABLE:
        chains.extend(_mesh_chains(port, guard))
    if port.mtls is not MtlsMode.STRICT:
        chains.extend(_open_chains(port, guard))
    if by_destination:
        for chain in chains:
            chain.filter_chain_match.destination_port.CopyFrom(uint32(port.port))
    return chains


def _mesh_chains(port: InboundPort, guard: Guard) -> list[listener_components_pb2.FilterChain]:
    strict = port.mtls is MtlsMode.STRICT
    tcp_only = not (port.protocol.is_http or port.protocol is AppProtocol.UNKNOWN)
    found = []
    if not tcp_only:
        http = _chain(f"{port.port}-mtls-http", http_chain(_manager(port, guard, mtls=True)))
        # STRICT takes any mTLS client with a certificate of ours, not only proxies of ours.
        http.filter_chain_match.application_protocols.extend(() if strict else tls.MESH_HTTP_ALPN)
        found.append(http)
    if not port.protocol.is_http:
        tcp = _bytes(f"{port.port}-mtls-tcp", port, guard, "inbound_tcp")
        tcp.filter_chain_match.application_protocols.extend(("istio-peer-exchange", "istio"))
        found.append(tcp)
    for chain in found:
        chain.filter_chain_match.transport_protocol = "tls"
        chain.transport_socket.CopyFrom(tls.downstream_mesh())
    return found


def _open_chains(port: InboundPort, guard: Guard) -> list[listener_components_pb2.FilterChain]:
    """Plaintext, and TLS that is not ours, which the application itself ends."""
    if port.protocol.is_http:
        chain = _chain(f"{port.port}-plain", http_chain(_manager(port, guard, mtls=False)))
        chain.filter_chain_match.transport_protocol = "raw_buffer"
        other = _bytes(f"{port.port}-tls", port, guard, "inbound_tls")
        other.filter_chain_match.transport_protocol = "tls"
        return [chain, other]
    tcp = _bytes(f"{port.port}-tcp", port, guard, "inbound_tcp")
    if port.protocol is not AppProtocol.UNKNOWN:
        return [tcp]
    http = _chain(f"{port.port}-plain", http_chain(_manager(port, guard, mtls=False)))
    http.filter_chain_match.transport_protocol = "raw_buffer"
    http.filter_chain_match.application_protocols.extend(PLAIN_HTTP)
    return [http, tcp]


def _passthrough_chains(mode: MtlsMode, guard: Guard) -> list[listener_components_pb2.FilterChain]:
    """Ports that no service names: their bytes go on as they came, under the default mode."""
    found = []
    # Any port may come here, so rules about ports ask the connection.
    filters = guarding.network_filters(guard, frozenset())
    onwards = tcp_chain(INBOUND_PASSTHROUGH_CLUSTER, "inbound_passthrough")
    if mode is not MtlsMode.DISABLE:
        chain = _chain("virtualInbound-mtls", *filters, onwards)
        chain.filter_chain_match.transport_protocol = "tls"
        chain.filter_chain_match.application_protocols.extend(tls.MESH_ALPN)
        chain.transport_socket.CopyFrom(tls.downstream_mesh())
        found.append(chain)
    if mode is not MtlsMode.STRICT:
        found.append(_chain("virtualInbound", *filters, onwards))
    return found


def _chain(name: str, *filters: listener_components_pb2.Filter) -> listener_components_pb2.FilterChain:
    return listener_components_pb2.FilterChain(name=name, filters=filters)


def _bytes(
    name: str, port: InboundPort, guard: Guard, stat_prefix: str
) -> listener_components_pb2.FilterChain:
    filters = guarding.network_filters(guard, frozenset({port.port}))
    return _chain(name, *filters, tcp_chain(inbound_cluster(port.port), stat_prefix))


def _manager(port: InboundPort, guard: Guard, *, mtls: bool) -> hcm.HttpConnectionManager:
    filters = guarding.http_filters(guard, frozenset({port.port}))
    manager = connection_manager(f"inbound_{port.port}", filters)
    guarding.see_as_authorized(manager, guard)
    # The caller's identity comes from its certificate; what it claims is thrown away.
    manager.forward_client_cert_details = (
        hcm.HttpConnectionManager.SANITIZE_SET if mtls else hcm.HttpConnectionManager.SANITIZE
    )
    if mtls:
        details = manager.set_current_client_cert_details
        details.subject.CopyFrom(boolean(True))
        details.uri, details.dns = True, True
    virtual_host = manager.route_config.virtual_hosts.add(name=f"inbound|http|{port.port}", domains=["*"])
    route = virtual_host.routes.add(name="default")
    route.match.prefix = "/"
    route.route.cluster = inbound_cluster(port.port)
    route.route.timeout.SetInParent()
    manager.route_config.name = inbound_cluster(port.port)
    manager.route_config.validate_clusters.CopyFrom(boolean(False))
    return manager
