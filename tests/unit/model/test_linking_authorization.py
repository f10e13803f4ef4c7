"""Which policies stand before which workload, and before the gateway."""

from __future__ import annotations

import pytest

from meshgate.model.graph import Model
from meshgate.pipeline import build, read_texts

MESH = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {istio-injection: enabled}}
"""


def _deployment(name: str, namespace: str) -> str:
    return f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, command: [serve]}}]}}
"""


def _policy(
    name: str, namespace: str, spec: str, version: str = "v1", kind: str = "AuthorizationPolicy"
) -> str:
    return (
        f"---\napiVersion: security.istio.io/{version}\nkind: {kind}\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )


def _linked(*policies: str) -> tuple[Model, list[str]]:
    parts = [MESH, _deployment("a", "shop"), _deployment("b", "shop"), _deployment("c", "other"), *policies]
    documents, problems = read_texts({"f.yaml": "".join(parts)})
    built = build(documents)
    return built.model, [d.code for d in (*problems, *built.diagnostics)]


def _closed(model: Model) -> set[str]:
    edge = {"gateway"} if any(g.closed for g in model.edge_guard.values()) else set()
    return {key.split("/")[1] for key, inbound in model.inbound.items() if inbound.guard.closed} | edge


def _held(model: Model, key: str) -> list[str]:
    guard = model.edge_guard.get("gateway") if key == "gateway" else model.inbound[key].guard
    return [p.ref.name for p in guard.policies] if guard else []


def test_policies_of_all_levels_hold_together() -> None:
    model, codes = _linked(
        _policy("own", "shop", "{selector: {matchLabels: {app: a}}}"),
        _policy("namespace", "shop", "{}"),
        _policy("mesh", "istio-system", "{}"),
        _policy("by-label", "istio-system", "{selector: {matchLabels: {app: c}}}"),
        _policy("elsewhere", "nowhere", "{}"),
    )
    assert _held(model, "shop/a") == ["mesh", "namespace", "own"]
    assert _held(model, "shop/b") == ["mesh", "namespace"]
    assert _held(model, "other/c") == ["by-label", "mesh"]
    assert _held(model, "gateway") == ["mesh"]
    assert codes == []


@pytest.mark.parametrize(
    "labels",
    ["istio: ingressgateway", "app: istio-ingressgateway", "istio: ingress", "app: meshgate-gateway"],
)
@pytest.mark.parametrize("namespace", ["istio-system", "meshgate-system", "istio-ingress"])
def test_the_gateway_is_selected_as_istios_is(namespace: str, labels: str) -> None:
    model, codes = _linked(_policy("edge", namespace, f"{{selector: {{matchLabels: {{{labels}}}}}}}"))
    assert (_held(model, "gateway"), _held(model, "shop/a"), codes) == (["edge"], [], [])


def test_the_gateways_namespace_is_no_root_namespace() -> None:
    model, _ = _linked(_policy("edge", "meshgate-system", "{}"))
    assert (_held(model, "gateway"), _held(model, "shop/a")) == (["edge"], [])


def test_a_selector_that_takes_nothing_is_said() -> None:
    assert _linked(_policy("idle", "shop", "{selector: {matchLabels: {app: c}}}"))[1] == ["MG3007"]


@pytest.mark.parametrize(
    ("policy", "closed"),
    [
        (_policy("x", "shop", "{selector: {matchLabels: {app: a}}, rulez: []}"), {"a"}),
        (_policy("x", "shop", "{rulez: []}"), {"a", "b"}),
        (_policy("x", "shop", "nonsense"), {"a", "b"}),
        (_policy("x", "istio-system", "{rulez: []}"), {"a", "b", "c", "gateway"}),
        (_policy("x", "shop", "{}", version="v1alpha1"), {"a", "b"}),
        (_policy("x", "istio-system", "{}", version="v9"), {"a", "b", "c", "gateway"}),
        (_policy("x", "shop", "{targetRef: {kind: Service, name: b}}"), {"b"}),
        (_policy("x", "shop", "{targetRef: {kind: Service, name: lost}}"), {"a", "b"}),
        (_policy("x", "shop", "{targetRef: {kind: Odd, name: b}}"), {"a", "b"}),
        (_policy("x", "shop", "{targetRef: {group: gateway.networking.k8s.io, kind: Gateway}}"), {"gateway"}),
        (_policy("x", "shop", "{jwtRules: [{issuer: a}]}", kind="RequestAuthentication"), {"a", "b"}),
        (_policy("x", "shop", "{}", version="v0", kind="RequestAuthentication"), {"a", "b"}),
    ],
)  # fmt: skip
def test_what_is_broken_closes_what_it_would_have_guarded(policy: str, closed: set[str]) -> None:
    assert _closed(_linked(policy)[0]) == closed


def test_keys_of_a_service_of_ours_are_asked_for_in_the_mesh() -> None:
    spec = "{jwtRules: [{issuer: i, jwksUri: 'http://c.other/keys'}, {issuer: j, jwksUri: 'http://c.test/keys'}]}"
    model, _ = _linked(_policy("t", "shop", spec, kind="RequestAuthentication"))
    found = [rule.remote.service for rule in model.inbound["shop/a"].guard.jwt if rule.remote]
    assert found == ["c.other.svc.cluster.local", ""]
