"""One edge route made into rules: alone, or joined with the mesh rules of its service.

An Ingress whose service has a VirtualService follows it at the gateway: every mesh rule
becomes an edge rule that also holds the Ingress's host, path, headers and methods.
Internal to `link`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from meshgate.core.findings import Findings
from meshgate.core.origin import FieldPath, Origin
from meshgate.model.declared import BackendRef, EdgeRules
from meshgate.model.graph import MeshHost
from meshgate.model.linking.input import Input
from meshgate.model.linking.matches import any_of, common_methods, gateway_meets, undecided
from meshgate.model.linking.mesh import host_candidates, is_catch_all
from meshgate.model.linking.paths import Combined, combine
from meshgate.model.linking.plugins import Applied, Plugins
from meshgate.model.linking.rewrites import completed
from meshgate.model.names import GATEWAY_NAMESPACE, Name
from meshgate.model.policy import Policy
from meshgate.model.route import (
    DEFAULT_RETRY,
    Action,
    Destination,
    DirectResponse,
    Forward,
    MatchKind,
    NamedMatch,
    PathMatch,
    Redirect,
    Refuse,
    RequestMatch,
    Rewrite,
    Rule,
    StringMatch,
    WeightedDestination,
)
from meshgate.model.service import Service, ServicePort

_PLAIN = StringMatch(kind=MatchKind.EXACT, value="http")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRoute:
    """One path of one Ingress, or its default backend."""

    rules: EdgeRules
    host: str
    path: PathMatch
    backend: BackendRef
    name: str
    origin: Origin
    backend_field: FieldPath
    """Where in the object its backend is written."""
    is_default: bool = False

    @property
    def route_label(self) -> str:
        """The name of its Kong route, as Kong's ingress controller 3.5 builds it."""
        if self.is_default:
            return f"{self.rules.namespace}.{self.rules.ref.name}"
        host = "" if self.host == "*" else self.host.replace("*", "_")
        backend = self.backend
        return f"{self.rules.namespace}.{self.rules.ref.name}.{backend.service}.{host}.{backend.port}"

    @property
    def service_label(self) -> str:
        """The name of its Kong service."""
        return f"{self.rules.namespace}.{self.backend.service}.{self.backend.port}"


@dataclass(frozen=True, slots=True)
class _Target:
    """The service port that a route leads to, and what all of its rules share."""

    route: EdgeRoute
    service: Service
    port: ServicePort
    applied: Applied
    given: Input
    findings: Findings


def compile_route(
    route: EdgeRoute,
    given: Input,
    mesh_hosts: Mapping[str, tuple[MeshHost, ...]],
    plugins: Plugins,
    findings: Findings,
) -> tuple[Rule, ...]:
    """The rules of one edge route, first match first; a route that must stay shut is one
    `Refuse` with 503 (MG3001 no service, MG3002 no port, MG3004 a plugin that cannot be had)."""
    rules = route.rules
    name = Name(rules.namespace, route.backend.service)
    service = given.services.get(name)
    applied = plugins.apply(rules, service, route.route_label, route.service_label)
    closed = rules.closed or applied.problem
    if closed:
        return (_own_rule(route, (), Refuse(status=503, reason=closed)),)
    if service is None:
        problem = f"service {name} {given.absence('Service', name)}"
        findings.error(
            "MG3001",
            route.backend.origin,
            rules.ref,
            f"{problem}; the path answers 503",
            "add the Service, or mend the name",
            (*route.backend_field, "service", "name"),
        )
        return (_own_rule(route, applied.policies, Refuse(status=503, reason=problem)),)
    port = service.port(route.backend.port)
    if port is None:
        ports = ", ".join(str(p.number) for p in service.ports) or "none"
        problem = f"service {name} has no port {route.backend.port}"
        findings.error(
            "MG3002",
            route.backend.origin,
            rules.ref,
            f"{problem} but {ports}; the path answers 503",
            "name one of its ports",
            (*route.backend_field, "service", "port"),
        )
        return (_own_rule(route, applied.policies, Refuse(status=503, reason=problem)),)
    target = _Target(route, service, port, applied, given, findings)
    mesh = _followed(service.host, mesh_hosts)
    return tuple(_joined(target, mesh)) if mesh else (_plain(target),)


def _followed(host: str, mesh_hosts: Mapping[str, tuple[MeshHost, ...]]) -> MeshHost | None:
    """The mesh rules that the gateway sees for a service; the closest host's, then the oldest."""
    return next(
        (
            mesh
            for candidate in host_candidates(host, mesh_hosts)
            for mesh in mesh_hosts[candidate]
            if mesh.visible_from(GATEWAY_NAMESPACE)
        ),
        None,
    )


def _own_rule(
    route: EdgeRoute, policies: tuple[Policy, ...], action: Action, paths: tuple[PathMatch, ...] = ()
) -> Rule:
    return Rule(
        name=route.name,
        matches=(_edge_match(route, paths or (route.path,)),),
        action=action,
        policies=policies,
        origin=route.origin,
        edge_origin=route.origin,
        route_label=route.route_label,
        service_label=route.service_label,
    )


def _plain(target: _Target) -> Rule:
    route = target.route
    combined = combine(route.path, None, Rewrite(), route.rules.strip_path)
    assert combined is not None  # a path alone contradicts nothing
    destination = Destination(host=target.service.host, port=target.port.number)
    action = Forward(
        destinations=(WeightedDestination(destination=destination, weight=1),),
        rewrite=_completed(combined.rewrite, target),
    )
    edge = target.service.edge
    if edge.retries is not None:
        action = replace(action, retry=replace(DEFAULT_RETRY, attempts=edge.retries))
    action = replace(action, idle_timeout_ms=edge.idle_timeout_ms)
    rule = _own_rule(route, target.applied.policies, action, combined.paths)
    return replace(rule, variants=target.applied.variants)


def _joined(target: _Target, mesh: MeshHost) -> Iterator[Rule]:
    """The edge route with every mesh rule in turn; 404 where none takes the request, as a
    sidecar would answer."""
    route = target.route
    number = itertools.count()
    for rule in mesh.rules:
        found = [c for m in rule.matches or (RequestMatch(),) if (c := _conjunction(m, rule, target))]
        for rewrite, group in itertools.groupby(found, key=lambda c: c[1]):
            yield replace(
                rule,
                name=f"{route.name}/{next(number)}",
                matches=tuple(match for match, _ in group),
                action=_edge_action(rule.action, rewrite, target),
                policies=target.applied.policies,
                variants=target.applied.variants,
                edge_origin=route.origin,
                route_label=route.route_label,
                service_label=route.service_label,
            )
        if is_catch_all(rule):
            return
    reason = f"no rule of the VirtualService for {mesh.host} takes this request"
    rest = _own_rule(route, target.applied.policies, Refuse(status=404, reason=reason))
    yield replace(rest, name=f"{route.name}/none")


def _conjunction(match: RequestMatch, rule: Rule, target: _Target) -> tuple[RequestMatch, Rewrite] | None:
    """Edge and mesh match as one, with the rewrite that both ask for; None where they exclude
    each other or the gateway is not the source that the mesh rule wants."""
    route = target.route
    if undecided(match):
        target.findings.warn(
            "MG1103",
            rule.origin,
            route.rules.ref,
            f"the regex {rule.name!r} matches authorities with is not tried at the gateway, "
            "so that rule has no effect for this Ingress",
            "match the authority by exact or prefix",
        )
    if not gateway_meets(match, target.service, target.port.number):
        return None
    methods = common_methods(route.rules.methods, match.methods)
    if methods is None:
        return None
    wanted = rule.action.rewrite if isinstance(rule.action, Forward) else Rewrite()
    strip = route.rules.strip_path
    combined = combine(route.path, match.paths[0] if match.paths else None, wanted, strip)
    if combined is None:
        return None
    _report_inexact(combined, rule, target)
    edge = _edge_match(route, combined.paths + (() if strip else match.paths[1:]))
    merged = replace(
        edge, headers=edge.headers + match.headers, query=edge.query + match.query, methods=methods
    )
    return merged, _completed(combined.rewrite, target)


def _edge_match(route: EdgeRoute, paths: tuple[PathMatch, ...]) -> RequestMatch:
    rules = route.rules
    return RequestMatch(
        paths=paths,
        headers=tuple(NamedMatch(name=n, match=any_of(values)) for n, values in rules.headers if values),
        methods=common_methods(rules.methods, ()) or (),
        scheme=_PLAIN if rules.plain_only else None,
    )


def _edge_action(action: Action, rewrite: Rewrite, target: _Target) -> Action:
    match action:
        case Forward():
            return _edge_forward(action, rewrite, target)
        case Redirect() | DirectResponse() | Refuse():
            return action
        case _:
            assert_never(action)


def _edge_forward(action: Forward, rewrite: Rewrite, target: _Target) -> Action:
    """The mesh rule's action; "the port that was asked for" is the Ingress backend's."""
    asked = target.port.number
    missing: list[str] = []
    destinations = []
    for entry in action.destinations:
        destination = entry.destination
        if not destination.port:
            destination = replace(destination, port=asked)
            service = target.given.hosts.get(destination.host)
            if service is not None and service.port(asked) is None:
                missing.append(f"service {service.name} has no port {asked}, which the Ingress asks for")
        destinations.append(replace(entry, destination=destination))
    for problem in dict.fromkeys(missing):
        target.findings.warn(
            "MG3002",
            target.route.origin,
            target.route.rules.ref,
            f"{problem}; its requests get 503",
            "write the port of the destination in the VirtualService",
        )
    if destinations and len(missing) == len(destinations):
        return Refuse(status=503, reason=missing[0])
    mirrors = tuple(
        replace(m, destination=replace(m.destination, port=m.destination.port or asked))
        for m in action.mirrors
    )
    return replace(action, destinations=tuple(destinations), rewrite=rewrite, mirrors=mirrors)


def _completed(rewrite: Rewrite, target: _Target) -> Rewrite:
    """With what the annotations of Ingress and Service say about path and host."""
    route = target.route

    def lost(message: str) -> None:
        target.findings.warn("MG1103", route.origin, route.rules.ref, message, "write it into the rewrite")

    return completed(rewrite, route.path, route.rules, target.service, lost)


def _report_inexact(combined: Combined, rule: Rule, target: _Target) -> None:
    if combined.inexact:
        target.findings.warn(
            "MG1103",
            target.route.origin,
            target.route.rules.ref,
            f"strip-path together with the VirtualService's rule at {rule.origin}: {combined.inexact}",
            "match the path in one of the two only",
        )
