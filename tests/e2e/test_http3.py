"""HTTP/3 to the gateway, asked by curl."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from pathlib import Path

import pytest
from curl_cffi import CurlHttpVersion, CurlOpt
from curl_cffi.requests import Session

from meshgate.simulate.certificates import leaf
from tests.e2e.harness import running

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
config: {status_code: 200, message: "over whatever you like"}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: key}
plugin: key-auth
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: open, annotations: {konghq.com/plugins: answer}}
spec:
  tls: [{hosts: [shop.example], secretName: shop}]
  rules:
  - host: shop.example
    http: {paths: [{path: /open, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: closed, annotations: {konghq.com/plugins: "answer, key"}}
spec:
  rules:
  - host: shop.example
    http: {paths: [{path: /closed, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
"""


def _over_quic(port: int, path: str) -> tuple[int, str]:
    """Status and body, by a curl that speaks HTTP/3 and nothing else."""
    place = [f"shop.example:{port}:127.0.0.1"]
    with Session(http_version=CurlHttpVersion.V3ONLY, curl_options={CurlOpt.RESOLVE: place}) as curl:
        answer = curl.get(f"https://shop.example:{port}{path}", verify=False, timeout=10)
        assert answer.http_version == CurlHttpVersion.V3
        return answer.status_code, answer.text


def _over_tcp(port: int, path: str) -> tuple[int, str | None]:
    """Status, and where the answer says that HTTP/3 is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": "shop.example"})
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.getheader("alt-svc")


def test_the_gateway_speaks_http3(tmp_path: Path) -> None:
    """The same routes and plugins as over TCP, and answers over TCP tell where it is."""
    manifests = tmp_path / "shop.yaml"
    chain, key = leaf("shop.example", ("shop.example",))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shop"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": chain.decode(), "tls.key": key.reveal_text()},
    }
    manifests.write_text(f"{MANIFESTS}---\n{json.dumps(secret)}\n")
    with running(tmp_path / "state", [manifests], "ports", "--http3") as meshgate:
        assert {d["code"] for d in meshgate.status()["diagnostics"] if d["severity"] == "error"} == set()
        port = meshgate.https_port
        assert _over_tcp(port, "/open") == (200, f'h3=":{port}"; ma=86400')
        assert meshgate.ask("shop.example", "/open").header("alt-svc") is None
        status, body = _over_quic(port, "/open")
        assert (status, json.loads(body)) == (200, {"message": "over whatever you like"})
        assert _over_quic(port, "/closed")[0] == 401
        assert _over_quic(port, "/nowhere")[0] == 404
