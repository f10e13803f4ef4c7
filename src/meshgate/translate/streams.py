"""Where whole connections go: to the service that was asked for, or as `tls` and `tcp` routes say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from meshgate.model.destination import TrafficPolicy
from meshgate.model.gateway import StreamMatch, StreamRule
from meshgate.model.graph import MeshStreams
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination, WeightedDestination
from meshgate.model.service import AppProtocol, ServicePort
from meshgate.policies.packing import duration, pack
from meshgate.translate import tls
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.names import outbound_cluster
from meshgate.translate.route import with_port

OPAQUE = (AppProtocol.TCP, AppProtocol.TLS, AppProtocol.HTTPS)
"""What is carried as bytes."""
_SEEN_BY_NAME = (AppProtocol.TLS, AppProtocol.HTTPS, AppProtocol.UNKNOWN)
"""Ports whose connections may begin with TLS that names its server."""
_ON_DEMAND_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where connections to a port of a host go that begin in a certain way."""

    server_names: tuple[str, ...] = ()
    """Of TLS, any of them; none: however they begin."""
    subnets: tuple[str, ...] = ()
    """To which the address that was asked for belongs; none: any."""
    destinations: tuple[WeightedDestination, ...]
    policy: TrafficPolicy | None = None
    """What a DestinationRule says about its connections."""

    def takes(self, address: str) -> bool:
        """Whether connections to the address, or to some of the range, may go this way."""
        return not self.subnets or bool(self.prefixes(address))

    def prefixes(self, address: str) -> tuple[str, ...]:
        """The ranges that are both of the address or range and of `subnets`; empty for either is any."""
        if not address or not self.subnets:
            return (address,) if address else self.subnets
        wide = ipaddress.ip_network(address)
        nets = [ipaddress.ip_network(s, strict=False) for s in self.subnets]
        shared = [n if n.prefixlen > wide.prefixlen else wide for n in nets if n.overlaps(wide)]
        return tuple(dict.fromkeys(address if n == wide else str(n) for n in shared))


def ways(reader: Reader, proxy: Proxy, host: str, port: ServicePort) -> tuple[Way, ...]:
    """By server name first, then by address; the last takes every connection, unless `tls` routes
    hold for the port: then other connections are not for this host (as in Istio 1.27)."""
    found = tuple(_by_name(reader, proxy, host, port)) if port.protocol in _SEEN_BY_NAME else ()
    if not found or port.protocol is AppProtocol.UNKNOWN:
        found = (*found, *_by_address(reader, proxy, host, port.number))
    return tuple(replace(w, policy=connection_policy(reader, proxy, w.destinations)) for w in found)


def chosen(found: Iterable[Way], server_name: str, address: str) -> Way | None:
    """The way of a connection: an exact server name, then the longest wildcard, then without one."""
    labels = server_name.split(".")
    wide = ["*." + ".".join(labels[i:]) for i in range(1, len(labels))] if server_name else []
    fit = [way for way in found if not address or way.takes(address)]
    for name in (server_name, *wide, "*") if server_name else ():
        for way in fit:
            if name in way.server_names:
                return way
    return next((way for way in fit if not way.server_names), None)


def destinations(reader: Reader, proxy: Proxy, host: str, port: int) -> tuple[WeightedDestination, ...]:
    """Those of the first `tcp` rule that holds for this client and port; the service where none does."""
    return tuple(_by_address(reader, proxy, host, port))[-1].destinations


def _by_name(reader: Reader, proxy: Proxy, host: str, port: ServicePort) -> Iterator[Way]:
    rules = next((s.tls for s in _visible(reader, proxy, host) if s.tls), ())
    for rule in rules:
        for match in rule.matches:
            if _holds(match, proxy, port.number):
                yield Way(
                    server_names=match.sni_hosts,
                    subnets=match.subnets,
                    destinations=_with_ports(reader, rule, port.number),
                )


def _by_address(reader: Reader, proxy: Proxy, host: str, port: int) -> Iterator[Way]:
    rules = next((s.rules for s in _visible(reader, proxy, host) if s.rules), ())
    for rule in rules:
        for match in rule.matches or (StreamMatch(),):
            if _holds(match, proxy, port):
                yield Way(subnets=match.subnets, destinations=_with_ports(reader, rule, port))
                if not match.subnets:
                    return
    yield Way(destinations=(WeightedDestination(destination=Destination(host=host, port=port), weight=1),))


def _visible(reader: Reader, proxy: Proxy, host: str) -> Iterator[MeshStreams]:
    """The rules for the host itself, then those for wildcards, the longest first."""
    if proxy.plain:
        return
    wide = (n for n in reader.mesh_stream_names() if n.startswith("*.") and host.endswith(n[1:]))
    for name in dict.fromkeys((host, *sorted(wide, key=len, reverse=True))):
        yield from (e for e in reader.mesh_streams(name) if e.visible_from(proxy.namespace))


def _holds(match: StreamMatch, proxy: Proxy, port: int) -> bool:
    return (
        match.port in (0, port)
        and match.source_namespace in ("", proxy.namespace)
        and set(match.source_labels) <= set(proxy.labels.items())
    )


def _with_ports(reader: Reader, rule: StreamRule, port: int) -> tuple[WeightedDestination, ...]:
    return tuple(replace(e, destination=with_port(reader, e.destination, port)) for e in rule.destinations)


def clusters(entries: Iterable[WeightedDestination]) -> list[str]:
    """The clusters that get a share."""
    return [outbound_cluster(e.destination) for e in entries if e.weight]


def connection_policy(
    reader: Reader, proxy: Proxy, entries: Iterable[WeightedDestination]
) -> TrafficPolicy | None:
    """What a rule says about whole connections: that of the first destination with a share.

    A tunnel holds where there is one destination only, as in Istio 1.27.
    """
    weighted = [entry.destination for entry in entries if entry.weight]
    if proxy.plain or not weighted:
        return None
    first = weighted[0]
    rules = destination_policy(reader, first.host, proxy.namespace, proxy.labels)
    found = traffic_policy(rules, first.port, first.subset)
    return found if len(weighted) == 1 else replace(found, tunnel=None)


def stream_chain(
    entries: Iterable[WeightedDestination],
    stat_prefix: str,
    policy: TrafficPolicy | None = None,
    *,
    on_demand: bool = False,
) -> listener_components_pb2.Filter:
    """The network filter that carries connections to the destinations, by weight.

    With `on_demand` the first connection waits for its cluster to come.
    """
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=stat_prefix)
    if policy is not None:
        _obey(proxy, policy)
    weighted = [entry for entry in entries if entry.weight]
    if len(weighted) == 1:
        proxy.cluster = outbound_cluster(weighted[0].destination)
    else:
        for entry in weighted:
            proxy.weighted_clusters.clusters.add(
                name=outbound_cluster(entry.destination), weight=entry.weight
            )
    if on_demand:
        proxy.on_demand.odcds_config.CopyFrom(tls.ads_source())
        proxy.on_demand.timeout.CopyFrom(duration(_ON_DEMAND_MS))
    return listener_components_pb2.Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))


def _obey(proxy: tcp_proxy_pb2.TcpProxy, policy: TrafficPolicy) -> None:
    if policy.pool is not None and policy.pool.tcp_idle_timeout_ms is not None:
        proxy.idle_timeout.CopyFrom(duration(policy.pool.tcp_idle_timeout_ms))
    if policy.pool is not None and policy.pool.max_connection_duration_ms is not None:
        proxy.max_downstream_connection_duration.CopyFrom(duration(policy.pool.max_connection_duration_ms))
    if policy.hash is not None and policy.hash.source_ip:
        proxy.hash_policy.add().source_ip.SetInParent()
    if policy.tunnel is not None:
        tunnel = proxy.tunneling_config
        tunnel.hostname = f"{policy.tunnel.host}:{policy.tunnel.port}"
        tunnel.use_post = policy.tunnel.post


def as_bytes() -> listener_components_pb2.Filter:
    """Says to the proxy at the other end that bytes follow, where the cluster's own word is HTTP.

    Clusters of ports that do not say what they speak are shared by both.
    """
    value = value_pb2.FilterStateValue(
        object_key="envoy.network.application_protocols",
        format_string=substitution_format_string_pb2.SubstitutionFormatString(),
        shared_with_upstream=value_pb2.FilterStateValue.ONCE,
    )
    value.format_string.text_format_source.inline_string = ",".join(tls.ALPN_TCP)
    return listener_components_pb2.Filter(
        name="envoy.filters.network.set_filter_state",
        typed_config=pack(set_filter_state_pb2.Config(on_new_connection=[value])),
    )
