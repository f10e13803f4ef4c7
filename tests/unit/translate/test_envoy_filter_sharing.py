"""EnvoyFilters cost only the proxies that they select: all others go on sharing resources."""

from __future__ import annotations

from meshgate.model.graph import Model, diff
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.pipeline import TRANSLATOR, build, read_texts
from meshgate.simulate.stand_in import sidecar_proxy
from meshgate.translate.names import CLUSTER, VIRTUAL_HOST

_APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{sidecar.istio.io/inject: "true"}}}}
    spec: {{containers: [{{name: a, command: [serve]}}]}}
---
"""
_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
"""
_FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: a}
spec:
  workloadSelector: {labels: {app: one}}
  configPatches:
  - applyTo: CLUSTER
    patch: {operation: MERGE, value: {connect_timeout: 1s}}
"""
_WEB = "outbound|80||web.default.svc.cluster.local"


def _model(text: str) -> Model:
    documents, problems = read_texts({"a.yaml": text})
    assert not problems
    return build(documents).model


def _proxy(model: Model, name: str) -> Proxy:
    found = sidecar_proxy(model, f"default/{name}")
    assert found is not None
    return found


def test_only_selected_proxies_have_clusters_of_their_own() -> None:
    model = _model("".join(_APP.format(name=n) for n in ("one", "two", "web")) + _SERVICE + _FILTER)
    scopes = {
        name: TRANSLATOR.scope(Reader(model), _proxy(model, name), CLUSTER, _WEB)
        for name in ("one", "two", "web")
    }
    assert scopes["two"] == scopes["web"] != scopes["one"]


def test_a_patch_of_clusters_touches_no_virtual_host_and_no_other_namespace() -> None:
    text = "".join(_APP.format(name=n) for n in ("one", "two", "web")) + _SERVICE
    before, after = _model(text), _model(text + _FILTER)
    changed = diff(before, after)
    readers = {}
    for type_url, name in ((CLUSTER, _WEB), (VIRTUAL_HOST, "outbound/web")):
        reader = Reader(after)
        TRANSLATOR.translate(reader, _proxy(after, "two"), type_url, name)
        readers[type_url] = reader.reads
    assert readers[CLUSTER] & changed
    assert not readers[VIRTUAL_HOST] & changed
    assert {read for read in changed if read[1] != "*"} == {("envoy_patches", "default/cluster")}
