"""Filter chains of Gateways' servers: HTTP, TLS that is ended here, and whole connections.

Istio's Gateways are at the gateway's own address, those of the Gateway API at theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.direct_response.v3 import config_pb2 as direct_response_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.edge_ports import real_ports
from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT, EdgeServer, ServerTlsMode
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.policies.ip_restriction import refused_networks
from meshgate.policies.packing import pack, uint32
from meshgate.translate import named_services, tls
from meshgate.translate.client_certificates import asked_hosts
from meshgate.translate.guard import Access, network_filters
from meshgate.translate.http import http_chain
from meshgate.translate.streams import connection_policy, stream_chain

LISTENER_PREFIX = "gateway."
TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"
MANAGER = "envoy.filters.network.http_connection_manager"
_CHECKS_CLIENTS = (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)

MakeManager = Callable[[str, bool], hcm.HttpConnectionManager]
"""A connection manager for a route configuration's name, and whether clients' certificates are unverified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a listener is."""

    port: int
    """As its Gateway says."""
    address: str = ""
    """Empty for the gateway's own."""
    datagrams: bool = False

    @property
    def listener(self) -> str:
        """The name of its listener: `gateway.9000`, `gateway.127.64.0.1.80`, `gateway.127.64.0.1.udp.53`."""
        between = f"{self.address}." if self.address else ""
        return f"{LISTENER_PREFIX}{between}{'udp.' if self.datagrams else ''}{self.port}"

    def holds(self, server: EdgeServer) -> bool:
        """Whether a server is there."""
        there = self.address in server.addresses if self.address else not server.addresses
        return there and (server.port, server.datagrams) == (self.port, self.datagrams)


def listener_names(reader: Reader, proxy: Proxy) -> list[str]:
    """The names of the listeners that the gateway does not have by itself."""
    return [place.listener for place in places(reader, proxy)]


def places(reader: Reader, proxy: Proxy) -> list[Place]:
    """Where Gateways have listeners, but for those that the gateway has by itself."""
    own = {HTTP_PORT, HTTPS_PORT, proxy.http_port, proxy.https_port}
    found: set[Place] = set()
    for server in reader.all_edge_servers().values():
        if not server.addresses and server.port not in own:
            found.add(Place(port=server.port, datagrams=server.datagrams))
        for address in server.addresses:
            if proxy.https_port or server.port != HTTPS_PORT:
                found.add(Place(port=server.port, address=address, datagrams=server.datagrams))
    return sorted(found, key=lambda p: (p.address, p.port, p.datagrams))


def listener_place(name: str) -> Place | None:
    """The place in a listener's name; None for the gateway's own listeners."""
    written = name.removeprefix(LISTENER_PREFIX)
    rest, _, port = written.rpartition(".")
    if written == name or not port.isdecimal():
        return None
    datagrams = rest == "udp" or rest.endswith(".udp")
    return Place(port=int(port), address=rest.removesuffix("udp").rstrip("."), datagrams=datagrams)


def place_of(reader: Reader, proxy: Proxy, place: Place) -> tuple[str, int]:
    """The address and port to which clients of a listener connect."""
    if not place.address:
        return proxy.address, place.port
    ports = [
        s.port
        for s in reader.all_edge_servers().values()
        if place.address in s.addresses and s.datagrams == place.datagrams
    ]
    return place.address, real_ports(ports, proxy.http_port, proxy.https_port)[place.port]


def add_chains(
    reader: Reader,
    proxy: Proxy,
    found: listener_pb2.Listener,
    place: Place,
    access: Access,
    manager: MakeManager,
) -> set[str]:
    """Adds the chains of a place's servers; gives the server names that they have taken.

    A server whose certificate is gone gets no chain: it is closed, the others stay.
    """
    taken: set[str] = set()
    servers = [(n, s) for n, s in sorted(reader.all_edge_servers().items()) if place.holds(s)]
    for name, server in servers:
        if server.tls is not None and any(reader.certificate(c) is None for c in server.tls.certificates):
            continue
        if server.sni:
            chain = found.filter_chains.add(name=name)
            chain.filter_chain_match.server_names.extend(server.sni)
            taken.update(server.sni)
        else:
            chain = found.default_filter_chain
            chain.name = name
        if server.to_named_service:
            chain.filters.extend(network_filters(access.guard, access.ports))
            chain.filters.extend(named_services.filters(name))
        elif server.routes:
            chain.filters.append(http_chain(manager(server.routes, _unverified(reader, server))))
        else:
            policy = connection_policy(reader, proxy, server.destinations)
            chain.filters.extend(network_filters(access.guard, access.ports))
            chain.filters.append(stream_chain(server.destinations, name, policy))
        if server.restriction is not None and (refused := refused_networks(server.restriction)):
            found.filter_chains.append(_refusing(name, server.sni, refused))
        if server.tls is not None:
            asked = asked_hosts(reader, server.routes)
            told = asked.told(asked.authorities) if asked.authorities else None
            chain.transport_socket.CopyFrom(tls.downstream_server(server.tls, told))
    looks = any(server.sni or server.to_named_service for _, server in servers)
    if looks and not any(f.name == TLS_INSPECTOR for f in found.listener_filters):
        inspector = found.listener_filters.add(name=TLS_INSPECTOR)
        inspector.typed_config.CopyFrom(pack(tls_inspector_pb2.TlsInspector()))
    return taken


def _refusing(
    name: str, server_names: Iterable[str], networks: Iterable[str]
) -> listener_components_pb2.FilterChain:
    """Ends connections of addresses that the server is not for, before a byte of either side passes.

    Envoy's `rbac` (1.40) would wait for the client's first byte, and the service may speak first. Of the
    chains for a server name Envoy takes the one with the narrowest network of the client's address.
    """
    chain = listener_components_pb2.FilterChain(name=f"{name}.refused")
    chain.filter_chain_match.server_names.extend(server_names)
    for network in networks:
        address, _, length = network.partition("/")
        chain.filter_chain_match.source_prefix_ranges.add(
            address_prefix=address, prefix_len=uint32(int(length))
        )
    ends = chain.filters.add(name="envoy.filters.network.direct_response")
    ends.typed_config.CopyFrom(pack(direct_response_pb2.Config()))
    return chain


def _unverified(reader: Reader, server: EdgeServer) -> bool:
    if server.tls is None:
        return False
    asked = server.tls.mode is ServerTlsMode.SIMPLE and bool(asked_hosts(reader, server.routes).authorities)
    return asked or server.tls.accept_untrusted


def configuration_by_name(listener: listener_pb2.Listener, host: str) -> str:
    """The route configuration of the chain that a server name chooses; empty where there is none
    (exact names, then wildcards from the narrowest, then the default, as Envoy 1.40 chooses)."""
    labels = host.split(".")
    for name in (host, *("*." + ".".join(labels[i:]) for i in range(1, len(labels))), ""):
        for chain in listener.filter_chains:
            names = chain.filter_chain_match.server_names
            if name in names or (not name and not names):
                return _configuration(chain)
    return _configuration(listener.default_filter_chain)


def _configuration(chain: listener_components_pb2.FilterChain) -> str:
    for one in chain.filters:
        if one.name == MANAGER:
            manager = hcm.HttpConnectionManager()
            one.typed_config.Unpack(manager)
            return str(manager.rds.route_config_name)
    return ""
