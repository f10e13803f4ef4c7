from __future__ import annotations

import os

import pytest

from meshgate.runtime.commands import run_blocking
from meshgate.runtime.redirect import (
    Capture,
    RedirectRules,
    Services,
    machine_ruleset,
    ruleset,
    service_ruleset,
)
from tests.unit.runtime.tools import NETNS_REASON

GOLDEN = """\
table ip meshgate {
  chain output {
    type nat hook output priority -100; policy accept;
    meta skuid 1337 ip daddr != 127.0.0.0/8 udp dport 53 dnat to 10.1.16.1:15053
    meta skuid 1337 ip daddr != 127.0.0.0/8 tcp dport 53 dnat to 10.1.16.1:15053
    ip daddr != { 127.0.0.0/8, 10.1.16.1 } udp dport 53 dnat to 10.1.16.1:53
    ip daddr != { 127.0.0.0/8, 10.1.16.1 } tcp dport 53 dnat to 10.1.16.1:53
    tcp dport 53 return
    # 127.0.0.6 is the address that Envoy's inbound side speaks from: it has done its work.
    oifname "lo" ip saddr 127.0.0.6 return
    # Envoy calling its own pod: the call comes in again as any other's would.
    meta skuid 1337 oifname "lo" ip daddr != 127.0.0.1 tcp dport != 15008 redirect to :15006
    # The application calling itself, and probes, do not pass the sidecar.
    meta skuid != 1337 oifname "lo" return
    meta skuid 1337 return
    meta skgid 1337 return
    ip daddr 127.0.0.1 return
    tcp dport { 3306, 5432 } return
    ip daddr { 192.0.2.0/24 } return
    meta l4proto tcp redirect to :15001
  }
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    tcp dport { 15020, 15021, 15090 } return
    meta l4proto tcp redirect to :15006
  }
}
table inet meshgate_guard {
  chain input {
    type filter hook input priority filter; policy accept;
    # Pods speak IPv4 with one another; a link-local IPv6 address would lead past the sidecar.
    meta nfproto ipv6 iifname != "lo" drop
  }
}
"""
FULL = RedirectRules(
    dns_address="10.1.16.1",
    capture=Capture(
        excluded_outbound_ports=(3306, 5432),
        excluded_outbound_cidrs=("192.0.2.0/24",),
    ),
)
SOME = RedirectRules(
    dns_address="10.1.16.1",
    capture=Capture(
        included_inbound_ports=(8080,),
        included_outbound_cidrs=("10.0.0.0/8",),
        excluded_outbound_cidrs=("10.9.0.0/16",),
        included_outbound_ports=(443,),
    ),
)
NOTHING = RedirectRules(
    dns_address="10.1.16.1", capture=Capture(included_inbound_ports=(), included_outbound_cidrs=())
)


SERVICES: Services = {
    "10.1.24.2": {80: (("10.1.16.6", 8080), ("10.1.16.5", 8080)), 81: ()},
    "10.1.24.1": {6379: (("10.1.16.7", 6379),)},
}
GOLDEN_SERVICES = """\
table ip meshgate_services
delete table ip meshgate_services
table ip meshgate_services {
  chain output {
    type nat hook output priority -99; policy accept;
    ip daddr 10.1.24.1 tcp dport 6379 dnat ip addr . port to numgen random mod 1 map { 0 : 10.1.16.7 . 6379 }
    ip daddr 10.1.24.2 tcp dport 80 dnat ip addr . port to numgen random mod 2 map \
{ 0 : 10.1.16.5 . 8080, 1 : 10.1.16.6 . 8080 }
  }
  chain refuse {
    type filter hook output priority filter; policy accept;
    ip daddr 10.1.24.2 tcp dport 81 reject with tcp reset
  }
}
"""


def test_service_addresses_in_a_pod_without_a_sidecar() -> None:
    assert service_ruleset(SERVICES) == GOLDEN_SERVICES


def test_the_rules_of_a_meshed_pod() -> None:
    assert ruleset(FULL) == GOLDEN


def _redirects(rules: RedirectRules) -> list[str]:
    """The rules that decide, without those that every pod has before them."""
    lines = [line.strip() for line in ruleset(rules).splitlines()]
    return lines[lines.index("ip daddr 127.0.0.1 return") + 1 : lines.index("table inet meshgate_guard {")]


def test_what_is_included_alone_passes_the_sidecar() -> None:
    decided = [line for line in _redirects(SOME) if " redirect " in line or line.endswith(" return")]
    assert decided == [
        "tcp dport { 443 } redirect to :15001",
        "ip daddr { 10.9.0.0/16 } return",
        "ip daddr { 10.0.0.0/8 } meta l4proto tcp redirect to :15001",
        "tcp dport { 15020, 15021, 15090 } return",
        "tcp dport { 8080 } redirect to :15006",
    ]
    assert not any(" redirect " in line for line in _redirects(NOTHING))


def test_a_pod_without_a_sidecar_has_only_the_guard() -> None:
    assert ruleset(None) == GOLDEN[GOLDEN.index("table inet") :]


@pytest.mark.root
@pytest.mark.skipif(NETNS_REASON is not None, reason=str(NETNS_REASON))
@pytest.mark.parametrize(
    "text",
    [
        ruleset(FULL),
        ruleset(SOME),
        ruleset(NOTHING),
        ruleset(None),
        machine_ruleset("meshgate_test", "10.1.16.0/20", "mgtest", "10.1.16.1"),
        service_ruleset(SERVICES),
        service_ruleset({}),
    ],
)
def test_the_kernel_takes_the_rules(text: str) -> None:
    name = f"mg-unit-{os.getpid()}"
    run_blocking(("ip", "netns", "add", name))
    try:
        run_blocking(("ip", "netns", "exec", name, "nft", "-f", "-"), text)
    finally:
        run_blocking(("ip", "netns", "delete", name))
