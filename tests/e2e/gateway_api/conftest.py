"""One running Meshgate with a few backends, for all tests of the Gateway API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from meshgate.simulate.certificates import leaf, root
from tests.e2e.gateway_api.api import APP, INFRA, MESH, WEB, Api, backend, grpc_backend
from tests.e2e.harness import running


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Backends in `infra`, `app` and `web`, and some with sidecars; tests name their objects apart."""
    folder = tmp_path_factory.mktemp("gateway-api")
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"tier": name}}}
        for name in (INFRA, APP, WEB)
    ]
    chain, key = leaf("backend.test", ("backend.test", "spiffe://backend.test/echo"))
    (folder / "backend.pem").write_bytes(key.reveal() + chain + root())
    for name in ("one", "two", "three"):
        items += backend(name, certificate=folder / "backend.pem" if name == "one" else None)
    for name in ("grpc-one", "grpc-two"):
        items += grpc_backend(name, certificate=folder / "backend.pem" if name == "grpc-one" else None)
    items += backend("app-one", APP) + backend("web-one", WEB)
    for name in (MESH, f"{MESH}-b"):
        meshed = {"name": name, "labels": {"istio-injection": "enabled"}}
        items.append({"apiVersion": "v1", "kind": "Namespace", "metadata": meshed})
    items += backend("mesh-one", MESH) + backend("mesh-two", MESH) + backend("far", f"{MESH}-b")
    items += grpc_backend("mesh-grpc", MESH) + grpc_backend("mesh-grpc-two", MESH)
    (folder / "base.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    with running(folder / "state", [folder / "base.yaml"], "ports") as meshgate:
        yield Api(meshgate)
