"""`tls` and `tcp` routes of VirtualServices inside the mesh: where connections go. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.core.findings import Findings
from meshgate.model.declared import MeshRules
from meshgate.model.destination import DestinationPolicy
from meshgate.model.gateway import StreamRule
from meshgate.model.graph import MeshStreams
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.mesh import MESH_GATEWAY, RuleContext, link_destination
from meshgate.model.names import complete_host


def link_mesh_streams(
    given: Input, destinations: Mapping[str, tuple[DestinationPolicy, ...]], findings: Findings
) -> dict[str, tuple[MeshStreams, ...]]:
    """By full host, oldest first. A destination that is not there keeps its share, and its
    connections fail (MG3011, MG3002, MG3003)."""
    hosts: dict[str, list[MeshStreams]] = {}
    for declared in oldest_first(given.declared.mesh_rules):
        if declared.gateways and MESH_GATEWAY not in declared.gateways:
            continue
        context = RuleContext(given, destinations, declared, findings)
        rules = tuple(linked for rule in declared.tcp if (linked := _link(rule, context)))
        tls = tuple(linked for rule in declared.tls if (linked := _link(rule, context)))
        if not rules and not tls:
            continue
        for host in dict.fromkeys(complete_host(h, declared.namespace) for h in declared.hosts):
            older = hosts.setdefault(host, [])
            _report(host, declared, [o for o in older if (o.rules and rules) or (o.tls and tls)], findings)
            older.append(
                MeshStreams(namespace=declared.namespace, export_to=declared.export_to, rules=rules, tls=tls)
            )
    return {host: tuple(entries) for host, entries in sorted(hosts.items())}


def _report(host: str, declared: MeshRules, older: list[MeshStreams], findings: Findings) -> None:
    if any("*" in one.export_to for one in older):
        findings.warn(
            "MG3008",
            declared.origin,
            declared.ref,
            f"an older VirtualService has tls or tcp routes for {host}; this one's have no effect",
            "merge the two",
        )


def _link(rule: StreamRule, context: RuleContext) -> StreamRule | None:
    """The rule with those of its matches that hold inside the mesh; None where none does."""
    matches = tuple(
        replace(m, gateways=()) for m in rule.matches if not m.gateways or MESH_GATEWAY in m.gateways
    )
    if rule.matches and not matches:
        return None
    entries = tuple(
        replace(e, destination=link_destination(e.destination, rule.origin, context)[0])
        for e in rule.destinations
    )
    return replace(rule, matches=matches, destinations=entries)
