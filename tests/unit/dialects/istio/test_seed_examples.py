"""The mesh parts of the published examples, read from the shop that includes them unchanged."""

from __future__ import annotations

from pathlib import Path

from meshgate.core.diagnostics import ordered
from meshgate.dialects.kind import Lowered
from meshgate.model.declared import Declared
from meshgate.model.destination import Balance, ConnectionPool, LoadBalancer, Outliers, TrafficPolicy
from meshgate.model.route import Forward, MatchKind, NamedMatch, RequestMatch, StringMatch
from tests.unit.dialects.reading import read

SEED = Path(__file__).parents[4] / "examples" / "shop" / "manifests" / "seed"


def seed(name: str) -> Lowered:
    """One example, lowered."""
    return read((SEED / name).read_text())


def splits(found: Declared) -> list[list[tuple[str, str, int]]]:
    """Per rule of the only VirtualService: (host, subset, weight) of each destination."""
    (rules,) = found.mesh_rules
    result = []
    for rule in rules.rules:
        assert isinstance(rule.action, Forward)
        result.append(
            [(d.destination.host, d.destination.subset, d.weight) for d in rule.action.destinations]
        )
    return result


def test_01_splits_by_weight_between_two_subsets() -> None:
    lowered = seed("01-canary-payment.yaml")
    assert lowered.diagnostics == ()
    assert splits(lowered.declared) == [[("payment", "v1", 90), ("payment", "v2", 10)]]
    (rule,) = lowered.declared.destination_rules
    assert [(s.name, dict(s.labels)) for s in rule.subsets] == [
        ("v1", {"version": "v1"}),
        ("v2", {"version": "v2"}),
    ]


def test_03_sends_a_header_to_v2_and_the_rest_to_v1_whatever_the_weights() -> None:
    lowered = seed("03-header-canary-and-outliers.yaml")
    assert lowered.diagnostics == ()
    assert splits(lowered.declared) == [[("backend-service", "v2", 100)], [("backend-service", "v1", 100)]]
    (rules,) = lowered.declared.mesh_rules
    canary = NamedMatch(name="x-canary", match=StringMatch(kind=MatchKind.EXACT, value="true"))
    assert [r.matches for r in rules.rules] == [(RequestMatch(headers=(canary,)),), ()]
    (rule,) = lowered.declared.destination_rules
    assert rule.subsets == ()
    assert rule.policy == TrafficPolicy(
        balancer=LoadBalancer(simple=Balance.LEAST_REQUEST),
        pool=ConnectionPool(http1_max_pending_requests=100, http2_max_requests=1000, h2_upgrade=True),
        outliers=Outliers(consecutive_5xx=5, interval_ms=30_000, base_ejection_ms=30_000),
    )


def test_04_splits_behind_the_edge() -> None:
    lowered = seed("04-hybrid.yaml")
    assert splits(lowered.declared) == [[("user-service", "v1", 90), ("user-service", "v2", 10)]]
    assert [(d.code, d.origin.line) for d in ordered(lowered.diagnostics)] == [("MG2201", 12)]
    assert [e.plugin_names for e in lowered.declared.edge_rules] == [()]
