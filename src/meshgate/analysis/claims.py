"""Routes by a token's claims where nobody checks tokens."""

from __future__ import annotations

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared, MeshRules
from meshgate.model.graph import EDGE, Model
from meshgate.model.linking.mesh import MESH_GATEWAY


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3112: `@request.auth.claims` at a gateway without a RequestAuthentication: it is never met."""
    guard = model.edge_guard.get(EDGE)
    if guard is not None and guard.jwt:
        return
    for rules in declared.mesh_rules:
        if any(gateway != MESH_GATEWAY for gateway in rules.gateways) and _asks(rules):
            advice.warn(
                "MG3112",
                rules.origin,
                rules.ref,
                "it routes by claims, and no RequestAuthentication is for the gateway: no request has any",
                "add a RequestAuthentication in istio-system that selects istio: ingressgateway",
            )


def _asks(rules: MeshRules) -> bool:
    return any(h.is_claim for rule in rules.rules for match in rule.matches for h in match.headers)
