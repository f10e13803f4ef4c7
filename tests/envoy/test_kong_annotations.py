"""Kong's annotations on Ingress and Service, on a real Envoy."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from meshgate.simulate.certificates import root
from tests.envoy.kong_edge import JSON, SERVICE, Ask, asked, route

OPTIONS = (
    SERVICE
    + """
---
apiVersion: v1
kind: Service
metadata:
  name: inner
  annotations:
    konghq.com/path: /base/
    konghq.com/host-header: inner.example:8080
    konghq.com/retries: "0"
    konghq.com/connect-timeout: "2000"
    konghq.com/read-timeout: "30000"
spec: {ports: [{name: http, port: 80}]}
"""
)


def _ingress(name: str, path: str, annotations: str, service: str = "shop", host: str = "") -> str:
    rule = f"host: {host}, " if host else ""
    return (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n"
        f"  annotations: {{{annotations}}}\n"
        f"spec: {{rules: [{{{rule}http: {{paths: [{{path: '{path}', pathType: ImplementationSpecific, "
        f"backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )


STRIP = "konghq.com/strip-path: 'true'"
MANIFESTS = (
    route("secure", annotations={"konghq.com/protocols": "https"})
    + route(
        "moved", annotations={"konghq.com/protocols": "https", "konghq.com/https-redirect-status-code": "308"}
    )
    + route("forced", annotations={"ingress.kubernetes.io/force-ssl-redirect": "true"})
    + route("aliased", annotations={"konghq.com/host-aliases": "other.example, *.wild.example"})
    + _ingress("whole", "/whole", "konghq.com/rewrite: /new/place")
    + _ingress("groups", "/~/user/(\\d+)/(\\w+)", "konghq.com/rewrite: '/u/$2/$1'")
    + _ingress("plain", "/inner", "konghq.com/strip-path: 'false'", "inner")
    + _ingress(
        "strip", "/stripped", "konghq.com/strip-path: 'true', konghq.com/preserve-host: 'false'", "inner"
    )
    + _ingress("low", "/~/r/.*", "konghq.com/rewrite: /low, konghq.com/regex-priority: '1'")
    + _ingress("high", "/~/r/x.*", "konghq.com/rewrite: /high, konghq.com/regex-priority: '5'")
    + _ingress("only", "/", "konghq.com/host-aliases: 'alias.example'", host="main.example")
)


@pytest.mark.envoy
def test_https_only(tmp_path: Path) -> None:
    spoofed = (("X-Forwarded-Proto", "https"), ("Forwarded", "proto=https"))
    requests = [Ask("/secure", headers=spoofed), Ask("/moved/a?b=c"), Ask("/forced")]
    requests.append(Ask("/forced", headers=(("Host", "shop.example:8080"),)))
    secure, moved, forced, with_port = asked(MANIFESTS, requests, tmp_path, service=OPTIONS)
    assert (secure.status, secure.body) == (426, '{"message":"Please use HTTPS protocol"}')
    assert secure.header("content-type") == JSON
    assert secure.header("location") is None
    assert (moved.status, moved.header("location")) == (308, "https://shop.example:8443/moved/a?b=c")
    assert (forced.status, forced.header("location")) == (302, "https://shop.example:8443/forced")
    assert with_port.header("location") == forced.header("location")


@pytest.mark.envoy
def test_paths_and_hosts(tmp_path: Path) -> None:
    requests = [
        Ask("/whole/any?q=1"),
        Ask("/user/42/cart?q=1"),
        Ask("/inner/a?q=1"),
        Ask("/stripped/a"),
        Ask("/stripped"),
        Ask("/r/xy"),
        Ask("/r/y"),
        Ask("/x", headers=(("Host", "alias.example"),)),
        Ask("/x", headers=(("Host", "main.example"),)),
        Ask("/x"),
    ]
    answers = asked(MANIFESTS, requests, tmp_path, service=OPTIONS)
    paths = [a.seen.path for a in answers[:9]]
    assert paths[:2] == ["/new/place?q=1", "/u/cart/42?q=1"]
    assert paths[2:5] == ["/base/inner/a?q=1", "/base/a", "/base"]
    assert paths[5:7] == ["/high", "/low"]
    assert answers[2].seen.headers["host"] == ["shop.example"]
    assert answers[3].seen.headers["host"] == ["inner.example:8080"]
    assert answers[9].status == 404


def _client() -> ssl.SSLContext:
    found = ssl.create_default_context(cadata=root().decode())
    found.check_hostname = False
    return found


BY_ENTRANCE = (
    route("plain", annotations={"konghq.com/protocols": "http"})
    + route("named", annotations={"konghq.com/snis": "shop.example, two.example"})
    + route("calls", annotations={"konghq.com/protocols": "grpc,grpcs"})
    + route("word", annotations={"konghq.com/headers.x-word": "~*shop-[0-9]+"})
    + _ingress("v1", "/v1", "konghq.com/path-handling: v1", "inner")
    + _ingress("both", "/both", "konghq.com/protocols: http, konghq.com/rewrite: /by-http")
    + _ingress("both-secure", "/both", "konghq.com/protocols: https, konghq.com/rewrite: /by-https")
)
NOT_FOUND = "no Route matched with those values"


@pytest.mark.envoy
def test_without_tls(tmp_path: Path) -> None:
    spoofed = (("X-Forwarded-Proto", "https"),)
    grpc = (("content-type", "application/grpc+proto"),)
    requests = [
        Ask("/plain", headers=spoofed),
        Ask("/named"),
        Ask("/calls/a.B/C", "POST", headers=grpc),
        Ask("/calls/a.B/C", "POST"),
        Ask("/word", headers=(("x-word", "the SHOP-12 here"),)),
        Ask("/word", headers=(("x-word", "shop-x"),)),
        Ask("/v1/a"),
        Ask("/both"),
    ]
    plain, named, call, other, word, no_word, v1, both = asked(
        BY_ENTRANCE, requests, tmp_path, service=OPTIONS
    )
    assert (plain.status, named.status, call.status, word.status) == (200, 200, 200, 200)
    assert (other.status, other.message) == (415, "Non-gRPC request matched gRPC route")
    assert (no_word.status, no_word.message) == (404, NOT_FOUND)
    assert v1.seen.path == "/base/v1/a"  # the Service's path ends in a slash
    assert both.seen.path == "/by-http"


@pytest.mark.envoy
def test_over_tls(tmp_path: Path) -> None:
    tls = _client()
    plain, named, stranger, both = asked(
        BY_ENTRANCE,
        [
            Ask("/plain", tls=tls),
            Ask("/named", tls=tls),
            Ask("/named", tls=tls, sni="other.example"),
            Ask("/both", tls=tls),
        ],
        tmp_path,
        service=OPTIONS,
        listener="https",
    )
    assert (plain.status, plain.message) == (404, NOT_FOUND)
    assert named.reached
    assert (stranger.status, stranger.message) == (404, NOT_FOUND)
    assert both.seen.path == "/by-https"


GATEWAY = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: kong, annotations: {konghq.com/gatewayclass-unmanaged: "true"}}
spec: {controllerName: konghq.com/kic-gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: kong
  addresses: [{value: 127.64.0.1}]
  listeners: [{name: http, protocol: HTTP, port: 8000}]
"""


def _http_route(name: str, annotations: str, value: str, service: str = "shop") -> str:
    return (
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: {name}, annotations: {{{annotations}}}}}\n"
        "spec:\n  parentRefs: [{name: edge}]\n  rules:\n"
        f"  - matches: [{{path: {{type: PathPrefix, value: {value}}}}}]\n"
        f"    backendRefs: [{{name: {service}, port: 80}}]\n"
    )


@pytest.mark.envoy
def test_routes_of_the_gateway_api(tmp_path: Path) -> None:
    manifests = (
        GATEWAY
        + _http_route("stripped", "konghq.com/strip-path: 'true', konghq.com/methods: get", "/shop")
        + _http_route("whole", "konghq.com/preserve-host: 'false'", "/whole", "inner")
        + _http_route("kept", "konghq.com/strip-path: 'false'", "/kept")
        + _http_route("secure", "konghq.com/protocols: https", "/secure")
    )
    requests = [
        Ask("/shop/a?q=1"),
        Ask("/shop"),
        Ask("/shop", "POST"),
        Ask("/whole/a"),
        Ask("/kept/a"),
        Ask("/secure"),
    ]
    answers = asked(manifests, requests, tmp_path, service=OPTIONS, listener="gateway.127.64.0.1.8000")
    deep, bare, posted, whole, kept, secure = answers
    assert [a.seen.path for a in (deep, bare, whole, kept)] == ["/a?q=1", "/", "/base/whole/a", "/kept/a"]
    assert whole.seen.headers["host"] == ["inner.example:8080"]
    assert deep.seen.headers["host"] == ["shop.example"]
    assert posted.status == 404
    assert secure.status == 426


@pytest.mark.envoy
def test_what_a_kong_ingress_says(tmp_path: Path) -> None:
    manifests = (
        "---\napiVersion: configuration.konghq.com/v1\nkind: KongIngress\nmetadata: {name: shared}\n"
        "route: {methods: [GET], strip_path: true, preserve_host: true, headers: {x-kind: [a, b]}}\n"
        "proxy: {path: /base}\nupstream: {host_header: inner.example}\n"
        "---\napiVersion: v1\nkind: Service\n"
        "metadata: {name: old, annotations: {konghq.com/override: shared}}\n"
        "spec: {ports: [{name: http, port: 80}]}\n"
        + _ingress("a", "/old", "konghq.com/override: shared, konghq.com/preserve-host: 'false'", "old")
    )
    kind = (("x-kind", "b"),)
    requests = [Ask("/old/x", headers=kind), Ask("/old/x"), Ask("/old/x", "POST", headers=kind)]
    taken, no_kind, posted = asked(manifests, requests, tmp_path)
    assert taken.seen.path == "/base/x"
    assert taken.seen.headers["host"] == ["inner.example"]  # what is written counts before it
    assert (no_kind.status, posted.status) == (404, 404)
