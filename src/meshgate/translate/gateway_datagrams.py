"""UDP listeners of Gateways: each client's datagrams go to one endpoint of the route's backend."""

from __future__ import annotations

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.reader import Reader
from meshgate.policies.packing import duration, pack
from meshgate.translate.gateway_servers import Place
from meshgate.translate.names import outbound_cluster

_IDLE_MS = 60_000


def listener(
    reader: Reader, name: str, place: Place, address: str, port: int
) -> listener_pb2.Listener | None:
    """The listener; None where no route leads anywhere.

    Envoy 1.40 has no weights for datagrams: the backend with the largest gets them all.
    """
    servers = [s for _, s in sorted(reader.all_edge_servers().items()) if place.holds(s)]
    destinations = [entry for server in servers for entry in server.destinations]
    if not destinations:
        return None
    chosen = max(destinations, key=lambda entry: entry.weight)
    found = listener_pb2.Listener(name=name, traffic_direction=1)
    socket = found.address.socket_address
    socket.protocol = address_pb2.SocketAddress.UDP
    socket.address, socket.port_value = address, port
    found.udp_listener_config.downstream_socket_config.SetInParent()
    proxy = udp_proxy_pb2.UdpProxyConfig(stat_prefix=name, idle_timeout=duration(_IDLE_MS))
    action = matcher_pb2.Matcher.OnMatch()
    action.action.name = "route"
    action.action.typed_config.CopyFrom(pack(route_pb2.Route(cluster=outbound_cluster(chosen.destination))))
    proxy.matcher.on_no_match.CopyFrom(action)
    entry = found.listener_filters.add(name="envoy.filters.udp_listener.udp_proxy")
    entry.typed_config.CopyFrom(pack(proxy))
    return found
