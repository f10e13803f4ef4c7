"""Where whole connections go: to the service that was asked for, or as `tcp` routes say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination, WeightedDestination
from meshgate.policies.packing import pack
from meshgate.translate.names import outbound_cluster
from meshgate.translate.route import with_port


def destinations(reader: Reader, proxy: Proxy, host: str, port: int) -> tuple[WeightedDestination, ...]:
    """Those of the first rule that holds for this client and port; the service where none does."""
    visible = (e for e in reader.mesh_streams(host) if e.visible_from(proxy.namespace) and not proxy.plain)
    found = next(visible, None)
    for rule in found.rules if found else ():
        holds = not rule.matches or any(
            m.port in (0, port)
            and m.source_namespace in ("", proxy.namespace)
            and set(m.source_labels) <= set(proxy.labels.items())
            for m in rule.matches
        )
        if holds:
            return tuple(
                replace(e, destination=with_port(reader, e.destination, port)) for e in rule.destinations
            )
    return (WeightedDestination(destination=Destination(host=host, port=port), weight=1),)


def clusters(entries: Iterable[WeightedDestination]) -> list[str]:
    """The clusters that get a share."""
    return [outbound_cluster(e.destination) for e in entries if e.weight]


def stream_chain(entries: Iterable[WeightedDestination], stat_prefix: str) -> listener_components_pb2.Filter:
    """The network filter that carries connections to the destinations, by weight."""
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=stat_prefix)
    weighted = [entry for entry in entries if entry.weight]
    if len(weighted) == 1:
        proxy.cluster = outbound_cluster(weighted[0].destination)
    else:
        for entry in weighted:
            proxy.weighted_clusters.clusters.add(
                name=outbound_cluster(entry.destination), weight=entry.weight
            )
    return listener_components_pb2.Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))
