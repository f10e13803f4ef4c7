"""Whom `ip-restriction` refuses among connections is whom it refuses among requests."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from meshgate.model.policy import IpRestriction
from meshgate.policies.ip_restriction import refused_networks

ADDRESSES = st.ip_addresses()
NETWORKS = st.tuples(ADDRESSES, st.integers(min_value=0, max_value=128)).map(
    lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{min(pair[1], pair[0].max_prefixlen)}", strict=False))
)
SEVERAL = st.lists(NETWORKS, max_size=4).map(tuple)


def _in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[str, ...]) -> bool:
    return any(address in ipaddress.ip_network(network) for network in networks)


@given(allow=SEVERAL, deny=SEVERAL, stranger=ADDRESSES)
@example(allow=("0.0.0.0/0", "::/0"), deny=(), stranger=ipaddress.ip_address("10.0.0.1"))
@example(
    allow=("10.0.0.0/8", "10.1.0.0/16"), deny=("10.1.0.0/16",), stranger=ipaddress.ip_address("10.1.0.1")
)
@example(allow=("255.255.255.255/32",), deny=(), stranger=ipaddress.ip_address("255.255.255.254"))
def test_the_same_are_refused(
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    stranger: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    refused = refused_networks(IpRestriction(allow=allow, deny=deny))
    edges = [ipaddress.ip_network(network)[end] for network in (*allow, *deny) for end in (0, -1)]
    for address in (stranger, *edges):
        expected = _in(address, deny) or (bool(allow) and not _in(address, allow))
        assert _in(address, refused) is expected
