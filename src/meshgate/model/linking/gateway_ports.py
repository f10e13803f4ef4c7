"""Which server of which Gateway has a port, and the server names on it. Internal to `link`."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshgate.core.findings import Findings
from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT, GatewayObject, Server, ServerProtocol

INGRESS_PORTS = {8080: HTTP_PORT, 8443: HTTPS_PORT}
"""Where Istio's customary ingress listens behind its Service's ports 80 and 443: Gateways name either."""


@dataclass(slots=True)
class _Port:
    """A port's first server decides whether it is plaintext, TLS or TCP."""

    protocol: ServerProtocol
    owner: GatewayObject
    sni: dict[str, GatewayObject] = field(default_factory=dict)


class GatewayPorts:
    """Ports are given to the first that asks; the Gateways come oldest first."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._ports: dict[int, _Port] = {}

    def takes(self, gateway: GatewayObject, server: Server, port: int) -> bool:
        """Whether the server may open the port; MG3008 where it speaks something else there."""
        first = self._ports.setdefault(port, _Port(server.protocol, gateway))
        kinds = {ServerProtocol.HTTPS: ServerProtocol.TLS}
        wanted, there = (kinds.get(p, p) for p in (server.protocol, first.protocol))
        if port == HTTP_PORT and wanted is not ServerProtocol.HTTP:
            problem = f"port {server.port} is where plaintext HTTP is served here"
        elif port == HTTPS_PORT and wanted is not ServerProtocol.TLS:
            problem = f"port {server.port} is where HTTPS is served here"
        elif wanted is not there or (wanted is ServerProtocol.TCP and first.owner is not gateway):
            problem = f"port {server.port} already speaks {there.value} for {first.owner.ref}"
        else:
            return True
        self._findings.error(
            "MG3008",
            server.origin,
            gateway.ref,
            f"{problem}; server {server.name!r} is not opened",
            "choose another port",
        )
        return False

    def names(self, gateway: GatewayObject, server: Server, port: int) -> tuple[str, ...]:
        """The names by which clients reach the server; those that an older one has are MG3008."""
        taken = self._ports[port].sni
        names: dict[str, None] = {}
        for host in (h.rpartition("/")[2] for h in server.hosts):
            owner = taken.setdefault(host, gateway)
            if host in names:
                continue
            if owner is not gateway or any(host == n for n in self._own_names(gateway, server, port)):
                self._findings.error(
                    "MG3008",
                    server.origin,
                    gateway.ref,
                    f"{owner.ref} already has {host} at port {server.port}; "
                    f"server {server.name!r} does not serve it",
                    "give every host one server per port",
                )
                continue
            names[host] = None
        return tuple(names)

    def _own_names(self, gateway: GatewayObject, server: Server, port: int) -> list[str]:
        """Names of the Gateway's earlier servers at the port."""
        earlier = gateway.servers[: gateway.servers.index(server)]
        return [
            host.rpartition("/")[2]
            for one in earlier
            if INGRESS_PORTS.get(one.port, one.port) == port and not one.closed
            for host in one.hosts
        ]
