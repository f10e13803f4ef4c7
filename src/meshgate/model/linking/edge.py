"""Ingresses as virtual hosts of the gateway: which are ours, which path comes first.

Precedence: routes with more conditions (headers, methods) first, as in Kong; then exact
paths, regexes, prefixes, the longer before the shorter, as in Kubernetes; then the older.
A request that no route of its own host takes falls to wildcard hosts and to rules without
a host, as in Kong. Internal to `link`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from meshgate.core.findings import Findings
from meshgate.model.declared import EdgeRules
from meshgate.model.edge import EdgeHost
from meshgate.model.graph import MeshHost
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.mesh import host_candidates, is_catch_all
from meshgate.model.linking.paths import takes_all
from meshgate.model.linking.plugins import Plugins
from meshgate.model.linking.routes import EdgeRoute, compile_route
from meshgate.model.names import Name
from meshgate.model.route import PathKind, PathMatch, Rule

CLASSES = frozenset({"kong", "meshgate", "istio"})
"""Ingress classes that are ours without an IngressClass object."""

CONTROLLERS = frozenset(
    {
        "ingress-controllers.konghq.com/kong",
        "meshgate.dev/ingress-controller",
        "istio.io/ingress-controller",
    }
)

_RANK = {PathKind.EXACT: 0, PathKind.REGEX: 1, PathKind.SEGMENTS: 2, PathKind.PREFIX: 2}
_EVERYTHING = PathMatch(kind=PathKind.PREFIX, value="/")


def taken_ingresses(given: Input, findings: Findings) -> tuple[EdgeRules, ...]:
    """Ingresses of no class or one of ours, oldest first, each once; others are MG3012."""
    classes = {c.name: c for c in sorted(given.declared.ingress_classes, key=lambda c: (c.name, c.origin))}
    taken: dict[tuple[str, str], EdgeRules] = {}
    for rules in oldest_first(given.declared.edge_rules):
        named = classes.get(rules.class_name)
        ours = named.controller in CONTROLLERS if named else rules.class_name in CLASSES
        if rules.class_name and not ours:
            broken = given.broken("IngressClass", Name("", rules.class_name))
            controller = f" (controller {named.controller or 'not said'})" if named else ""
            controller = f" (which is broken: {broken.problem})" if broken else controller
            findings.warn(
                "MG3012",
                rules.origin,
                rules.ref,
                f"its class {rules.class_name!r}{controller} is not ours; the Ingress has no effect",
                "use the class meshgate, kong or istio, or none",
                ("spec", "ingressClassName"),
            )
            continue
        first = taken.setdefault((rules.namespace, rules.ref.name), rules)
        if first != rules:
            findings.error(
                "MG1106", rules.origin, rules.ref, f"is already defined at {first.origin}", "keep one of them"
            )
    return tuple(taken.values())


OwnRules = tuple[tuple[Rule, ...], bool]
"""The rules of one host, and whether one of them takes every request."""


def link_ingress_rules(
    given: Input,
    edges: tuple[EdgeRules, ...],
    mesh_hosts: Mapping[str, tuple[MeshHost, ...]],
    plugins: Plugins,
    findings: Findings,
) -> dict[str, OwnRules]:
    """By host: its own rules in the order in which they are tried."""
    routes: dict[str, list[EdgeRoute]] = {}
    claimed: dict[object, EdgeRoute] = {}
    for route in (r for rules in edges for r in _routes(rules)):
        older = claimed.setdefault(_claim(route), route)
        if older is route:
            routes.setdefault(route.host, []).append(route)
            continue
        findings.warn(
            "MG3008",
            route.origin,
            route.rules.ref,
            f"{older.rules.ref} at {older.origin} already takes {route.host}{route.path.value}; "
            "this path has no effect",
            "remove one of them",
        )
    own: dict[str, OwnRules] = {}
    for host, entries in sorted(routes.items()):
        ordered = sorted(entries, key=_precedence)  # stable: the older first
        compiled = (compile_route(route, given, mesh_hosts, plugins, findings) for route in ordered)
        own[host] = reachable(tuple(itertools.chain.from_iterable(compiled)))
    return own


def link_edge_hosts(own: Mapping[str, OwnRules]) -> dict[str, EdgeHost]:
    """The Ingresses' hosts, each with its own rules and those that it falls back to."""
    return {host: EdgeHost(host=host, rules=_with_fallbacks(host, own)) for host in own}


def _routes(rules: EdgeRules) -> list[EdgeRoute]:
    routes = [
        EdgeRoute(
            rules=rules,
            host=path.host.lower(),
            path=path.path,
            backend=path.backend,
            name=f"ingress/{rules.namespace}/{rules.ref.name}/{path.index[0]}/{path.index[1]}",
            origin=path.origin,
            backend_field=("spec", "rules", path.index[0], "http", "paths", path.index[1], "backend"),
        )
        for path in sorted(rules.paths, key=lambda p: p.index)
    ]
    if rules.default_backend is not None:
        routes.append(
            EdgeRoute(
                rules=rules,
                host="*",
                path=_EVERYTHING,
                backend=rules.default_backend,
                name=f"ingress/{rules.namespace}/{rules.ref.name}/default",
                origin=rules.default_backend.origin,
                backend_field=("spec", "defaultBackend"),
                is_default=True,
            )
        )
    return routes


def _claim(route: EdgeRoute) -> object:
    """Equal for routes that take the same requests."""
    path: object = "all" if takes_all(route.path) else route.path
    if route.path.kind is PathKind.SEGMENTS and path != "all":
        path = (PathKind.SEGMENTS, route.path.value.rstrip("/"))
    rules = route.rules
    conditions = frozenset(rules.methods), frozenset(rules.headers), rules.plain_only
    return route.host, path, route.is_default, conditions


def _precedence(route: EdgeRoute) -> tuple[bool, int, int, int, int, int]:
    rules, kind = route.rules, route.path.kind
    length = 0 if kind is PathKind.REGEX else len(route.path.value.rstrip("/"))
    conditions = bool(rules.methods) + bool(rules.headers) + rules.plain_only
    priority = rules.regex_priority if kind is PathKind.REGEX else 0
    return (route.is_default, -conditions, -len(rules.headers), _RANK[kind], -priority, -length)


def reachable(rules: tuple[Rule, ...]) -> OwnRules:
    """The rules up to one that takes every request, and whether there is one."""
    last = next((i for i, rule in enumerate(rules) if is_catch_all(rule)), None)
    return (rules, False) if last is None else (rules[: last + 1], True)


def _with_fallbacks(host: str, own: Mapping[str, OwnRules]) -> tuple[Rule, ...]:
    """The host's own rules, then those of wider hosts while a request can still get there."""
    found: tuple[Rule, ...] = ()
    for candidate in dict.fromkeys(host_candidates(host, own)):
        rules, takes_every_request = own[candidate]
        found += rules
        if takes_every_request:
            break
    return found
