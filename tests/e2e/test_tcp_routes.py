"""`tcp` routes of a VirtualService: connections to a port that is not HTTP are shared by weight."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import running
from tests.e2e.manifests import deployment, mesh_namespace, service

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

ROUTES = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec:
  selector: {app: store}
  ports: [{name: tcp, port: 9000, targetPort: http}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: store}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: store}
spec:
  host: store
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec:
  hosts: [store]
  tcp:
  - match: [{sourceLabels: {app: only-v2}}]
    route: [{destination: {host: store, subset: v2}}]
  - match: [{port: 9000}]
    route:
    - {destination: {host: store, subset: v1}, weight: 50}
    - {destination: {host: store, subset: v2}, weight: 50}
---
"""
ASK = """
import collections, http.client, json, os
found = collections.Counter()
for _ in range(40):
    address = os.environ.get("STORE_SERVICE_HOST", "store"), int(os.environ.get("STORE_SERVICE_PORT", 9000))
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", "/")
    found[json.load(connection.getresponse())["version"]] += 1
    connection.close()
print(json.dumps(found))
"""


def test_connections_are_shared_by_weight_and_by_who_asks(
    isolation: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(f"tcp-{isolation}")
    text = mesh_namespace() + ROUTES
    text += deployment("store-v1", "v1", app="store") + deployment("store-v2", "v2", app="store")
    text += "".join(service(name) + deployment(name) for name in ("anybody", "only-v2"))
    (folder / "all.yaml").write_text(text)
    with running(folder / "state", [folder / "all.yaml"], isolation) as meshgate:
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] == "error"] == []
        shared = json.loads(meshgate.inside("anybody", ASK))
        assert sum(shared.values()) == 40
        assert set(shared) == {"v1", "v2"}
        assert json.loads(meshgate.inside("only-v2", ASK)) == {"v2": 40}
