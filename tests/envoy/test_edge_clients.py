"""Whom the gateway takes a client for: rules about addresses cannot be met by what a client writes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.envoy.raw_edge import edge, status

pytestmark = pytest.mark.envoy

CLIENT, PROXY = "203.0.113.7", "198.51.100.4"
MANIFESTS = f"""
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: only-one}}
plugin: ip-restriction
config: {{allow: [{CLIENT}]}}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: twice}}
plugin: rate-limiting
config: {{hour: 2, policy: local, limit_by: ip}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: guarded, annotations: {{konghq.com/plugins: only-one}}}}
spec:
  rules:
  - http:
      paths:
      - {{path: /guarded, pathType: Prefix, backend: {{service: {{name: shop, port: {{number: 80}}}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: counted, annotations: {{konghq.com/plugins: twice}}}}
spec:
  rules:
  - http:
      paths:
      - {{path: /counted, pathType: Prefix, backend: {{service: {{name: shop, port: {{number: 80}}}}}}}}
"""
TOPOLOGY = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    defaultConfig: {gatewayTopology: {%s}}
"""
FORWARDED = (
    "x-forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "forwarded",
    "true-client-ip",
    "x-envoy-external-address",
)


def _get(path: str, *headers: tuple[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"GET {path} HTTP/1.1\r\nhost: shop.example\r\n{lines}connection: close\r\n\r\n".encode()


def _asked(topology: str, folder: Path, *sent: bytes) -> list[bytes]:
    async def ask() -> list[bytes]:
        text = MANIFESTS + (TOPOLOGY % topology if topology else "")
        async with edge(text, folder) as gateway:
            return [await gateway.say(one) for one in sent]

    return asyncio.run(ask())


def test_no_header_makes_a_stranger_somebody_else(tmp_path: Path) -> None:
    forged = [_get("/guarded", (name, CLIENT)) for name in FORWARDED]
    counted = [_get("/counted", ("x-forwarded-for", f"203.0.113.{i}")) for i in range(4)]
    answers = _asked("", tmp_path, *forged, *counted)
    assert [status(a) for a in answers] == [403] * len(forged) + [200, 200, 429, 429]


def test_so_many_entries_are_believed_as_there_are_proxies(tmp_path: Path) -> None:
    """With one trusted proxy the client is whom that proxy saw: the last entry, whatever stands before."""
    answers = _asked(
        "numTrustedProxies: 1",
        tmp_path,
        _get("/guarded", ("x-forwarded-for", CLIENT)),
        _get("/guarded", ("x-forwarded-for", f"{CLIENT}, {PROXY}")),
        _get("/guarded", ("x-forwarded-for", f"{PROXY}, {CLIENT}")),
        _get("/guarded"),
    )
    assert [status(a) for a in answers] == [200, 403, 200, 403]


def test_the_proxy_protocol_says_who_connects(tmp_path: Path) -> None:
    header = f"PROXY TCP4 {CLIENT} 192.0.2.1 40000 80\r\n".encode()
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((203, 0, 113, 7, 192, 0, 2, 1)) + b"\x9c\x40\0\x50"
    answers = _asked(
        "proxyProtocol: {}",
        tmp_path,
        header + _get("/guarded"),
        v2 + _get("/guarded"),
        header.replace(CLIENT.encode(), PROXY.encode()) + _get("/guarded"),
        _get("/guarded", ("x-forwarded-for", CLIENT)),
    )
    assert [status(a) for a in answers] == [200, 200, 403, 0]


def test_claims_about_identity_do_not_pass(tmp_path: Path) -> None:
    """Headers that the gateway alone may set reach no service when a client sends them."""
    names = (
        *("x-consumer-id", "x-consumer-username", "x-consumer-groups", "x-anonymous-consumer"),
        *("x-credential-identifier", "x-meshgate-groups", "x-forwarded-client-cert"),
        *("x-envoy-original-path", "x-envoy-expected-rq-timeout-ms", "x-envoy-upstream-rq-timeout-ms"),
        *("x-envoy-retry-on", "x-envoy-max-retries", "x-envoy-internal", "x-envoy-decorator-operation"),
    )
    (answer,) = _asked("", tmp_path, _get("/counted", *((name, "forged") for name in names)))
    assert status(answer) == 200
    assert b"forged" not in answer
