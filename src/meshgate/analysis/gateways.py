"""Istio's Gateways that share what should not be shared."""

from __future__ import annotations

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared
from meshgate.model.gateway import GatewayObject, Server
from meshgate.model.graph import Model


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3108: one certificate behind two Gateways.

    A browser that has a connection for one host uses it for every other host that the
    certificate names; where that host is another Gateway's, it gets 404 (Istio's IST0138).
    """
    first: dict[tuple[str, int], tuple[GatewayObject, Server]] = {}
    for gateway in sorted(declared.gateways, key=lambda g: (g.ref, g.origin)):
        for server in gateway.servers:
            for credential in server.tls.credentials if server.tls is not None else ():
                owner, _ = first.setdefault((credential, server.port), (gateway, server))
                if owner.ref != gateway.ref and _apart(owner, gateway, server.port):
                    advice.warn(
                        "MG3108",
                        server.origin,
                        gateway.ref,
                        f"its certificate {credential} is also that of {owner.ref} for other hosts: clients "
                        "that reuse an HTTP/2 connection get 404",
                        "put the hosts into one Gateway, or give each its certificate",
                    )


def _apart(one: GatewayObject, other: GatewayObject, port: int) -> bool:
    hosts = [{h for s in g.servers if s.port == port for h in s.hosts} for g in (one, other)]
    return hosts[0] != hosts[1]
