"""Routes that a token's claims choose, at a real Envoy; and `explain` says the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.call import call
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.decisions import KEY_SET, token
from tests.simulate.live import ask, running

pytestmark = pytest.mark.envoy

MANIFESTS = f"""\
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: web}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: by-claim}}
spec:
  hosts: [shop.test]
  gateways: [web]
  http:
  - match: [{{headers: {{"@request.auth.claims.group": {{exact: staff}}}}}}]
    directResponse: {{status: 201}}
  - match: [{{headers: {{"@request.auth.claims[realm.x][roles]": {{prefix: adm}}}}}}]
    directResponse: {{status: 202}}
  - match: [{{headers: {{"@request.auth.claims.scope": {{regex: "w.*e"}}}}}}]
    directResponse: {{status: 203}}
  - match: [{{uri: {{prefix: /open}}, withoutHeaders: {{"@request.auth.claims.blocked": {{}}}}}}]
    directResponse: {{status: 205}}
  - match: [{{headers: {{"@request.auth.claims.sub": {{}}}}}}]
    route: [{{destination: {{host: shop}}}}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: ingressgateway}}}}
  jwtRules: [{{issuer: "https://issuer.test", jwks: '{KEY_SET}'}}]
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: keys}}
plugin: key-auth
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: beside, annotations: {{konghq.com/plugins: keys}}}}
spec:
  ingressClassName: kong
  rules:
  - host: shop.test
    http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: shop, port: {{number: 80}}}}}}}}]
"""


@dataclass(frozen=True, slots=True)
class Try:
    path: str
    claims: Mapping[str, object] | None
    status: int
    """503 is the Ingress's: plugins beside rules by claims are closed."""


TRIES = (
    Try("/", {"group": "staff"}, 201),
    Try("/", {"group": ["x", "staff"]}, 201),
    Try("/", {"group": "staffx"}, 503),
    Try("/", {"Group": "staff"}, 503),
    Try("/", {"realm.x": {"roles": ["user", "admin"]}}, 202),
    Try("/", {"realm": {"x": {"roles": "admin"}}}, 503),
    Try("/", {"scope": "read write"}, 203),
    Try("/", {"scope": "read"}, 503),
    Try("/open", None, 205),
    Try("/open", {"x": 1}, 205),
    Try("/open", {"blocked": "yes"}, 503),
    Try("/open", {"blocked": "yes", "sub": "me"}, 200),
    Try("/", {"sub": "me"}, 200),
    Try("/", {}, 503),
    Try("/", None, 503),
)


def _headers(claims: Mapping[str, object] | None, key: str = "") -> tuple[tuple[str, str], ...]:
    if claims is None:
        return ()
    said = {"iss": "https://issuer.test", **claims}
    made = token(said, key=key) if key else token(said)
    return (("authorization", f"Bearer {made}"),)


def test_claims_choose_the_route(tmp_path: Path) -> None:
    documents, problems = read_texts({"in.yaml": MANIFESTS})
    built = build(documents)
    wrong = [d.code for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    assert wrong == ["MG3008"]
    model = stand_in(built.model)

    async def answers() -> tuple[list[int], list[int]]:
        config = self_contained(Reader(model), gateway_proxy())
        async with running(config, "http", tmp_path) as port:
            tried = [await ask(port, "GET", "shop.test", t.path, _headers(t.claims)) for t in TRIES]
            forged = ({"group": "staff"}, {"sub": "me"}, {"x": 1})
            bad = [await ask(port, "GET", "shop.test", "/", _headers(c, "k" * 32)) for c in forged]
            bad.append(await ask(port, "GET", "shop.test", "/", (("request.auth.claims.group", "staff"),)))
            return [a.status for a in tried], [a.status for a in bad]

    found, forged = asyncio.run(answers())
    assert found == [t.status for t in TRIES]
    assert forged == [401, 401, 401, 503]
    for one in TRIES:
        verdict = call(model, "GET", "shop.test", one.path, _headers(one.claims))
        # The service has no pods here, which explain knows and the test's Envoy does not.
        assert (200 if verdict.destinations else verdict.status) == one.status, one
