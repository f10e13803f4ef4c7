"""UDP listeners of Gateways: each client's datagrams go to one endpoint of one backend of the route."""

from __future__ import annotations

from collections.abc import Sequence

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2
from envoy.extensions.matching.input_matchers.runtime_fraction.v3 import runtime_fraction_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.reader import Reader
from meshgate.model.route import WeightedDestination
from meshgate.policies.ip_restriction import refused_networks
from meshgate.policies.packing import duration, pack, uint32, xds_extension
from meshgate.translate.gateway_servers import Place
from meshgate.translate.names import outbound_cluster

_IDLE_MS = 60_000
_MILLION = 1_000_000


def listener(
    reader: Reader, name: str, place: Place, address: str, port: int
) -> listener_pb2.Listener | None:
    """The listener; None where no route leads anywhere.

    Of several routes the first gets all datagrams, as the specification has it for connections.
    """
    servers = [s for _, s in sorted(reader.all_edge_servers().items()) if place.holds(s)]
    server = next((server for server in servers if server.destinations), None)
    if server is None:
        return None
    found = listener_pb2.Listener(name=name, traffic_direction=1)
    socket = found.address.socket_address
    socket.protocol = address_pb2.SocketAddress.UDP
    socket.address, socket.port_value = address, port
    found.udp_listener_config.downstream_socket_config.SetInParent()
    proxy = udp_proxy_pb2.UdpProxyConfig(stat_prefix=name, idle_timeout=duration(_IDLE_MS))
    matcher = proxy.matcher
    if server.restriction is not None and (refused := refused_networks(server.restriction)):
        matcher = _from_others(matcher, refused)
    _split(matcher, server.destinations)
    entry = found.listener_filters.add(name="envoy.filters.udp_listener.udp_proxy")
    entry.typed_config.CopyFrom(pack(proxy))
    return found


def _from_others(matcher: matcher_pb2.Matcher, refused: Sequence[str]) -> matcher_pb2.Matcher:
    """What is asked of datagrams of all other addresses; those of the refused ones go nowhere."""
    ranges = ip_pb2.Ip(stat_prefix="refused")
    for network in refused:
        address, _, length = network.partition("/")
        ranges.cidr_ranges.add(address_prefix=address, prefix_len=uint32(int(length)))
    step = matcher.matcher_list.matchers.add()
    single = step.predicate.not_matcher.single_predicate
    single.input.CopyFrom(xds_extension("source-ip", network_inputs_pb2.SourceIPInput()))
    single.custom_match.CopyFrom(xds_extension("refused", ranges))
    return step.on_match.matcher


def _split(matcher: matcher_pb2.Matcher, shares: Sequence[WeightedDestination]) -> None:
    """Clients by their ports: Envoy 1.40 has no weights for datagrams, so each step takes its part of
    those that the steps before it left. A hash decides, so one client stays with one backend."""
    left = sum(share.weight for share in shares)
    for number, share in enumerate(shares[:-1]):
        fraction = runtime_fraction_pb2.RuntimeFraction(seed=number + 1)
        # Nothing sets the key: the default is what counts.
        fraction.runtime_fraction.runtime_key = f"meshgate.datagrams.{number}"
        part = fraction.runtime_fraction.default_value
        part.numerator, part.denominator = round(share.weight / left * _MILLION), part.MILLION
        step = matcher.matcher_list.matchers.add()
        single = step.predicate.single_predicate
        single.input.CopyFrom(xds_extension("source-port", network_inputs_pb2.SourcePortInput()))
        single.custom_match.CopyFrom(xds_extension("share", fraction))
        step.on_match.CopyFrom(_to(share))
        left -= share.weight
    matcher.on_no_match.CopyFrom(_to(shares[-1]))


def _to(share: WeightedDestination) -> matcher_pb2.Matcher.OnMatch:
    found = matcher_pb2.Matcher.OnMatch()
    found.action.name = "route"
    found.action.typed_config.CopyFrom(pack(route_pb2.Route(cluster=outbound_cluster(share.destination))))
    return found
