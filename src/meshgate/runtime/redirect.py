"""The nftables rules that lead a pod's traffic through its sidecar; pure.

They follow the chains that Istio's `istio-iptables` makes (ISTIO_OUTPUT, ISTIO_INBOUND,
release 1.24), written for nftables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PROXY_UID = 1337
"""The user, and group, that Envoy runs as inside a pod; Istio's number."""
OUTBOUND_PORT = 15001
DNS_PORT = 15054
"""Where questions to port 53 of the bridge go: a machine may have a resolver of its own at that port."""
DIRECT_DNS_PORT = 15053
"""Where Envoy's own questions go: it must learn where the hosts of ServiceEntries really are."""
INBOUND_PORT = 15006
TABLE = "meshgate"
Services = Mapping[str, Mapping[int, tuple[tuple[str, int], ...]]]
"""Service address -> service port -> the pods that serve it, each with address and port."""

_GUARD = f"""\
table inet {TABLE}_guard {{
  chain input {{
    type filter hook input priority filter; policy accept;
    # Pods speak IPv4 with one another; a link-local IPv6 address would lead past the sidecar.
    meta nfproto ipv6 iifname != "lo" drop
  }}
}}
"""


_OWN_PORTS = (15020, 15021, 15090)
"""Ports of the sidecar itself: metrics, health, Envoy's Prometheus page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Which connections pass the sidecar; None: all."""

    included_inbound_ports: tuple[int, ...] | None = None
    excluded_inbound_ports: tuple[int, ...] = ()
    """Counts where `included_inbound_ports` is None, as the next does for its own."""
    included_outbound_cidrs: tuple[str, ...] | None = None
    excluded_outbound_cidrs: tuple[str, ...] = ()
    included_outbound_ports: tuple[int, ...] = ()
    """Whatever the ranges say."""
    excluded_outbound_ports: tuple[int, ...] = ()

    @property
    def leaves_out_calls(self) -> bool:
        """Whether some of the pod's own connections do not pass the sidecar."""
        return bool(
            self.excluded_outbound_ports
            or self.excluded_outbound_cidrs
            or self.included_outbound_cidrs is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectRules:
    """What differs from pod to pod."""

    dns_address: str
    """Where every DNS question goes, whomever the application asks."""
    capture: Capture = Capture()


def _set(values: tuple[int, ...] | tuple[str, ...]) -> str:
    return "{ " + ", ".join(str(value) for value in values) + " }"


def _output(rules: RedirectRules) -> list[str]:
    dns = rules.dns_address
    own = f"meta skuid {PROXY_UID} ip daddr != 127.0.0.0/8"
    lines = [
        f"{own} udp dport 53 dnat to {dns}:{DIRECT_DNS_PORT}",
        f"{own} tcp dport 53 dnat to {dns}:{DIRECT_DNS_PORT}",
        f"ip daddr != {{ 127.0.0.0/8, {dns} }} udp dport 53 dnat to {dns}:53",
        f"ip daddr != {{ 127.0.0.0/8, {dns} }} tcp dport 53 dnat to {dns}:53",
        "tcp dport 53 return",
        "# 127.0.0.6 is the address that Envoy's inbound side speaks from: it has done its work.",
        'oifname "lo" ip saddr 127.0.0.6 return',
        "# Envoy calling its own pod: the call comes in again as any other's would.",
        f'meta skuid {PROXY_UID} oifname "lo" ip daddr != 127.0.0.1 tcp dport != 15008'
        f" redirect to :{INBOUND_PORT}",
        "# The application calling itself, and probes, do not pass the sidecar.",
        f'meta skuid != {PROXY_UID} oifname "lo" return',
        f"meta skuid {PROXY_UID} return",
        f"meta skgid {PROXY_UID} return",
        "ip daddr 127.0.0.1 return",
    ]
    capture = rules.capture
    if capture.excluded_outbound_ports:
        lines.append(f"tcp dport {_set(capture.excluded_outbound_ports)} return")
    if capture.included_outbound_ports:
        lines.append(f"tcp dport {_set(capture.included_outbound_ports)} redirect to :{OUTBOUND_PORT}")
    if capture.included_outbound_cidrs is None:
        if capture.excluded_outbound_cidrs:
            lines.append(f"ip daddr {_set(capture.excluded_outbound_cidrs)} return")
        lines.append(f"meta l4proto tcp redirect to :{OUTBOUND_PORT}")
    elif capture.included_outbound_cidrs:
        chosen = _set(capture.included_outbound_cidrs)
        if capture.excluded_outbound_cidrs:
            lines.append(f"ip daddr {_set(capture.excluded_outbound_cidrs)} return")
        lines.append(f"ip daddr {chosen} meta l4proto tcp redirect to :{OUTBOUND_PORT}")
    return lines


def _inbound(rules: RedirectRules) -> list[str]:
    capture = rules.capture
    lines = [f"tcp dport {_set((*_OWN_PORTS, *capture.excluded_inbound_ports))} return"]
    if capture.included_inbound_ports is None:
        lines.append(f"meta l4proto tcp redirect to :{INBOUND_PORT}")
    elif capture.included_inbound_ports:
        lines.append(f"tcp dport {_set(capture.included_inbound_ports)} redirect to :{INBOUND_PORT}")
    return lines


def _chain(name: str, hook: str, lines: list[str], priority: int = -100) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"  chain {name} {{\n    type nat hook {hook} priority {priority}; policy accept;\n{body}  }}\n"


def ruleset(rules: RedirectRules | None) -> str:
    """The text for `nft -f -` inside the pod's namespace; None for a pod without a sidecar."""
    if rules is None:
        return _GUARD
    output = _chain("output", "output", _output(rules))
    inbound = _chain("inbound", "prerouting", _inbound(rules))
    return f"table ip {TABLE} {{\n{output}{inbound}}}\n{_GUARD}"


def bypass_ruleset(services: Services) -> str:
    """What takes a sidecar's redirect rules away: the pod's traffic goes as if it had none."""
    return f"table ip {TABLE}\ndelete table ip {TABLE}\n{service_ruleset(services)}"


def restored_ruleset(rules: RedirectRules) -> str:
    """What puts the redirect rules in force in place of whatever there is, in one step."""
    services = f"{TABLE}_services"
    tables = (f"ip {TABLE}", f"inet {TABLE}_guard", f"ip {services}")
    gone = "".join(f"table {table}\ndelete table {table}\n" for table in tables)
    return gone + ruleset(rules)


def machine_ruleset(table: str, subnet: str, bridge: str, address: str) -> str:
    """The machine's side: pods reach what is outside under its address, and DNS at the bridge's."""
    asked = f'    iifname "{bridge}" ip daddr {address}'
    return (
        f"table ip {table} {{\n  chain prerouting {{\n"
        "    type nat hook prerouting priority dstnat; policy accept;\n"
        f"{asked} udp dport 53 redirect to :{DNS_PORT}\n{asked} tcp dport 53 redirect to :{DNS_PORT}\n  }}\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f'    ip saddr {subnet} oifname != "{bridge}" masquerade\n  }}\n}}\n'
    )


def service_ruleset(services: Services) -> str:
    """What makes service addresses work in a pod without a sidecar, as kube-proxy would; TCP.

    Each connection goes to one of the pods at random; a service without any refuses. The text
    replaces the rules of an earlier call.
    """
    table = f"{TABLE}_services"
    forward, refuse = [], []
    for address, ports in sorted(services.items()):
        for port, pods in sorted(ports.items()):
            match = f"ip daddr {address} tcp dport {port}"
            if pods:
                choices = ", ".join(f"{n} : {ip} . {number}" for n, (ip, number) in enumerate(sorted(pods)))
                choice = f"numgen random mod {len(pods)} map {{ {choices} }}"
                forward.append(f"{match} dnat ip addr . port to {choice}")
            else:
                refuse.append(f"{match} reject with tcp reset")
    refusals = "".join(f"    {line}\n" for line in refuse)
    return (
        f"table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n"
        # Behind the chain of a sidecar, where there is one: only what it leaves out comes here.
        f"{_chain('output', 'output', forward, priority=-99)}"
        "  chain refuse {\n    type filter hook output priority filter; policy accept;\n"
        f"{refusals}  }}\n}}\n"
    )
