"""Servers that carry connections: TLS by its server name, and TCP. Internal to `link`."""

from __future__ import annotations

from dataclasses import replace

from meshgate.model.declared import MeshRules
from meshgate.model.gateway import EdgeServer, GatewayObject, Server, ServerTls, StreamMatch, StreamRule
from meshgate.model.linking.gateway_hosts import gateway_name, host_intersection
from meshgate.model.linking.mesh import RuleContext, link_destination
from meshgate.model.linking.workloads import selects
from meshgate.model.names import GATEWAY_LABELS, GATEWAY_NAMESPACE
from meshgate.model.route import WeightedDestination

Bound = list[tuple[RuleContext, dict[str, None]]]
"""VirtualServices with their hosts on the server."""


def stream_servers(
    base: str,
    port: int,
    sni: tuple[str, ...],
    gateway: GatewayObject,
    server: Server,
    tls: ServerTls | None,
    bound: Bound,
) -> dict[str, EdgeServer]:
    """Filter chains by name: one per match of a `tls` route where TLS is passed on, else the
    first `tcp` route that holds (for each name of the server where TLS is ended here)."""
    found: dict[str, EdgeServer] = {}
    taken: set[str] = set()
    for context, hosts in bound:
        declared = context.declared
        passes = server.tls is not None and tls is None
        for rule in declared.tls if passes else declared.tcp:
            for match in rule.matches or (StreamMatch(),):
                if match.subnets:
                    context.warn(
                        "MG1103",
                        rule.origin,
                        "at a Gateway destinationSubnets is not matched; this match takes none",
                        "match by port or server name",
                    )
                if not _holds(match, gateway, server, declared):
                    continue
                names = _names(match.sni_hosts, hosts) if passes else sni
                fresh = tuple(n for n in names if n not in taken)
                destinations = _destinations(rule, server, context)
                if not fresh or not destinations:
                    continue
                taken.update(fresh)
                found[f"{base}/{len(found)}"] = EdgeServer(
                    port=port,
                    sni=() if "*" in fresh or server.tls is None else fresh,
                    tls=tls,
                    destinations=destinations,
                    origin=rule.origin,
                )
    return found


def _names(wanted: tuple[str, ...], hosts: dict[str, None]) -> tuple[str, ...]:
    """Server names that both the match and the VirtualService's hosts on the server allow."""
    return tuple(dict.fromkeys(n for w in wanted for h in hosts if (n := host_intersection(w, h))))


def _holds(match: StreamMatch, gateway: GatewayObject, server: Server, declared: MeshRules) -> bool:
    named = {gateway_name(g, declared.namespace) for g in match.gateways}
    return (
        not match.subnets
        and match.port in (0, server.port)
        and (not named or str(gateway.name) in named)
        and match.source_namespace in ("", GATEWAY_NAMESPACE)
        and selects(dict(match.source_labels), GATEWAY_LABELS)
    )


def _destinations(rule: StreamRule, server: Server, context: RuleContext) -> tuple[WeightedDestination, ...]:
    """Those that exist; a share that leads nowhere keeps its weight, and its connections fail."""
    found, whole = [], False
    for entry in rule.destinations:
        destination, problem = link_destination(entry.destination, rule.origin, context)
        whole = whole or not problem
        port = destination.port or server.port
        found.append(replace(entry, destination=replace(destination, port=port)))
    return tuple(found) if whole else ()
