"""VirtualServices bound to the mesh: hosts completed, destinations checked, matches filtered.

Behaviour follows Istio 1.27. A destination that cannot be reached answers 503: where it is
a rule's only one the rule becomes `Refuse`, so that `explain` can say why; in a split the
others keep their share and this one's cluster is simply absent. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.declared import MeshRules
from meshgate.model.destination import DestinationPolicy
from meshgate.model.graph import MeshHost
from meshgate.model.linking.claims import without_claims
from meshgate.model.linking.input import Input, named_service, oldest_first
from meshgate.model.linking.paths import takes_all
from meshgate.model.names import complete_host
from meshgate.model.route import (
    Action,
    Destination,
    DirectResponse,
    Forward,
    Redirect,
    Refuse,
    RequestMatch,
    Rule,
    WeightedDestination,
)

MESH_GATEWAY = "mesh"
_NO_CONDITIONS = RequestMatch()

Destinations = Mapping[str, tuple[DestinationPolicy, ...]]


def host_candidates(host: str, known: Mapping[str, object]) -> Iterator[str]:
    """The keys of `known` that cover a host: itself, then wildcards, longest first, then `*`."""
    labels = host.split(".")
    for candidate in (host, *("*." + ".".join(labels[i:]) for i in range(1, len(labels))), "*"):
        if candidate in known:
            yield candidate


def is_catch_all(rule: Rule) -> bool:
    """Whether every request meets the rule."""
    return not rule.matches or any(
        replace(m, paths=()) == _NO_CONDITIONS and all(takes_all(p) for p in m.paths) for m in rule.matches
    )


def link_mesh_hosts(
    given: Input, destinations: Destinations, findings: Findings
) -> dict[str, tuple[MeshHost, ...]]:
    """By full or wildcard host, oldest first; a host that an older rule shadows is MG3008."""
    hosts: dict[str, list[tuple[MeshHost, MeshRules]]] = {}
    for written_rules in oldest_first(given.declared.mesh_rules):
        if written_rules.gateways and MESH_GATEWAY not in written_rules.gateways:
            continue
        declared = without_claims(written_rules, frozenset({MESH_GATEWAY}), findings)
        if not declared.rules:
            continue
        for written in declared.hosts:
            host = complete_host(written, declared.namespace)
            if host not in _destination_hosts(declared):  # those are reported where they are written
                given.report_host(written, host, declared.origin, declared.ref, ("spec", "hosts"))
        context = RuleContext(given, destinations, declared, findings)
        rules = link_rules(context, lambda m: not m.gateways or MESH_GATEWAY in m.gateways)
        for host in dict.fromkeys(complete_host(h, declared.namespace) for h in declared.hosts):
            entry = MeshHost(
                host=host, namespace=declared.namespace, export_to=declared.export_to, rules=rules
            )
            elder = next((r for m, r in hosts.get(host, ()) if _covers(m, entry)), None)
            if elder is None:
                hosts.setdefault(host, []).append((entry, declared))
                continue
            findings.warn(
                "MG3008",
                declared.origin,
                declared.ref,
                f"{elder.ref} at {elder.origin} is older and decides for {host}; this one has no effect",
                "merge the two",
            )
    return {host: tuple(m for m, _ in entries) for host, entries in sorted(hosts.items())}


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What the rules of one VirtualService are linked with."""

    given: Input
    destinations: Destinations
    declared: MeshRules
    findings: Findings

    def warn(self, code: str, at: Origin, message: str, remedy: str) -> None:
        self.findings.warn(code, at, self.declared.ref, message, remedy)


def _covers(elder: MeshHost, younger: MeshHost) -> bool:
    """Whether nobody can see the younger entry without seeing the elder."""
    if "*" in elder.export_to:
        return True
    if "*" in younger.export_to:
        return False
    return all(elder.visible_from(younger.namespace if n == "." else n) for n in younger.export_to)


def link_rules(context: RuleContext, holds: Callable[[RequestMatch], bool]) -> tuple[Rule, ...]:
    """The HTTP rules with those of their matches that hold somewhere, destinations completed.

    Rules without a match left are left out, as are those behind one that takes every request
    (MG3009).
    """
    linked: list[Rule] = []
    catch_all: Rule | None = None
    for rule in context.declared.rules:
        matches = tuple(replace(m, gateways=()) for m in rule.matches if holds(m))
        if rule.matches and not matches:
            continue
        if catch_all is not None:
            context.warn(
                "MG3009",
                rule.origin,
                f"the rule at {catch_all.origin} takes every request; this one is never reached",
                "move it up, or give the other one a match",
            )
            continue
        rule = replace(rule, matches=matches, action=_link_action(rule, context))
        linked.append(rule)
        catch_all = rule if is_catch_all(rule) else None
    return tuple(linked)


def _destination_hosts(declared: MeshRules) -> frozenset[str]:
    return frozenset(
        complete_host(entry.destination.host, declared.namespace)
        for rule in declared.rules
        if isinstance(rule.action, Forward)
        for entry in rule.action.destinations
    )


def _link_action(rule: Rule, context: RuleContext) -> Action:
    action = rule.action
    match action:
        case Forward():
            return _link_forward(action, rule, context)
        case Redirect() | DirectResponse() | Refuse():
            return action
        case _:
            assert_never(action)


def _link_forward(action: Forward, rule: Rule, context: RuleContext) -> Action:
    weighted: list[WeightedDestination] = []
    problems: list[str] = []
    for entry in action.destinations:
        destination, problem = link_destination(entry.destination, rule.origin, context)
        weighted.append(replace(entry, destination=destination))
        if problem:
            problems.append(problem)
    if len(problems) == len(weighted):
        return Refuse(status=503, reason="; ".join(dict.fromkeys(problems)) or "the rule has no destination")
    mirrors = []
    for mirror in action.mirrors:
        destination, problem = link_destination(mirror.destination, rule.origin, context)
        if not problem:
            mirrors.append(replace(mirror, destination=destination))
    return replace(action, destinations=tuple(weighted), mirrors=tuple(mirrors))


def link_destination(written: Destination, at: Origin, context: RuleContext) -> tuple[Destination, str]:
    """The destination with full host and port, and what is wrong with it (empty: nothing).

    A port that was not written becomes the service's only port, else stays 0: the port
    that was asked for.
    """
    host = complete_host(written.host, context.declared.namespace)
    full = replace(written, host=host)
    service = context.given.hosts.get(host)
    if service is None:
        name = named_service(host)
        absence = context.given.absence("Service", name) if name else "is not a service of the mesh"
        problem = f"service {name} {absence}" if name else f"{host} {absence}"
        context.warn("MG3011", at, f"{problem}; its requests get 503", "add the Service, or mend the host")
        return full, problem
    if written.port and service.port(written.port) is None:
        ports = ", ".join(str(p.number) for p in service.ports) or "none"
        problem = f"service {service.name} has no port {written.port}"
        context.warn("MG3002", at, f"{problem} but {ports}; its requests get 503", "name one of its ports")
        return full, problem
    if not written.port and len(service.ports) == 1:
        full = replace(full, port=service.ports[0].number)
    if written.subset and not _has_subset(host, written.subset, context.destinations):
        problem = f"subset {written.subset!r} of {service.name} is not defined"
        context.warn(
            "MG3003",
            at,
            f"{problem} by any DestinationRule for {host}; its requests get 503",
            f"add the subset to a DestinationRule with host {host}",
        )
        return full, problem
    return full, ""


def _has_subset(host: str, subset: str, destinations: Destinations) -> bool:
    return any(
        policy.subset(subset) is not None
        for candidate in host_candidates(host, destinations)
        for policy in destinations[candidate]
    )
