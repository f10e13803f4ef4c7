"""Pods without a sidecar find services by name, in plaintext, and only those that take it."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import running
from tests.e2e.manifests import deployment, mesh_namespace, peer_authentication, service

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

ASK = """
import json, os, urllib.error, urllib.request

def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [answer.status, json.load(answer).get("caller")]
    except urllib.error.HTTPError as error:
        return [error.code, None]
    except OSError:
        return [0, None]

address = os.environ["OPEN_SERVICE_HOST"] + ":" + os.environ["OPEN_SERVICE_PORT"]
urls = ("http://open/", "http://open.default.svc.cluster.local/", "http://" + address, "http://guarded/")
print(json.dumps([ask(url) for url in urls]))
"""
NO_SIDECAR = 'sidecar.istio.io/inject: "false"'


def test_who_answers_a_pod_without_a_sidecar(
    isolation: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(f"bare-{isolation}")
    text = mesh_namespace() + peer_authentication("guarded", "STRICT", app="guarded")
    text += "".join(service(name) + deployment(name) for name in ("open", "guarded"))
    text += service("bare") + deployment("bare", labels=NO_SIDECAR)
    (folder / "all.yaml").write_text(text)
    with running(folder / "state", [folder / "all.yaml"], isolation) as meshgate:
        by_name, by_full_name, by_variable, guarded = json.loads(meshgate.inside("bare", ASK))
        assert by_name == by_full_name == by_variable == [200, None]
        assert guarded[0] in (0, 503), "STRICT takes no plaintext"
