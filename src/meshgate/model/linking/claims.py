"""Routes that are chosen by a token's claims (`@request.auth.claims`). Internal to `link`.

As in Istio 1.27 they are for gateways: only there a token is verified before the route is
chosen. It is chosen twice then, before and after, and Envoy 1.40 makes a request's filters at
the first time; so a plugin that only the second route asks for would not run. Routes with
plugins beside such rules are therefore closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.findings import Findings
from meshgate.model.authorization import Guard
from meshgate.model.declared import MeshRules
from meshgate.model.edge import EdgeHost
from meshgate.model.route import Refuse, RequestMatch, Rule


def without_claims(declared: MeshRules, holds_in_mesh: frozenset[str], findings: Findings) -> MeshRules:
    """The rules as sidecars follow them: no request there has a claim (MG1103 where one is asked for)."""
    rules: list[Rule] = []
    for rule in declared.rules:
        asks = any(
            h.is_claim
            for m in rule.matches
            if not m.gateways or holds_in_mesh.intersection(m.gateways)
            for h in m.headers
        )
        if not asks:
            rules.append(rule)
            continue
        findings.warn(
            "MG1103",
            rule.origin,
            declared.ref,
            "claims choose routes at gateways only; inside the mesh no request has any",
            "name the gateways of the VirtualService, without `mesh`",
        )
        kept = tuple(
            _unclaimed(m) for m in rule.matches if all(h.invert or not h.is_claim for h in m.headers)
        )
        if kept:
            rules.append(replace(rule, matches=kept))
    return replace(declared, rules=tuple(rules))


def close_beside_claims(
    hosts: Mapping[str, EdgeHost], guard: Guard, findings: Findings
) -> dict[str, EdgeHost]:
    """The hosts, with rules that have plugins refusing where a token may choose another route.

    By a claim that a rule of the host asks for, or, once any host has such a rule, by a header
    that is made of a claim.
    """
    if not any(_asks(host, frozenset()) for host in hosts.values()):
        return dict(hosts)
    made = frozenset(name for rule in guard.jwt for name in rule.output_headers)
    return {key: _closed(host, findings) if _asks(host, made) else host for key, host in hosts.items()}


def keep_routes(guard: Guard, hosts: Mapping[str, EdgeHost], findings: Findings) -> Guard:
    """The gateway's guard; `clearRouteCache` is switched off where routes have plugins."""
    if not any(rule.policies for host in hosts.values() for rule in host.rules):
        return guard
    clearing = [a.name for a in guard.authorizers if a.settings.clear_route_cache]
    for policy in guard.policies:
        if policy.provider in clearing:
            findings.warn(
                "MG3008",
                policy.origin,
                policy.ref,
                f"clearRouteCache of provider {policy.provider!r} has no effect at the gateway, "
                "for routes there have plugins that a second choice of the route would pass by",
                "ask the provider at the workload instead",
            )
    kept = tuple(replace(a, settings=replace(a.settings, clear_route_cache=False)) for a in guard.authorizers)
    return replace(guard, authorizers=kept)


def _asks(host: EdgeHost, made: frozenset[str]) -> bool:
    return any(h.is_claim or h.name in made for rule in host.rules for m in rule.matches for h in m.headers)


def _closed(host: EdgeHost, findings: Findings) -> EdgeHost:
    rules = []
    for rule in host.rules:
        if rule.policies:
            at = rule.edge_origin or rule.origin
            message = f"tokens choose the routes of {host.host}, beside which plugins might not run"
            said = Diagnostic(
                severity=Severity.ERROR,
                code="MG3008",
                origin=at,
                message=f"{message}; the route is closed",
                remedy="give the rules by claims a host of their own",
            )
            findings.extend((said,))
            rule = replace(rule, action=Refuse(status=503, reason="plugins beside rules by claims"))
        rules.append(rule)
    return replace(host, rules=tuple(rules))


def _unclaimed(match: RequestMatch) -> RequestMatch:
    return replace(match, headers=tuple(h for h in match.headers if not h.is_claim))
