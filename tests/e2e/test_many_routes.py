"""One wrong plugin among 1,000 routes: 999 answer as if it were not there, and it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.clients import Client, statuses
from tests.e2e.harness import running
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy, pytest.mark.slow]

ROUTES = 1_000
WRONG = 617
PLUGIN = """---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: answer-{number}}}
plugin: request-termination
config: {{status_code: {status}, message: "route {number}"}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: route-{number}, annotations: {{konghq.com/plugins: answer-{number}}}}}
spec:
  ingressClassName: kong
  rules:
  - host: h{number}.example
    http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: shop, port: {{number: 80}}}}}}}}]
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {ports: [{name: http, port: 80}]}\n"


def _manifest(number: int, status: object = 418) -> str:
    return PLUGIN.format(number=number, status=status)


def _answers(port: int) -> dict[int, int]:
    found = {}
    for number in range(ROUTES):
        client = Client(port, f"h{number}.example")
        answer = client.ask()
        client.close()
        found[number] = answer.status
        assert answer.status != 418 or answer.json()["message"] == f"route {number}"
    return found


def test_a_wrong_plugin_closes_its_own_route_alone(tmp_path: Path) -> None:
    text = SERVICE + "".join(_manifest(n) for n in range(ROUTES) if n != WRONG)
    (tmp_path / "good.yaml").write_text(text)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(_manifest(WRONG, "teapot"))
    with running(tmp_path / "state", [tmp_path / "good.yaml", wrong], "ports") as meshgate:
        with_wrong = _answers(meshgate.http_port)
        assert {n for n, status in with_wrong.items() if status != 418} == {WRONG}
        assert with_wrong[WRONG] == 503
        named = [d for d in meshgate.status()["diagnostics"] if d["severity"] == "error"]
        assert {d["file"].rpartition("/")[2] for d in named} == {"wrong.yaml"}
        assert any(d["code"] == "MG2103" and "status_code" in d["field"] for d in named)

        wrong.write_text(_manifest(WRONG))
        until(lambda: meshgate.ask(f"h{WRONG}.example").status == 418, "the mended route")
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] == "error"] == []

        wrong.write_text(_manifest(WRONG, "pot"))
        until(lambda: meshgate.diagnostics("MG2103"), "the plugin that went wrong again")
        again = _answers(meshgate.http_port)
        assert {n for n, status in again.items() if status != 418} <= {WRONG}
        assert statuses([meshgate.ask("h1.example")]) == {418: 1}
