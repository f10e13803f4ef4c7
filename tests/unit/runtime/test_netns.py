from __future__ import annotations

import ipaddress

import pytest

from meshgate.runtime.netns import Network, choose_subnet, enter_argv
from meshgate.runtime.records import NetworkRecord
from meshgate.runtime.spec import PodKey

RECORD = NetworkRecord(bridge="mgabcdef", subnet="10.37.16.0/20")


def key(name: str, spec_hash: str = "1") -> PodKey:
    return PodKey(namespace="default", name=name, spec_hash=spec_hash)


def test_the_subnet_is_the_same_for_a_state_and_avoids_routes() -> None:
    first = choose_subnet("abcdef", ())
    assert first == choose_subnet("abcdef", ())
    assert first.prefixlen == 20
    taken = first.supernet(new_prefix=16)
    second = choose_subnet("abcdef", (taken,))
    assert not second.overlaps(taken)
    with pytest.raises(RuntimeError, match="no free /20"):
        choose_subnet("abcdef", (ipaddress.IPv4Network("10.0.0.0/8"),))


def test_names_fit_the_kernel_and_addresses_are_told_apart() -> None:
    network = Network("abcdef", RECORD)
    pods = [network.place(key(f"checkout-with-a-very-long-name-{n}")) for n in range(200)]
    assert max(len(pod.link) for pod in pods) <= 15
    assert len({pod.link for pod in pods}) == len({pod.netns for pod in pods}) == 200
    addresses = {ipaddress.IPv4Address(pod.ip) for pod in pods}
    assert len(addresses) == 200
    assert ipaddress.IPv4Address(network.gateway) not in addresses
    assert not any(address in network.service_subnet for address in addresses)
    assert all(address in network.subnet for address in addresses)


def test_a_pod_keeps_its_address_and_a_replacement_of_its_name_has_another() -> None:
    network = Network("abcdef", RECORD)
    first = network.place(key("echo"))
    assert network.place(key("echo")) == first
    other = network.place(key("echo", "2"))
    assert other.ip != first.ip
    assert other.netns != first.netns
    network.release(key("echo"))
    assert network.place(key("echo"), first.ip) == first


def test_only_a_pod_with_a_namespace_is_entered() -> None:
    assert enter_argv("", ("env",)) == ("env",)
    assert enter_argv("mg-x", ("env",)) == ("ip", "netns", "exec", "mg-x", "env")
