"""Kong's `ip-restriction` with Envoy's `rbac`, on the address that the client connects from.

That is the connection's, or what the PROXY protocol or trusted hops say it is; never a plain
X-Forwarded-For, which anybody can write.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import IpRestriction
from meshgate.policies.denial import denial_filter, refusals, strikes
from meshgate.policies.packing import uint32
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import error_reply, route_says

FILTER = "meshgate.ip_restriction"
REASON = "ip-restriction"
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_STATUS, _MESSAGE = "ip_status", "ip_message"


def listener_filters(policies: tuple[IpRestriction, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: IpRestriction) -> RouteParts:
    """Refuses who is in `deny`, and where there is an `allow`, who is not in that."""
    refused = [_address(network) for network in policy.deny]
    if policy.allow:
        allowed = rbac_pb2.Principal.Set(ids=[_address(network) for network in policy.allow])
        refused.append(rbac_pb2.Principal(not_id=rbac_pb2.Principal(or_ids=allowed)))
    whom = rbac_pb2.Principal(or_ids=rbac_pb2.Principal.Set(ids=refused))
    metadata = {_STATUS: str(policy.status)}
    if policy.message:
        metadata[_MESSAGE] = policy.message
    return RouteParts(filters={FILTER: refusals({REASON: strikes(principal=whom)})}, metadata=metadata)


def replies(policies: tuple[IpRestriction, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer for each status in use; a message of the plugin's own comes from the route."""
    found = []
    for status in sorted({p.status for p in policies}):
        when = f"{route_says(_STATUS)} == '{status}'"
        own = f"{when} && {route_says(_MESSAGE)} != ''"
        found.append(error_reply(REASON, status, f"%METADATA(ROUTE:meshgate:{_MESSAGE})%", when=own))
        default = "IP address not allowed: %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
        found.append(error_reply(REASON, status, default, when=when))
    return tuple(found)


def refused_networks(policy: IpRestriction) -> tuple[str, ...]:
    """The same as networks alone: those in `deny`, and where there is an `allow`, all others."""
    refused = [ipaddress.ip_network(network) for network in policy.deny]
    allowed = [ipaddress.ip_network(network) for network in policy.allow]
    if allowed:
        refused += (*_others(allowed, ipaddress.IPv4Network), *_others(allowed, ipaddress.IPv6Network))
    four = ipaddress.collapse_addresses(n for n in refused if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in refused if isinstance(n, ipaddress.IPv6Network))
    return (*map(str, four), *map(str, six))


def _others(allowed: Iterable[_Network], kind: type[_Network]) -> Iterator[_Network]:
    """All addresses of a kind but these."""
    every = kind("0.0.0.0/0") if kind is ipaddress.IPv4Network else kind("::/0")
    address = type(every[0])
    begin, last = int(every[0]), int(every[-1])
    for network in sorted((n for n in allowed if isinstance(n, kind)), key=lambda n: int(n[0])):
        if int(network[0]) > begin:
            yield from ipaddress.summarize_address_range(address(begin), address(int(network[0]) - 1))
        begin = max(begin, int(network[-1]) + 1)
    if begin <= last:
        yield from ipaddress.summarize_address_range(address(begin), address(last))


def _address(network: str) -> rbac_pb2.Principal:
    parsed = ipaddress.ip_network(network)
    cidr = address_pb2.CidrRange(
        address_prefix=str(parsed.network_address), prefix_len=uint32(parsed.prefixlen)
    )
    return rbac_pb2.Principal(remote_ip=cidr)
