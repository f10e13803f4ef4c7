"""What answers and is no pod: hosts of ServiceEntries, machines, lists of endpoints, other names."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from meshgate.runtime.paths import state_tag
from meshgate.simulate.certificates import leaf, root
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, mesh_namespace, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
SECURE = "a.wild.example"


class _Answering(BaseHTTPRequestHandler):
    """Says by which name it was asked."""

    health = 200

    def do_GET(self) -> None:
        body = f"{self.headers['host']}".encode()
        self.send_response(self.health if self.path == "/healthz" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Sick(_Answering):
    """Answers everybody and says to those who ask for its health that it should not."""

    health = 503

    def do_GET(self) -> None:
        self.headers.replace_header("host", "sick")
        super().do_GET()


class _Greeting(socketserver.BaseRequestHandler):
    """Speaks first, as databases do."""

    def handle(self) -> None:
        self.request.sendall(b"ready\n")
        self.request.sendall(self.request.recv(100).upper())


class _Greeter(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def _secure(address: str, folder: Path) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer((address, 0), _Answering)
    chain, key = leaf(SECURE, (SECURE,))
    (folder / "pair.pem").write_bytes(chain + key.reveal())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def _entry(name: str, host: str, rest: str) -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        f"metadata: {{name: {name}}}\nspec:\n  hosts: ['{host}']\n{rest}---\n"
    )


def _manifests(address: str, plain: int, sick: int, greeter: int, secure: int) -> str:
    def rest(port: int, number: int, protocol: str, resolution: str = "STATIC") -> str:
        return (
            f"  resolution: {resolution}\n  endpoints: [{{address: {address}, ports: {{it: {port}}}}}]\n"
            f"  ports: [{{number: {number}, name: it, protocol: {protocol}}}]\n"
        )

    return (
        _entry("web", "web.outside.example", rest(plain, 80, "HTTP"))
        + _entry("looked-up", "dns.outside.example", rest(plain, 80, "HTTP", "DNS"))
        + _entry("db", "db.outside.example", rest(greeter, 5432, "TCP"))
        + _entry("tls", SECURE, rest(secure, 443, "TLS"))
        + _entry("many", "*.many.example", rest(plain, 80, "HTTP"))
        + _entry(
            "dynamic",
            "*.dynamic.localhost",
            "  resolution: DYNAMIC_DNS\n  ports:\n"
            f"  - {{number: {plain}, name: http, protocol: HTTP}}\n"
            "  - {number: 8080, name: http-own, protocol: HTTP}\n"
            "  - {number: 443, name: tls, protocol: TLS, targetPort: 9443}\n",
        )
        + _entry("hidden", "hidden.outside.example", rest(plain, 80, "HTTP") + "  exportTo: [elsewhere]\n")
        + f"""
apiVersion: v1
kind: Service
metadata: {{name: machine}}
spec: {{selector: {{runs: on-a-machine}}, ports: [{{name: http-it, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: machine, labels: {{runs: on-a-machine}}}}
spec: {{address: {address}, ports: {{http-it: {plain}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: probed}}
spec: {{selector: {{runs: probed}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {{name: well}}
spec:
  metadata: {{labels: {{runs: probed}}}}
  template: {{ports: {{http: {plain}}}}}
  probe: {{periodSeconds: 1, failureThreshold: 1, httpGet: {{path: /healthz, port: {plain}}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {{name: sick}}
spec:
  metadata: {{labels: {{runs: probed}}}}
  template: {{ports: {{http: {sick}}}}}
  probe: {{periodSeconds: 1, failureThreshold: 1, httpGet: {{path: /healthz, port: {sick}}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: well, annotations: {{istio.io/autoRegistrationGroup: well}}}}
spec: {{address: {address}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: sick, annotations: {{istio.io/autoRegistrationGroup: sick}}}}
spec: {{address: {address}}}
---
apiVersion: v1
kind: Service
metadata: {{name: listed}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: listed-1, labels: {{kubernetes.io/service-name: listed}}}}
addressType: IPv4
ports: [{{name: http, port: {plain}}}]
endpoints: [{{addresses: [{address}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: alias}}
spec: {{type: ExternalName, externalName: listed.default.svc.cluster.local}}
---
apiVersion: v1
kind: Service
metadata: {{name: alias-outside}}
spec: {{type: ExternalName, externalName: web.outside.example}}
---
"""
    )


@pytest.fixture(scope="module")
def discovery(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp("discovery")
    first = mesh_namespace() + mesh_namespace("elsewhere") + service("caller") + deployment("caller")
    first += service("bare") + deployment("bare", labels='sidecar.istio.io/inject: "false"')
    (folder / "first.yaml").write_text(first)
    with running(folder / "state", [folder / "first.yaml"], isolation) as meshgate:
        address = _address(meshgate)
        with (
            _serving(ThreadingHTTPServer((address, 0), _Answering)) as plain,
            _serving(ThreadingHTTPServer((address, 0), _Sick)) as sick,
            _serving(_Greeter((address, 0), _Greeting)) as greeter,
            _serving(_secure(address, folder)) as secure,
        ):
            (folder / "more.yaml").write_text(_manifests(address, plain, sick, greeter, secure))
            meshgate.cli("apply", "-f", str(folder / "more.yaml"))
            until(lambda: any(o["metadata"]["name"] == "alias" for o in meshgate.objects("svc")), "applied")
            yield meshgate


def _address(meshgate: Meshgate) -> str:
    """Where pods reach servers of this machine: the bridge, or the loopback address that all share."""
    if meshgate.isolation == "ports":
        return "127.0.0.1"
    argv = ("ip", "-j", "-4", "addr", "show", "dev", f"mg{state_tag(meshgate.state)}")
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout)
    return str(found[0]["addr_info"][0]["local"])


REQUESTS = """
import json, time, urllib.error, urllib.request
wanted = %r
found = {}
until = time.monotonic() + 20
while time.monotonic() < until and any(found.get(n) != n for n in wanted):
    for name in wanted:
        try:
            with urllib.request.urlopen(f"http://{name}/", timeout=5) as answer:
                found[name] = answer.read().decode()
        except OSError as error:
            found[name] = repr(error)
print(json.dumps(found))
"""


def test_requests_reach_what_answers_and_is_no_pod(discovery: Meshgate) -> None:
    names = (
        "web.outside.example",
        "dns.outside.example",
        "x.many.example",
        "machine",
        "listed",
        "alias",
        "alias-outside",
    )
    assert json.loads(discovery.inside("caller", REQUESTS % (names,))) == {n: n for n in names}


CONNECT = """
import json, os, socket, ssl, sys
def connect(host, port):
    prefix = host.upper().replace(".", "_") + "_SERVICE_"
    if prefix + "HOST" in os.environ and %r == "ports":
        return socket.create_connection((os.environ[prefix + "HOST"], int(os.environ[prefix + "PORT"])), 10)
    return socket.create_connection((host, port), 10)
with connect("db.outside.example", 5432) as db:
    greeting = db.recv(100).decode()
    db.sendall(b"select")
    answer = db.recv(100).decode()
context = ssl.create_default_context(cadata=%r)
with context.wrap_socket(connect("a.wild.example", 443), server_hostname="a.wild.example") as secure:
    secure.sendall(b"GET / HTTP/1.0\\r\\nHost: whoever\\r\\n\\r\\n")
    body = secure.makefile("rb").read().decode().rpartition("\\n")[2]
print(json.dumps([greeting, answer, body]))
"""


PROBED = """
import http.client, os, time
run, until = 0, time.monotonic() + 20
while run < 20 and time.monotonic() < until:
    asked = os.environ.get("http_proxy", "http://probed").rpartition("/")[2]
    client = http.client.HTTPConnection(asked, timeout=5)
    client.request("GET", "/", headers={"Host": "probed"})
    run = run + 1 if client.getresponse().read() == b"probed" else 0
print(run)
"""


def test_a_machine_whose_probe_fails_gets_no_requests(discovery: Meshgate) -> None:
    assert int(discovery.inside("caller", PROBED)) == 20


def test_connections_reach_hosts_outside_of_the_mesh_by_name_or_variable(discovery: Meshgate) -> None:
    # Variables are given at the start of a program; a restart gives it those of hosts that came later.
    if discovery.isolation == "ports":
        discovery.cli("rollout", "restart", "deployment/caller")
        discovery.cli("rollout", "status", "deployment/caller")
    found = json.loads(discovery.inside("caller", CONNECT % (discovery.isolation, root().decode())))
    assert found == ["ready\n", "SELECT", "whoever"]


RESOLVE = """
import json, os, socket, subprocess, sys
def ask(name):
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        return type(error).__name__
names = ["web.outside.example", "x.many.example", "hidden.outside.example", "alias.default.svc.cluster.local"]
found = [ask(name) for name in names]
if %r:
    os.setgid(1337); os.setuid(1337)
    found.append(ask("web.outside.example"))
print(json.dumps(found))
"""


def test_names_resolve_for_members_that_see_them_and_not_for_their_sidecars(discovery: Meshgate) -> None:
    if discovery.isolation == "ports":
        pytest.skip("names are resolved by the machine")
    addresses = {o["metadata"]["name"]: o["spec"].get("clusterIP") for o in discovery.objects("svc")}
    web, many, hidden, alias, by_sidecar = json.loads(discovery.inside("caller", RESOLVE % True))
    assert alias == addresses["listed"]
    assert len({web, many, alias, "gaierror"}) == 4, "each host has an address of its own"
    assert hidden == "gaierror"
    assert by_sidecar == "gaierror", "it must not be led to itself"
    others = json.loads(discovery.inside("bare", RESOLVE % False))
    assert others == ["gaierror", "gaierror", "gaierror", addresses["listed"]]


DYNAMIC = """
import http.client, json, os, socket, ssl, tempfile, threading
port, pair, trusted = %r
if "http_proxy" in os.environ:
    client = http.client.HTTPConnection(os.environ["http_proxy"].rpartition("/")[2], timeout=15)
    name = f"a.dynamic.localhost:{port}"
else:
    client = http.client.HTTPConnection("192.0.2.1", 8080, timeout=15)
    name = "a.dynamic.localhost:8080"
client.request("GET", "/", headers={"Host": name})
found = [client.getresponse().status]
if "http_proxy" not in os.environ:
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.encode()); file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    listening = socket.create_server(("127.0.0.1", 9443))
    def serve():
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(b"looked up")
    threading.Thread(target=serve, daemon=True).start()
    trust = ssl.create_default_context(cadata=trusted)
    plain = socket.create_connection(("192.0.2.1", 443), 10)
    with trust.wrap_socket(plain, server_hostname="a.dynamic.localhost") as secure:
        found.append(secure.recv(100).decode())
print(json.dumps(found))
"""


def test_names_that_requests_and_tls_ask_for_are_looked_up(discovery: Meshgate) -> None:
    chain, key = leaf("a.dynamic.localhost", ("a.dynamic.localhost",))
    given = (discovery.endpoint("listed")[1], (chain + key.reveal()).decode(), root().decode())
    found = json.loads(discovery.inside("caller", DYNAMIC % (given,)))
    assert found == ([200] if discovery.isolation == "ports" else [200, "looked up"])


def test_what_answers_is_among_the_endpoints(discovery: Meshgate) -> None:
    host, port = discovery.endpoint("machine")
    assert (host, port) == discovery.endpoint("listed")
    with socket.create_connection((host, port), timeout=10):
        pass
    slices = {
        o["metadata"]["labels"]["kubernetes.io/service-name"] for o in discovery.objects("endpointslices")
    }
    assert {"machine", "listed", "caller"} <= slices
    shown = discovery.cli("get", "serviceentries")
    assert "STATIC" in shown
    assert "db.outside.example" in shown
