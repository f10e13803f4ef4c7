"""The one outbound listener of a sidecar to which all of its application's connections are redirected.

Where a connection was going decides first, then how it begins: a port of a service that
is not HTTP has chains for its address; every other address of a service is HTTP's; hosts
without an address are known by the server name that TLS asks for. What is left is looked
at, and goes to the routes if it is HTTP and to where it was going if it is not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import (
    sni_dynamic_forward_proxy_pb2 as sni_pb2,
)

from meshgate.model.external import Resolution
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination
from meshgate.model.service import AppProtocol, Service, ServicePort
from meshgate.policies.packing import pack
from meshgate.translate import streams, visibility
from meshgate.translate.dns import dns_cache
from meshgate.translate.http import tcp_chain
from meshgate.translate.names import PASSTHROUGH_CLUSTER, outbound_cluster
from meshgate.translate.streams import Way

PLAIN_HTTP = ("http/1.0", "http/1.1")
H2C = "h2c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One port of a host that is carried as bytes, or may be."""

    host: str
    port: ServicePort
    address: str
    """Or a range. Empty: it has none, and is known by its name."""
    ways: tuple[Way, ...]
    looked_up: bool = False
    """The server name of TLS is looked up and decides where a connection goes."""

    @property
    def sniffed(self) -> bool:
        """Whether its first bytes decide if they are requests."""
        return self.port.protocol is AppProtocol.UNKNOWN


def captured(reader: Reader, proxy: Proxy) -> list[Captured]:
    """All of them; of two at one address and port the first by host."""
    found: dict[tuple[int, str, str], Captured] = {}
    for host, service in sorted(reader.all_services().items()):
        if not visibility.sees(reader, proxy, service, 0):
            continue
        for address in filter(None, (reader.address(host),)):
            for one in _ports(reader, proxy, service, host, address):
                found.setdefault((one.port.number, address, ""), one)
    for host, entry in sorted(reader.all_entries().items()):
        external = entry.external
        if external is None or not visibility.sees(reader, proxy, entry, 0):
            continue
        given = [_short(a) for a in external.addresses if ":" not in a]
        # The address that DNS gives to members, and whatever else TLS to that name goes to.
        for address in given or (*filter(None, (reader.address(host),)), ""):
            for one in _ports(reader, proxy, entry, host, address):
                found.setdefault((one.port.number, address, "" if address else host), one)
    return list(found.values())


def _short(address: str) -> str:
    """An address alone, or a range by its first address."""
    network = ipaddress.ip_network(address, strict=False)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _ports(reader: Reader, proxy: Proxy, service: Service, host: str, address: str) -> Iterator[Captured]:
    for port in service.ports:
        if not visibility.sees(reader, proxy, service, port.number):
            continue
        if port.protocol in streams.OPAQUE or (address and port.protocol is AppProtocol.UNKNOWN):
            ways = streams.ways(reader, proxy, host, port)
            dynamic = is_dynamic(service)
            yield Captured(host=host, port=port, address=address, ways=ways, looked_up=dynamic)


def looks_up(reader: Reader, proxy: Proxy) -> bool:
    """Whether there is a host of which this proxy looks up what requests ask for."""
    entries = reader.all_entries().values()
    return any(
        is_dynamic(e)
        and e.external is not None
        and e.external.visible_from(proxy.namespace, e.name.namespace)
        for e in entries
    )


def is_dynamic(service: Service) -> bool:
    """Whether requests and connections say by themselves which name they mean."""
    return service.external is not None and service.external.resolution is Resolution.DYNAMIC_DNS


def clusters(reader: Reader, proxy: Proxy) -> list[str]:
    """Those of ports that are always carried as bytes; the others come on demand."""
    return [
        name
        for one in captured(reader, proxy)
        if not one.sniffed
        for way in _reachable(one)
        for name in streams.clusters(way.destinations)
    ]


def _reachable(one: Captured) -> list[Way]:
    """The ways that connections may take: to its address, or to the server names of a host without one."""
    if one.address and not one.looked_up:
        return [way for way in one.ways if way.takes(one.address)]
    named = [way for way in one.ways if way.server_names or way.subnets]
    if one.port.protocol is AppProtocol.TCP:
        return named
    rest = (way for way in one.ways if way not in named)
    return [*named, *(Way(server_names=(one.host,), destinations=way.destinations) for way in rest)]


@dataclass(slots=True)
class Chains:
    """The filter chains of the listener while they are gathered: Envoy takes none twice."""

    listener: listener_pb2.Listener
    http: listener_components_pb2.Filter
    subnet: str
    """Of the services' addresses; empty where it is not known."""
    _taken: set[tuple[int, str, str]] = field(default_factory=set)

    def add(self, one: Captured) -> None:
        """The chains of one port of a host."""
        for way in _reachable(one):
            for subnet in way.prefixes(one.address) or ("",):
                names = tuple(n for n in way.server_names or ("",) if self._free(one, subnet, n))
                if names:
                    self._bytes(one, way, subnet, tuple(filter(None, names)))
        if one.sniffed:
            match = self._match(one.port.number, one.address, f"{self._name(one)}|http", (self.http,))
            match.application_protocols.extend(PLAIN_HTTP)
            if any(way.server_names for way in one.ways):
                # TLS by another name may offer HTTP too, and is not to be taken for it.
                last = one.ways[-1]
                carried = streams.stream_chain(
                    last.destinations, self._name(one), last.policy, on_demand=True
                )
                filters = (streams.as_bytes(), carried)
                self._match(
                    one.port.number, one.address, f"{self._name(one)}|tls", filters
                ).transport_protocol = "tls"

    def services(self, port: int) -> None:
        """Requests to every other service at a port; 0 for ports that have no chains of their own."""
        if self.subnet:
            name = f"services|{port}" if port else "services"
            self._match(port, self.subnet, name, (self.http,))

    def _free(self, one: Captured, subnet: str, name: str) -> bool:
        key = (one.port.number, subnet, name)
        fresh = key not in self._taken
        self._taken.add(key)
        return fresh

    def _bytes(self, one: Captured, way: Way, subnet: str, names: tuple[str, ...]) -> None:
        cluster = outbound_cluster(Destination(host=one.host, port=one.port.number))
        carried = streams.stream_chain(way.destinations, cluster, way.policy, on_demand=one.sniffed)
        filters = (streams.as_bytes(), carried) if one.sniffed else (carried,)
        if one.looked_up and all(e.destination.host == one.host for e in way.destinations):
            filters = (_look_up(one.port), carried)
        name = "|".join((self._name(one), subnet if subnet != one.address else "", *names[:1])).rstrip("|")
        match = self._match(one.port.number, subnet, name, filters)
        if names:
            match.transport_protocol = "tls"
        # Envoy knows no name for every name.
        match.server_names.extend(() if "*" in names else names)

    def _name(self, one: Captured) -> str:
        return outbound_cluster(Destination(host=one.host, port=one.port.number))

    def _match(
        self, port: int, subnet: str, name: str, filters: tuple[listener_components_pb2.Filter, ...]
    ) -> listener_components_pb2.FilterChainMatch:
        chain = self.listener.filter_chains.add(name=name, filters=filters)
        if port:
            chain.filter_chain_match.destination_port.value = port
        if subnet:
            address, _, length = subnet.partition("/")
            prefix = chain.filter_chain_match.prefix_ranges.add(address_prefix=address)
            prefix.prefix_len.value = int(length or 32)
        return chain.filter_chain_match


def _look_up(port: ServicePort) -> listener_components_pb2.Filter:
    config = sni_pb2.FilterConfig(dns_cache_config=dns_cache(), port_value=int(port.target or port.number))
    return listener_components_pb2.Filter(
        name="envoy.filters.network.sni_dynamic_forward_proxy", typed_config=pack(config)
    )


def fill(
    found: listener_pb2.Listener, reader: Reader, proxy: Proxy, http: listener_components_pb2.Filter
) -> None:
    """Adds inspectors and chains to the listener; `http` holds the routes that come on demand."""
    ports = captured(reader, proxy)
    chains = Chains(found, http, proxy.service_subnet)
    for one in ports:
        chains.add(one)
    for number in sorted({one.port.number for one in ports}):
        chains.services(number)
    chains.services(0)
    plain = found.filter_chains.add(name="http", filters=[http])
    plain.filter_chain_match.application_protocols.extend((*PLAIN_HTTP, H2C))
    rest = visibility.outside_cluster(reader, proxy) or PASSTHROUGH_CLUSTER
    found.default_filter_chain.name = rest
    found.default_filter_chain.filters.append(tcp_chain(rest, rest))
    _inspect(found, ports)


def _inspect(found: listener_pb2.Listener, ports: list[Captured]) -> None:
    """Looks only where it matters: a server that speaks first would wait for the look to end."""
    by_name = {one.port.number for one in ports if any(way.server_names for way in _reachable(one))}
    if by_name:
        inspector = found.listener_filters.add(name="envoy.filters.listener.tls_inspector")
        inspector.typed_config.CopyFrom(pack(tls_inspector_pb2.TlsInspector()))
        inspector.filter_disabled.not_match.CopyFrom(_at(by_name))
    inspector = found.listener_filters.add(name="envoy.filters.listener.http_inspector")
    inspector.typed_config.CopyFrom(pack(http_inspector_pb2.HttpInspector()))
    opaque = {one.port.number for one in ports} - {one.port.number for one in ports if one.sniffed}
    if opaque:
        inspector.filter_disabled.CopyFrom(_at(opaque))


def _at(ports: set[int]) -> listener_components_pb2.ListenerFilterChainMatchPredicate:
    """Connections to any of the ports."""
    rules = []
    for port in sorted(ports):
        rule = listener_components_pb2.ListenerFilterChainMatchPredicate()
        rule.destination_port_range.start, rule.destination_port_range.end = port, port + 1
        rules.append(rule)
    if len(rules) == 1:
        return rules[0]
    predicate = listener_components_pb2.ListenerFilterChainMatchPredicate()
    predicate.or_match.rules.extend(rules)
    return predicate
