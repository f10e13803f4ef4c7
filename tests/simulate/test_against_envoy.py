"""The simulator says what a real Envoy then does, request by request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from meshgate.model.reader import Reader
from meshgate.simulate import Verdict, call
from meshgate.simulate.call import GATEWAY
from meshgate.simulate.redact import PLACEHOLDER
from meshgate.translate.self_contained import self_contained
from tests.golden import cases
from tests.simulate.live import Answer, ask, running

Headers = tuple[tuple[str, str], ...]
NO_PODS = "no pod is ready"
"""Of services without a selector; here every cluster has a server."""

PREFLIGHT: Headers = (("access-control-request-method", "GET"),)

REQUESTS: dict[tuple[str, str], tuple[tuple[str, str, str, Headers], ...]] = {
    ("kubernetes/path-types", GATEWAY): (
        ("GET", "paths.example", "/a", ()),
        ("GET", "paths.example", "/a/", ()),
        ("GET", "paths.example", "/a?b=/c", ()),
        ("GET", "paths.example", "/a/b", ()),
        ("GET", "paths.example", "/a/bc", ()),
        ("GET", "paths.example", "/ab", ()),
        ("GET", "paths.example", "/index", ()),
        ("GET", "paths.example", "/x/../a/b/./c", ()),
        ("GET", "paths.example", "/x/..;y/a/b", ()),
        ("GET", "paths.example", "/a/.;y/b", ()),
        ("GET", "paths.example", "/x/%2e%2e;y/a/b", ()),
        ("GET", "paths.example", "//a//b", ()),
        ("GET", "paths.example", "/a%2Fb", ()),
        ("GET", "paths.example", "/%61/%62", ()),
        ("GET", "paths.example", "/a\\b", ()),
        ("GET", "other.example", "/a", ()),
        ("GET", "paths.example:8080", "/n", ()),
    ),
    ("kubernetes/regex-path", GATEWAY): (
        ("GET", "regex.example", "/items/42", ()),
        ("GET", "regex.example", "/items/42x", ()),
        ("GET", "regex.example", "/items/42?q=1", ()),
    ),
    ("kubernetes/host-precedence", GATEWAY): (
        ("GET", "api.example.com", "/api", ()),
        ("GET", "API.example.com:99", "/api/x", ()),
        ("GET", "api.example.com", "/", ()),
        ("GET", "a.b.example.com", "/", ()),
        ("GET", "a.example.com:8080", "/", ()),
        ("GET", "example.com", "/", ()),
    ),
    ("istio/gateway-bookinfo", GATEWAY): (
        ("GET", "localhost:8080", "/productpage", ()),
        ("GET", "any.example", "/static/a.css", ()),
        ("GET", "any.example", "/details/0", ()),
        ("GET", "any.example", "/elsewhere", ()),
        ("GET", "any.example", "/productpage/", ()),
    ),
    ("istio/gateway-and-ingress", GATEWAY): (
        ("GET", "shop.example", "/web", ()),
        ("GET", "shop.example", "/api/x", ()),
        ("GET", "shop.example", "/any", ()),
        ("GET", "shop.example", "/", ()),
        ("GET", "wide.example", "/", ()),
        ("GET", "other.example", "/any", ()),
        ("GET", "other.example", "/web", ()),
    ),
    ("istio/gateway-tls", GATEWAY): (
        ("GET", "shop.example", "/x?y", ()),
        ("GET", "pay.example:8080", "/", ()),
        ("GET", "other.example", "/", ()),
    ),
    ("kubernetes/missing-service-and-port", GATEWAY): (
        ("GET", "x", "/none", ()),
        ("GET", "x", "/port/x", ()),
        ("GET", "x", "/", ()),
    ),
    ("kong/strip-path", GATEWAY): (
        ("GET", "x", "/shop", ()),
        ("GET", "x", "/shop/", ()),
        ("GET", "x", "/shop/a/b?c=d", ()),
        ("GET", "x", "/exact", ()),
        ("GET", "x", "/impl/", ()),
        ("GET", "x", "/impl/a", ()),
    ),
    ("kong/strip-path-with-mesh-rules", GATEWAY): (
        ("GET", "x", "/shop/beta/a", ()),
        ("GET", "x", "/shop/alpha", ()),
        ("GET", "x", "/beta", ()),
    ),
    ("kong/preserve-host", GATEWAY): (("GET", "x", "/shop/a", ()),),
    ("kong/methods", GATEWAY): (
        ("GET", "m.example", "/", ()),
        ("POST", "m.example", "/", ()),
        ("DELETE", "m.example", "/", ()),
    ),
    ("kong/key-auth", GATEWAY): (
        ("GET", "x", "/shop", ()),
        ("GET", "x", "/shop", (("apikey", "wrong"),)),
        ("GET", "x", "/shop", (("apikey", "PLACEHOLDER"),)),
        ("GET", "x", "/shop?x-key=PLACEHOLDER", ()),
    ),
    ("kong/jwt-hs256", GATEWAY): (
        ("GET", "x", "/shop", ()),
        ("GET", "x", "/shop", (("authorization", "Bearer TOKEN"),)),
        ("GET", "x", "/shop", (("authorization", "Basic TOKEN"),)),
        ("GET", "x", "/shop?jwt=TOKEN", ()),
        ("GET", "x", "/shop", (("cookie", "a=b; token=TOKEN"),)),
        ("GET", "x", "/shop", (("authorization", "Bearer STRANGER"),)),
        ("GET", "x", "/shop", (("authorization", "Bearer nonsense"),)),
    ),
    ("kong/jwt-without-consumers", GATEWAY): (
        ("GET", "x", "/shop", ()),
        ("GET", "x", "/shop", (("authorization", "Bearer e30.e30.e30"),)),
    ),
    ("kong/jwt-anonymous", GATEWAY): (
        ("GET", "x", "/shop/a", ()),
        ("GET", "x", "/shop", (("authorization", "Bearer e30.e30.e30"),)),
        ("GET", "x", "/closed", ()),
    ),
    ("kong/consumer-groups", GATEWAY): (
        ("GET", "x", "/shop", ()),
        ("GET", "x", "/shop", (("apikey", "not-a-secret-1"),)),
        ("GET", "x", "/shop", (("apikey", "nobody's"),)),
    ),
    ("kong/broken-plugin", GATEWAY): (
        ("GET", "x", "/broken", ()),
        ("GET", "x", "/missing", ()),
        ("GET", "x", "/open", ()),
    ),
    ("istio/paths", "client"): (
        ("GET", "a", "/b", ()),
        ("GET", "a", "/b/", ()),
        ("GET", "a", "/cdef", ()),
        ("GET", "a", "/d/12", ()),
        ("GET", "a", "/d/12/3", ()),
        ("GET", "a", "/d", ()),
        ("GET", "A:80", "/", ()),
        ("GET", "a.default.svc.cluster.local", "/b?c", ()),
    ),
    ("istio/header-canary", "client"): (
        ("GET", "pay", "/", (("x-session", "1"),)),
        ("GET", "pay", "/", (("x-session", "1"), ("x-canary", "true"))),
        ("GET", "pay", "/", (("x-session", "1"), ("x-canary", "True"))),
        ("GET", "pay", "/", (("x-session", "1"), ("x-user", "qa-7"), ("x-team", "payments"))),
        ("GET", "pay", "/", (("x-session", "1"), ("x-user", "qa-7b"), ("x-team", "payments"))),
        ("GET", "pay", "/", ()),
    ),
    ("istio/methods-query-scheme", "client"): (
        ("POST", "a", "/?debug=1", ()),
        ("POST", "a", "/?debug=0&debug=1", ()),
        ("POST", "a", "/?debug", ()),
        ("GET", "a.default", "/", ()),
    ),
    ("istio/weights", "client"): (
        ("GET", "pay", "/zero", ()),
        ("GET", "pay", "/thirds", ()),
        ("GET", "pay", "/lone", ()),
    ),
    ("istio/missing-subset", "client"): (("GET", "pay", "/only", ()),),
    ("istio/fault", "client"): (("GET", "pay", "/", (("x-test", "abort"),)),),
    ("istio/redirect", GATEWAY): (("GET", "x.example", "/old", ()), ("GET", "x.example", "/tls", ())),
    ("istio/redirect", "client"): (("GET", "pay", "/old?a=b", ()), ("GET", "pay", "/tls", ())),
    ("istio/rewrite", "client"): (
        ("GET", "pay", "/api", ()),
        ("GET", "pay", "/api/x?y", ()),
        ("GET", "pay", "/apix", ()),
        ("GET", "pay", "/deep/er", ()),
        ("GET", "pay", "/u/ann/cart/1", ()),
    ),
    ("istio/rewrite", GATEWAY): (("GET", "x", "/api/x", ()), ("GET", "x", "/u/ann/cart", ())),
    ("istio/cors", GATEWAY): (
        ("OPTIONS", "x", "/", (*PREFLIGHT, ("origin", "https://shop.example"))),
        ("OPTIONS", "x", "/", (*PREFLIGHT, ("origin", "https://old.shop.example"))),
        ("OPTIONS", "x", "/", (*PREFLIGHT, ("origin", "https://shop.example.evil"))),
        ("OPTIONS", "x", "/", (("origin", "https://shop.example"),)),
        ("GET", "x", "/", (("origin", "https://shop.example"),)),
    ),
    ("istio/http-matches", "client"): (
        ("POST", "pay", "/?a=xy&b=12", ()),
        ("POST", "pay", "/?a=xy&b=1x", (("a", "x"),)),
        ("GET", "pay.default", "/", (("b", "y"),)),
        ("DELETE", "pay", "/", ()),
    ),
    ("istio/http-actions", "client"): (
        ("GET", "pay", "/moved/x?y", ()),
        ("GET", "pay", "/default/x", ()),
        ("GET", "pay", "/port", ()),
        ("GET", "pay", "/bytes", ()),
        ("GET", "pay", "/retry", ()),
        ("GET", "pay", "/old", ()),
        ("OPTIONS", "pay", "/", (*PREFLIGHT, ("origin", "http://a.example"))),
        ("OPTIONS", "pay", "/", (*PREFLIGHT, ("origin", "https://a.example"))),
    ),
    ("istio/http-actions", GATEWAY): (
        ("GET", "x.example:8080", "/moved/x", ()),
        ("GET", "x.example:8080", "/port", ()),
    ),
    ("istio/delegates", "client"): (
        ("GET", "pay", "/v1/refunds/7", (("x-tenant", "a"),)),
        ("GET", "pay", "/v1/refunds/7", (("x-tenant", "b"),)),
        ("GET", "pay", "/v1/a?q=1", (("x-tenant", "b"),)),
        ("GET", "pay", "/v1/a", ()),
        ("GET", "pay", "/v2/rates", ()),
        ("GET", "pay", "/v2/x", ()),
        ("GET", "pay", "/v3", ()),
        ("GET", "pay", "/gone", ()),
    ),
    ("istio/delegates", GATEWAY): (("GET", "pay", "/v2/rates", ()),),
    ("istio/direct-response", GATEWAY): (("GET", "x", "/teapot", ()), ("GET", "x", "/", ())),
    ("gateway_api/routes", GATEWAY): (
        ("GET", "api.shop.example", "/cart", ()),
        ("GET", "api.shop.example", "/v2/x?page=x", (("x-beta", "yes"),)),
        ("GET", "api.shop.example", "/old", ()),
        ("GET", "api.shop.example", "/old/x?y=z", ()),
        ("GET", "api.shop.example", "/older", ()),
        ("GET", "shop.example", "/", ()),
        ("GET", "b.shop.example", "/", ()),
    ),
}
LISTENERS = {"gateway_api/routes": "gateway.127.72.40.100.80"}
"""Those that are not the gateway's own."""


@pytest.mark.envoy
@pytest.mark.parametrize(("name", "proxy"), REQUESTS)
def test_envoy_agrees(name: str, proxy: str, tmp_path: Path) -> None:
    case = cases.read(name)
    model = case.translated()
    words = {
        "PLACEHOLDER": next((k.key.reveal_text() for c in model.consumers.values() for k in c.keys), ""),
        "TOKEN": _token("alice-issuer"),
        "STRANGER": _token("mallory"),
    }
    config = self_contained(Reader(model), case.proxy(proxy))
    requests = [
        (method, host, _filled(path, words), tuple((n, _filled(v, words)) for n, v in headers))
        for method, host, path, headers in REQUESTS[name, proxy]
    ]

    async def answers() -> list[Answer]:
        listener = LISTENERS.get(name, "http" if proxy == GATEWAY else "httpProxy")
        async with running(config, listener, tmp_path) as port:
            return [await ask(port, *request) for request in requests]

    for request, answer in zip(requests, asyncio.run(answers()), strict=True):
        verdict = call(model, *request, proxy=proxy)
        assert said(verdict, answer) == done(answer), f"{request}: {verdict}"


def _token(issuer: str) -> str:
    return jwt.encode({"iss": issuer, "exp": 4_102_444_800}, PLACEHOLDER, algorithm="HS256")


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


Seen = tuple[int, str, str, str]
"""(status, cluster, path that arrived, host that arrived or location)."""


def done(answer: Answer) -> Seen:
    found = answer.headers
    if "x-reached" in found:
        return answer.status, found["x-reached"], found["x-path"], found["x-host"]
    return answer.status, "", "", found.get("location", "")


def said(verdict: Verdict, answer: Answer) -> Seen:
    """The verdict in the same words; of a split, the share that Envoy took must be one of it."""
    if verdict.reason == NO_PODS:
        verdict = replace(verdict, status=0)
    fault = verdict.fault
    if fault and 0 < fault.abort_percent < 100 and done(answer)[:2] == (fault.abort_status, ""):
        # One of the few that the fault takes.
        return done(answer)
    if verdict.status:
        return verdict.status, "", "", verdict.location
    assert verdict.sent is not None
    possible = [d.cluster for d in verdict.destinations if d.percent > 0]
    taken = answer.headers.get("x-reached", "")
    return 200, taken if taken in possible else possible[0], verdict.sent.path, verdict.sent.authority
