"""For which hosts the gateway asks clients for certificates that it does not judge itself (`mtls-auth`).

Any certificate is taken, or none: the bridge decides for each route. So nothing else may believe what such
a certificate says: not the header that tells services of it, nor rules about principals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from meshgate.model.policies.client_certificate import MtlsAuth
from meshgate.model.reader import Reader
from meshgate.model.service import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedHosts:
    """Hosts of one route configuration that have routes with the plugin."""

    authorities: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """Host (`*`, `*.example.com` or a full name) -> certificates in PEM whose names clients are told."""

    def cover(self, name: str) -> bool:
        """Whether all of a server name's clients are asked."""
        return any(_covers(host, name) for host in self.authorities)

    def inside(self, name: str) -> tuple[str, ...]:
        """Hosts that a server name with a wildcard holds among others."""
        return tuple(host for host in self.authorities if host != name and _covers(name, host))

    def told(self, names: Iterable[str]) -> str:
        """The authorities that clients of these server names are told."""
        names = tuple(names)
        found = (
            pem
            for host, pem in sorted(self.authorities.items())
            if any(_covers(host, name) or _covers(name, host) for name in names)
        )
        return "".join(dict.fromkeys(found))


def asked_hosts(reader: Reader, routes: str) -> AskedHosts:
    """Those of a route configuration."""
    found: dict[str, str] = {}
    for host in reader.all_edge_hosts().values():
        if host.routes != routes:
            continue
        policies = [p for rule in host.rules for p in rule.policies if isinstance(p, MtlsAuth)]
        if policies:
            told = [f"{a.pem.strip()}\n" for p in policies if p.send_ca_dn for a in p.authorities]
            found[host.host] = "".join(dict.fromkeys(told))
    return AskedHosts(authorities=found)


def ask(context: tls_pb2.DownstreamTlsContext, told: str) -> None:
    """Asks clients for a certificate and takes any, or none (Envoy 1.40)."""
    trusted = context.common_tls_context.validation_context
    trusted.trust_chain_verification = trusted.ACCEPT_UNTRUSTED
    if told:
        trusted.trusted_ca.inline_string = told


def _covers(pattern: str, name: str) -> bool:
    """Whether a host or a wildcard stands for another one."""
    if pattern in ("*", name):
        return True
    return pattern.startswith("*.") and name.endswith(pattern[1:]) and name != "*"
