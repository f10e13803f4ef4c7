"""A policy that names a Gateway of the Gateway API holds there, at a real Envoy, and not beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate import gateway
from meshgate.translate.self_contained import self_contained
from tests.envoy.decisions import KEY_SET, token
from tests.simulate.live import ask, running

pytestmark = pytest.mark.envoy

GATEWAY = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s}
spec: {gatewayClassName: meshgate, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
TARGET = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: guarded}]"
MANIFESTS = f"""\
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: shop}}
spec:
  parentRefs: [{{name: guarded}}, {{name: open}}]
  rules: [{{backendRefs: [{{name: shop, port: 80}}]}}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens}}
spec: {{{TARGET}, jwtRules: [{{issuer: "https://issuer.test", jwks: '{KEY_SET}'}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: members}}
spec: {{{TARGET}, rules: [{{from: [{{source: {{requestPrincipals: ["*"]}}}}]}}]}}
{GATEWAY % "guarded"}{GATEWAY % "open"}"""


def test_a_policy_of_one_gateway(tmp_path: Path) -> None:
    documents, problems = read_texts({"in.yaml": MANIFESTS})
    built = build(documents)
    assert not problems
    model = stand_in(built.model)
    reader, proxy = Reader(model), gateway_proxy()
    addresses = {key.rpartition("/")[2]: s.addresses for key, s in model.statuses.items() if s.addresses}
    good = (("authorization", f"Bearer {token({'iss': 'https://issuer.test', 'sub': 'me'})}"),)
    bad = (("authorization", "Bearer a.b.c"),)

    async def statuses(name: str) -> list[int]:
        address = (addresses[name] or ())[0]
        listener = next(n for n in gateway.listener_names(reader, proxy) if address in n)
        config = self_contained(reader, proxy)
        for one in config.static_resources.listeners:
            one.address.socket_address.address = "127.0.0.1"
        (tmp_path / name).mkdir()
        async with running(config, listener, tmp_path / name) as port:
            return [(await ask(port, "GET", "x", "/", headers)).status for headers in ((), good, bad)]

    assert asyncio.run(statuses("guarded")) == [403, 200, 401]
    assert asyncio.run(statuses("open")) == [200, 200, 200]
