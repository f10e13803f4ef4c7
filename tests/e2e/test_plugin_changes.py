"""A route that goes from one plugin to another lets nobody in meanwhile, whose connections are old or new."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.clients import Answer, Client, Load
from tests.e2e.harness import running
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: answer}
plugin: request-termination
config: {status_code: 200, message: served}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {konghq.com/plugins: "asks,answer"}}
spec:
  ingressClassName: kong
  rules:
  - host: shop.example
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: asks}
"""
BASIC, KEY, HIDING = (
    "plugin: basic-auth",
    "plugin: key-auth",
    "plugin: key-auth\nconfig: {hide_credentials: true}",
)
# What follows on what, and what Envoy's refusal says then; each has filters that the one before has not.
TURNS = (
    (HIDING + "\n", "Key"),
    (BASIC, "Basic"),
    (KEY, "Key"),
    ("plugin: jwt", "Bearer"),
    ("plugin: hmac-auth", "hmac"),
    (BASIC, "Basic"),
    ("plugin: ip-restriction\nconfig: {allow: [192.0.2.1]}", None),
    (HIDING, "Key"),
)


def _refused_by(client: Client, scheme: str | None) -> Answer | None:
    answer = client.ask()
    said = answer.header("www-authenticate")
    found = said is None and answer.status == 403 if scheme is None else said and said.startswith(scheme)
    return answer if found and answer.status in (401, 403) else None


def test_nobody_comes_in_between_two_plugins(tmp_path: Path) -> None:
    manifests = tmp_path / "shop.yaml"
    manifests.write_text(MANIFESTS + TURNS[0][0])
    with (
        running(tmp_path / "state", [manifests], "ports") as meshgate,
        closing(meshgate.client("shop.example")) as client,
    ):
        until(lambda: _refused_by(client, TURNS[0][1]), "the first plugin")
        with Load(meshgate.http_port, "shop.example", clients=4) as load:
            for plugin, scheme in TURNS[1:]:
                load.more(50)
                manifests.write_text(MANIFESTS + plugin)
                until(lambda: _refused_by(client, scheme), plugin)  # noqa: B023
    assert Counter(answer.status for answer in load.answers)[200] == 0
