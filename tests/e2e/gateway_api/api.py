"""Gateway API objects as data, a running Meshgate to give them to, and clients to ask its Gateways."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshgate.cli.client import connect
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import ApplyRequest, DeleteRequest, GetQuery
from tests.e2e.clients import Answer
from tests.e2e.harness import Meshgate
from tests.e2e.waiting import until

GROUP = "gateway.networking.k8s.io"
INFRA, APP, WEB, MESH = "infra", "app", "web", "mesh"
GRPC_ECHO = Path(__file__).with_name("grpc_echo.py")
ECHO = Path(__file__).with_name("echo.py")
Object = dict[str, Any]


def backend(name: str, namespace: str = INFRA, certificate: Path | None = None) -> list[Object]:
    """A Deployment of `echo.py` and a Service with the ports 8080 (HTTP) and 9000 (TCP and UDP).

    The container names the first port only: services lead to the others all the same.
    With a certificate it speaks HTTPS at the port 8443.
    """
    command = f"python3 {ECHO} {name} 8080 9000" + (f" 8443 {certificate}" if certificate else "")
    chosen = {"app": name}
    container = {
        "name": "app",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
    }
    template = {
        "metadata": {
            "labels": {**chosen, "speaks": "http"},
            "annotations": {"meshgate.dev/command": command},
        },
        "spec": {"containers": [container]},
    }
    ports = [
        {"name": "http", "port": 8080, "targetPort": 8080},
        {"name": "tcp", "port": 9000, "targetPort": 9000},
        {"name": "udp", "port": 9000, "targetPort": 9000, "protocol": "UDP"},
        {"name": "h2c", "port": 8081, "targetPort": 8080, "appProtocol": "kubernetes.io/h2c"},
        {"name": "https", "port": 8443, "targetPort": 8443, "appProtocol": "http"},
        {"name": "ws", "port": 8082, "targetPort": 8080, "appProtocol": "kubernetes.io/ws"},
    ]
    return [
        obj(
            "Deployment",
            name,
            {"selector": {"matchLabels": chosen}, "template": template},
            namespace,
            "apps/v1",
        ),
        obj("Service", name, {"selector": {"app": name}, "ports": ports}, namespace, "v1"),
    ]


def grpc_backend(name: str, namespace: str = INFRA, certificate: Path | None = None) -> list[Object]:
    """A Deployment of `grpc_echo.py` and its Service: gRPC at 50051, with a certificate TLS at 50052,
    which does not say what it speaks."""
    command = f"python3 {GRPC_ECHO} {name} 50051" + (f" 50052 {certificate}" if certificate else "")
    chosen = {"app": name}
    container = {
        "name": "app",
        "ports": [{"name": "grpc", "containerPort": 50051}],
        "readinessProbe": {"tcpSocket": {"port": "grpc"}, "periodSeconds": 1},
    }
    template = {
        "metadata": {"labels": chosen, "annotations": {"meshgate.dev/command": command}},
        "spec": {"containers": [container]},
    }
    ports = [
        {"name": "grpc", "port": 50051, "targetPort": 50051},
        {"name": "secure", "port": 50052, "targetPort": 50052},
    ]
    spec = {"selector": {"matchLabels": chosen}, "template": template}
    service = {"selector": chosen, "ports": ports}
    return [
        obj("Deployment", name, spec, namespace, "apps/v1"),
        obj("Service", name, service, namespace, "v1"),
    ]


def obj(
    kind: str, name: str, spec: Mapping[str, object], namespace: str = INFRA, api: str = f"{GROUP}/v1"
) -> Object:
    """Any object with a spec."""
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def gateway(name: str, *listeners: Object, namespace: str = INFRA, **more: object) -> Object:
    """A Gateway of our class."""
    spec = {"gatewayClassName": "meshgate", "listeners": list(listeners), **more}
    return obj("Gateway", name, spec, namespace)


def listener(
    name: str,
    port: int = 80,
    protocol: str = "HTTP",
    hostname: str = "",
    *,
    frm: str = "Same",
    **more: object,
) -> Object:
    """A listener; `frm` says from which namespaces routes may come."""
    found: Object = {"name": name, "port": port, "protocol": protocol}
    if hostname:
        found["hostname"] = hostname
    return {**found, "allowedRoutes": {"namespaces": {"from": frm}}, **more}


def to(name: str, weight: int | None = None, port: int | None = 8080, **more: object) -> Object:
    """A backendRef."""
    found: Object = {"name": name, **more}
    if port is not None:
        found["port"] = port
    return found if weight is None else {**found, "weight": weight}


def prefix(path: str, **more: object) -> Object:
    """A match by a prefix of the path."""
    return {"path": {"type": "PathPrefix", "value": path}, **more}


def exact(path: str, **more: object) -> Object:
    """A match by the whole path."""
    return {"path": {"type": "Exact", "value": path}, **more}


def rule(*matches: Object, backends: Iterable[Object] = (), **more: object) -> Object:
    """A rule of a route."""
    found: Object = {"matches": list(matches)} if matches else {}
    chosen = list(backends)
    return {**found, **({"backendRefs": chosen} if chosen else {}), **more}


def route(
    name: str,
    parents: str | list[Object],
    *rules: Object,
    hostnames: Iterable[str] = (),
    kind: str = "HTTPRoute",
    namespace: str = INFRA,
) -> Object:
    """A route of any kind; `parents` may be a Gateway's name in the same namespace."""
    listed = [{"name": parents}] if isinstance(parents, str) else parents
    spec: Object = {"parentRefs": listed, "rules": list(rules)}
    if hosts := list(hostnames):
        spec["hostnames"] = hosts
    return obj(kind, name, spec, namespace)


def grant(name: str, kind: str, source: str, target: str, namespace: str, only: str = "") -> Object:
    """A ReferenceGrant for a kind of the Gateway API in a namespace to a kind of the core group."""
    wanted = {"group": "", "kind": target, **({"name": only} if only else {})}
    spec = {"from": [{"group": GROUP, "kind": kind, "namespace": source}], "to": [wanted]}
    return obj("ReferenceGrant", name, spec, namespace, f"{GROUP}/v1beta1")


def conditions(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Condition's type -> (status, reason)."""
    return {c["type"]: (c["status"], c["reason"]) for c in found.get("conditions", ())}


@dataclass(slots=True)
class Api:
    """The running Meshgate; objects are applied as from files."""

    meshgate: Meshgate
    ticks: int = 0

    def apply(self, *objects: Object) -> None:
        """Applies objects and waits until every proxy has what comes of them.

        A route of our own changes with them; once its status is the newest, so is all else.
        """
        self.ticks += 1
        tick = route("tick", "tick", rule(name=f"tick-{self.ticks}"))
        items = [gateway("tick", listener("http")), *objects, tick]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        with connect(self.meshgate.state) as admin:
            changes = admin.call(wire.APPLY, ApplyRequest(texts={"test.json": text}, namespace=""))
        assert not changes.errors, changes
        bad = [c for c in changes.changes if c.verb == "invalid"]
        assert not bad, (bad, changes.diagnostics)
        until(self._settled, "the newest status")
        self.meshgate.wait_ready()

    def _settled(self) -> bool:
        found = self.get("HTTPRoute", "tick")
        parents = found.get("status", {}).get("parents", ())
        wanted = found["metadata"]["generation"]
        return any(c["observedGeneration"] == wanted for p in parents for c in p["conditions"])

    def delete(self, kind: str, *names: str, namespace: str = INFRA) -> None:
        """Takes objects away."""
        with connect(self.meshgate.state) as admin:
            admin.call(wire.DELETE, DeleteRequest(kinds=kind, names=names, namespace=namespace))

    def get(self, kind: str, name: str, namespace: str = INFRA) -> Object:
        """One object as `get -o json` shows it."""
        names = {"Gateway": f"gateways.{GROUP}"}
        query = GetQuery(kinds=names.get(kind, kind), names=(name,), namespace=namespace)
        with connect(self.meshgate.state) as admin:
            answer = json.loads(wire.encode(admin.call(wire.GET, query)))
        assert not answer["missing"], answer["missing"]
        found: Object = answer["lists"][0]["objects"][0]
        return found

    def gateway(self, name: str, namespace: str = INFRA) -> Object:
        """The status of a Gateway."""
        status: Object = self.get("Gateway", name, namespace)["status"]
        return status

    def listener(self, gateway: str, name: str, namespace: str = INFRA) -> Object:
        """The status of one of its listeners."""
        found: Object = next(s for s in self.gateway(gateway, namespace)["listeners"] if s["name"] == name)
        return found

    def parents(self, kind: str, name: str, namespace: str = INFRA) -> list[dict[str, tuple[str, str]]]:
        """The conditions of a route, parent by parent."""
        return [conditions(p) for p in self.get(kind, name, namespace)["status"].get("parents", ())]

    def place(self, gateway: str, listener: str, namespace: str = INFRA) -> tuple[str, int]:
        """Where clients connect to."""
        found = self.get("Gateway", gateway, namespace)
        ports = json.loads(found["metadata"]["annotations"]["meshgate.dev/listener-ports"])
        return found["status"]["addresses"][0]["value"], ports[listener]

    def caller(self, gateway: str, listener: str = "http", namespace: str = INFRA) -> Caller:
        """Asks a listener."""
        return Caller(*self.place(gateway, listener, namespace))


@dataclass(slots=True)
class Caller:
    """Sends requests to one address, each over a connection of its own."""

    address: str
    port: int
    tls: ssl.SSLContext | None = None
    sni: str = ""

    def ask(
        self, host: str, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; status 0 where no answer came."""
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
                for name, value in {"Host": host, **(headers or {})}.items():
                    connection.putheader(name, value)
                connection.endheaders()
                reply = connection.getresponse()
                body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(status=0, body=repr(error).encode())
        return Answer(status=reply.status, headers=tuple(reply.getheaders()), body=body, at=time.monotonic())

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=15)
        if self.tls is not None:
            raw = socket.create_connection((self.address, self.port), timeout=15)
            connection.sock = self.tls.wrap_socket(raw, server_hostname=self.sni)
        return connection

    def pod(self, host: str, path: str = "/", method: str = "GET", **headers: str) -> str:
        """Which pod answered, or the status where it is not 200."""
        answer = self.ask(host, path, method, {k.replace("_", "-"): v for k, v in headers.items()})
        return str(answer.json()["pod"]) if answer.status == 200 else str(answer.status)


def eventually(check: Callable[[], object], what: str) -> None:
    """Waits for a truth: Envoy takes routes a moment after it has taken their listener."""
    until(lambda: bool(check()), what, deadline_s=10)
