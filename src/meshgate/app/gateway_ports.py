"""Servers of Gateways whose port the gateway has for itself on this machine."""

from __future__ import annotations

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT
from meshgate.model.graph import Model


def taken_ports(model: Model, http_port: int, https_port: int) -> tuple[Diagnostic, ...]:
    """MG4003 for each server that asks for the gateway's own HTTP or HTTPS port by its number.

    80 and 443 stand for those two; a server with one of their real numbers opens nothing.
    """
    own = {
        port: (option, stands_for)
        for port, option, stands_for in (
            (http_port, "--http-port", HTTP_PORT),
            (https_port, "--https-port", HTTPS_PORT),
        )
        if port not in (0, HTTP_PORT, HTTPS_PORT)
    }
    found = []
    for server in model.edge_servers.values():
        if server.port not in own or server.addresses or server.datagrams:
            continue
        option, stands_for = own[server.port]
        found.append(
            Diagnostic(
                severity=Severity.ERROR,
                code="MG4003",
                origin=server.origin,
                message=f"port {server.port} is the gateway's own ({option}); the server opens nothing",
                remedy=f"give it the port {stands_for}, which is served there, "
                f"or start with another {option}",
            )
        )
    return tuple(found)
