"""Servers outside of the mesh: by ServiceEntry, and with TLS that the proxies begin by DestinationRule."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from meshgate.simulate.certificates import leaf, root
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, mesh_namespace, service

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
HOSTS = ("open", "simple", "mutual", "other", "gone")


class _Answering(BaseHTTPRequestHandler):
    """Says by which name it was asked, and which certificate came with the request."""

    def do_GET(self) -> None:
        held = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        names = [entry[1] for entry in (held or {}).get("subjectAltName", ())]
        body = json.dumps({"host": self.headers["host"], "client": names}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _server(folder: Path, *names: str) -> Iterator[int]:
    """A server on a port of its own; with names it speaks TLS and takes clients' certificates."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    if names:
        chain, key = leaf(names[0], names)
        (folder / "pair.pem").write_bytes(chain + key.reveal())
        (folder / "root.pem").write_bytes(root())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "pair.pem")
        context.load_verify_locations(folder / "root.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def _secret(name: str, **data: bytes) -> str:
    lines = "".join(f"  {k.replace('_', '.')}: {base64.b64encode(v).decode()}\n" for k, v in data.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: Opaque\ndata:\n{lines}---\n"


def _entry(name: str, port: int) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.outside.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
"""


def _rule(name: str, tls: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {name}.outside.example, trafficPolicy: {{tls: {tls}}}}}
---
"""


def _manifests(plain: int, secure: int) -> str:
    chain, key = leaf("client.example", ("client.example",))
    entries = "".join(_entry(n, plain if n == "open" else secure) for n in HOSTS)
    rules = (
        _rule("simple", "{mode: SIMPLE, credentialName: trust}")
        + _rule("mutual", "{mode: MUTUAL, credentialName: client, sni: simple.outside.example}")
        + _rule("other", "{mode: SIMPLE, credentialName: trust}")
        + _rule("gone", "{mode: SIMPLE, credentialName: nowhere}")
    )
    secrets = _secret("trust", ca_crt=root()) + _secret(
        "client", tls_crt=chain, tls_key=key.reveal(), ca_crt=root()
    )
    routes = "".join(
        f"  - match: [{{uri: {{prefix: /{n}}}}}]\n    rewrite: {{authority: {n}.outside.example}}\n"
        f"    route: [{{destination: {{host: {n}.outside.example}}}}]\n"
        for n in HOSTS
    )
    edge = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [out.example]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: out}}
spec:
  hosts: [out.example]
  gateways: [edge]
  http:
{routes}---
"""
    passed = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: raw}}
spec:
  hosts: [raw.outside.example]
  resolution: STATIC
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  endpoints: [{{address: 127.0.0.1, ports: {{tls: {secure}}}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: passing}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 443, name: t, protocol: TLS}}
    hosts: ["*.outside.example"]
    tls: {{mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: passing}}
spec:
  hosts: ["*.outside.example"]
  gateways: [passing]
  tls:
  - match: [{{port: 443, sniHosts: [simple.outside.example]}}]
    route: [{{destination: {{host: raw.outside.example}}}}]
---
"""
    caller = mesh_namespace() + service("caller") + deployment("caller")
    return caller + secrets + entries + rules + edge + passed


@pytest.fixture(scope="module")
def outside(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    if isolation == "netns":
        pytest.skip("the servers listen on the loopback address, which pods have for themselves")
    folder = tmp_path_factory.mktemp("outside")
    with _server(folder) as plain, _server(folder, "simple.outside.example") as secure:
        (folder / "all.yaml").write_text(_manifests(plain, secure))
        with running(folder / "state", [folder / "all.yaml"], isolation) as meshgate:
            yield meshgate


ASK = """
import json, urllib.error, urllib.request
found = {}
for name in %r:
    try:
        with urllib.request.urlopen(f"http://{name}.outside.example/", timeout=15) as answer:
            found[name] = json.load(answer)
    except urllib.error.HTTPError as error:
        found[name] = error.code
print(json.dumps(found))
"""
EXPECTED = {
    "open": {"host": "open.outside.example", "client": []},
    "simple": {"host": "simple.outside.example", "client": []},
    "mutual": {"host": "mutual.outside.example", "client": ["client.example"]},
    "other": 503,
    "gone": 503,
}
"""`other` has no certificate for its name, and `gone` no authorities: neither is spoken to."""


def test_a_sidecar_speaks_to_servers_outside_as_the_rules_say(outside: Meshgate) -> None:
    assert json.loads(outside.inside("caller", ASK % (HOSTS,))) == EXPECTED


def test_the_gateway_speaks_to_servers_outside_as_the_rules_say(outside: Meshgate) -> None:
    answers = {name: outside.ask("out.example", f"/{name}") for name in HOSTS}
    found = {n: a.json() if a.status == 200 else a.status for n, a in answers.items()}
    assert found == EXPECTED


def test_tls_is_passed_on_by_its_server_name_and_the_server_itself_answers(outside: Meshgate) -> None:
    context = ssl.create_default_context(cadata=root().decode())

    def ask(server_name: str) -> str:
        plain = socket.create_connection(("127.0.0.1", outside.https_port), timeout=10)
        try:
            with context.wrap_socket(plain, server_hostname=server_name) as secure:
                secure.sendall(b"GET / HTTP/1.0\r\nHost: whatever\r\n\r\n")
                return secure.makefile("rb").read().decode()
        except OSError as error:
            plain.close()
            return type(error).__name__

    assert '"host": "whatever"' in ask("simple.outside.example")
    assert ask("other.outside.example") == "SSLCertVerificationError", "the gateway's own certificate"
