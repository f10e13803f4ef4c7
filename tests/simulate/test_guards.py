"""Explain names Istio's policies on the way, and says where they let nothing in."""

from __future__ import annotations

import pytest

from meshgate.pipeline import build, read_texts
from meshgate.simulate import call, stand_in
from meshgate.simulate.verdict import Outcome, Verdict
from tests.envoy.decision_cases import allow, deny, policy, source, to
from tests.envoy.decisions import MESH

CALLER = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, command: [serve]}]}
"""


def _asked(policies: str, proxy: str) -> Verdict:
    documents, _ = read_texts({"mesh.yaml": MESH + CALLER, "policies.yaml": policies})
    return call(stand_in(build(documents).model), "GET", "api.shop", "/", proxy=proxy)


@pytest.mark.parametrize("proxy", ["gateway", "web.shop"])
def test_policies_that_let_some_in_are_named(proxy: str) -> None:
    verdict = _asked(allow(source('namespaces: ["*"]')) + deny(to("paths: [/x]")), proxy)
    assert verdict.outcome is Outcome.FORWARD
    assert [(p.kind, p.refuses) for p in verdict.policies] == [("AuthorizationPolicy", 0)] * 2
    assert "at shop/api: ALLOW, 1 rule" in verdict.policies[0].says
    assert verdict.policies[0].origin.file == "policies.yaml"


@pytest.mark.parametrize("proxy", ["gateway", "web.shop"])
@pytest.mark.parametrize("spec", ["{}", "{action: DENY, rules: [{}]}", "{action: CUSTOM, rules: [{}]}"])
def test_a_workload_that_lets_nothing_in_refuses(proxy: str, spec: str) -> None:
    verdict = _asked(policy(spec), proxy)
    assert (verdict.outcome, verdict.status) == (Outcome.REFUSE, 403)
    assert verdict.reason.startswith("AuthorizationPolicy: ")


def test_dry_run_refuses_nothing() -> None:
    verdict = _asked(policy("{}", dry_run="true"), "web.shop")
    assert (verdict.outcome, "only tried" in verdict.policies[0].says) == (Outcome.FORWARD, True)


def test_the_gateways_policies_are_not_those_of_the_mesh() -> None:
    edge = policy("{selector: {matchLabels: {istio: ingressgateway}}}", namespace="istio-system")
    assert _asked(edge, "gateway").status == 403
    assert _asked(edge, "web.shop").outcome is Outcome.FORWARD
