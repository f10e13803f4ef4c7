"""One running Meshgate with a few backends, for all tests of the Gateway API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.gateway_api.api import APP, INFRA, WEB, Api, backend
from tests.e2e.harness import running


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Three backends in `infra`, one in `app` and one in `web`; tests name their objects apart."""
    folder = tmp_path_factory.mktemp("gateway-api")
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"tier": name}}}
        for name in (INFRA, APP, WEB)
    ]
    for name in ("one", "two", "three"):
        items += backend(name)
    items += backend("app-one", APP) + backend("web-one", WEB)
    (folder / "base.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    with running(folder / "state", [folder / "base.yaml"], "ports") as meshgate:
        yield Api(meshgate)
