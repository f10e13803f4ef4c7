"""DestinationRules under load: localities, ejection and return, warmup, limits, tunnels, PROXY headers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.clients import Answer, Client, Load, ask_many, assert_split, statuses
from tests.e2e.harness import ROOT, Meshgate, running
from tests.e2e.manifests import mesh_namespace
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

REPLICA = ROOT / "bench/replica.py"
WARMUP_S = 3
PROXY_APP = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode().strip()
        if line.startswith("CONNECT"):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
        self.wfile.write(f"{line}|{self.rfile.readline().decode().strip()}".encode())
ip = os.environ.get("POD_IP", "")
where = (ip if ip.startswith("127.") else "0.0.0.0", int(os.environ.get("PORT", 9000)))
socketserver.ThreadingTCPServer(where, Handler).serve_forever()
"""
SAY = """
import os, socket
where = os.environ["{0}_SERVICE_HOST"], int(os.environ["{0}_SERVICE_PORT"])
with socket.create_connection(where, 10) as ask:
    ask.sendall(b"hello\\n")
    ask.settimeout(10)
    print(ask.recv(1000).decode())
"""


def rule(name: str, policy: str) -> str:
    """A DestinationRule for a service."""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec:
  host: {name}
  trafficPolicy:
{policy}---
"""


def replica(
    name: str, app: str, told: Path, *, labels: str = "", replicas: int = 1, command: Sequence[str] = ()
) -> str:
    """A Deployment of the service `app` that answers as `name`."""
    argv = json.dumps(command or ("python3", str(REPLICA), name, "8080", str(told)))
    probe = "" if command else ", readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}"
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{pod: {name}}}}}
  template:
    metadata:
      labels: {{pod: {name}, app: {app}{labels}}}
    spec:
      containers:
      - {{name: app, command: {argv}, ports: [{{containerPort: 8080}}]{probe}}}
---
"""


def service(name: str, port: str = "name: http, port: 80, targetPort: 8080") -> str:
    """A Service of the pods with the label `app`."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{{port}}}]}}
---
"""


def manifests(told: Path) -> str:
    """All that is asked here."""
    near, far = ", istio-locality: eu.west.rack1", ", istio-locality: us.north.rack1"
    bare = ', sidecar.istio.io/inject: "false"'
    tcp = "name: tcp, port: 9000, targetPort: 8080"
    raw = ("python3", "-c", PROXY_APP)
    failover = """
    loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}
    outlierDetection:
      {consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 1s, maxEjectionPercent: 100}
"""
    shares = """
    loadBalancer:
      simple: ROUND_ROBIN
      localityLbSetting: {distribute: [{from: eu/*, to: {eu/*: 80, us/*: 20}}]}
"""
    ejecting = """
    outlierDetection:
      {consecutive5xxErrors: 3, interval: 100ms, baseEjectionTime: 1s, maxEjectionPercent: 100}
"""
    narrow = "    connectionPool: {http: {http2MaxRequests: 2}}\n"
    warm = (
        f"    loadBalancer: {{simple: ROUND_ROBIN, warmup: {{duration: {WARMUP_S}s, minimumPercent: 5}}}}\n"
    )
    retried = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay}
spec:
  hosts: [pay]
  http: [{retries: {attempts: 3, retryOn: "5xx,connect-failure,reset"}, route: [{destination: {host: pay}}]}]
---
"""
    return "".join(
        (
            mesh_namespace(),
            replica("client", "client", told, labels=near, replicas=1),
            *(service(name) for name in ("client", "pay", "shares", "flaky", "narrow", "warm")),
            replica("pay-near", "pay", told, labels=near, replicas=2),
            replica("pay-far", "pay", told, labels=far),
            replica("shares-near", "shares", told, labels=near),
            replica("shares-far", "shares", told, labels=far),
            replica("flaky-a", "flaky", told),
            replica("flaky-b", "flaky", told),
            replica("narrow", "narrow", told),
            replica("warm-old", "warm", told),
            replica("warm-new", "warm", told, replicas=0),
            replica("carrier", "carrier", told, labels=bare, command=raw),
            service("carrier", tcp),
            replica("header", "header", told, labels=bare, command=raw),
            service("header", tcp),
            rule("pay", failover),
            retried,
            rule("shares", shares),
            rule("flaky", ejecting),
            rule("narrow", narrow),
            rule("warm", warm),
            rule("carrier", "    tunnel: {targetHost: bank.example, targetPort: 443}\n"),
            rule("header", "    proxyProtocol: {version: V1}\n"),
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where replicas look for what they are told."""
    found = tmp_path_factory.mktemp("balancing")
    (found / "told").mkdir()
    (found / "all.yaml").write_text(manifests(found / "told"))
    return found


@pytest.fixture(scope="module")
def mesh(folder: Path) -> Iterator[Meshgate]:
    """One mesh for all of it; ports isolation, where a test can be the client's application."""
    with running(folder / "state", [folder / "all.yaml"], "ports") as meshgate:
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] != "info"] == []
        yield meshgate


@pytest.fixture(scope="module")
def outbound(mesh: Meshgate) -> int:
    """The port of the client's sidecar."""
    return int(
        mesh.inside("client", "import os; print(os.environ['http_proxy'])").rpartition(":")[2].strip("/\n")
    )


def names(answers: Sequence[Answer]) -> Counter[str]:
    """Which Deployment gave how many of the answers."""
    return Counter(answer.json()["version"] for answer in answers)


def test_requests_stay_near_and_none_fails_when_what_is_near_dies(mesh: Meshgate, outbound: int) -> None:
    told = json.loads(mesh.cli("explain", "GET", "http://pay/", "--from", "client", "-o", "json"))
    (reached,) = told["destinations"]
    places = [(p["locality"], p["priority"], p["percent"], p["endpoints"]) for p in reached["places"]]
    assert places == [("eu/west/rack1", 0, 100, 2), ("us/north/rack1", 1, 0, 1)]
    before = ask_many(200, lambda _: Client(outbound, "pay"), "/")
    assert names(before) == {"pay-near": 200}
    near = [p for p in mesh.objects("pods") if p["metadata"]["labels"].get("pod") == "pay-near"]
    running_pids = [p["status"]["containerStatuses"][0]["state"]["running"]["pid"] for p in near]
    with Load(outbound, "pay") as load:
        mesh.crash(*running_pids)
        until(lambda: names(load.more(50)) == {"pay-far": 50}, "all go to the other region")
        until(lambda: names(load.more(50)) == {"pay-near": 50}, "all are back")
    assert load.failed() == []


def test_shares_by_locality(outbound: int) -> None:
    found = names(ask_many(600, lambda _: Client(outbound, "shares"), "/"))
    assert_split(found, {"shares-near": 80, "shares-far": 20}, 600)


def test_a_failing_replica_is_left_alone_and_comes_back(folder: Path, outbound: int) -> None:
    told = folder / "told" / "flaky-b"
    with Load(outbound, "flaky", clients=1) as load:
        until(lambda: len(names(load.more(20))) == 2, "both answer")
        (folder / "500").write_text("500")
        (folder / "500").rename(told)
        until(lambda: set(names(load.more(60))) == {"flaky-a"}, "it is ejected")
        told.unlink()
        until(lambda: len(names(load.more(20))) == 2, "it is back")
    counted = statuses(load.answers)
    assert set(counted) == {200, 500}
    assert counted[500] >= 3, "it takes three errors in a row"


def test_a_new_replica_begins_with_a_small_share(mesh: Meshgate, outbound: int) -> None:
    with Load(outbound, "warm") as load:
        until(lambda: load.more(50)[-1].at - load.answers[0].at > WARMUP_S, "the old one has its full share")
        mesh.cli("scale", "deployment/warm-new", "--replicas", "1")
        until(lambda: "warm-new" in names(load.more(10)), "the new one answers")
        first = names(load.more(100))
        until(lambda: names(load.more(200))["warm-new"] > 80, "it has its full share")
    assert first["warm-new"] < 30, first


def test_requests_over_the_limit_are_turned_away_at_once(outbound: int) -> None:
    answers = ask_many(60, lambda _: Client(outbound, "narrow"), "/?wait=0.02", clients=6)
    counted = statuses(answers)
    assert set(counted) == {200, 503}, counted
    turned_away = [a for a in answers if a.status == 503]
    assert {a.header("x-envoy-overloaded") for a in turned_away} == {"true"}
    alone = ask_many(20, lambda _: Client(outbound, "narrow"), "/?wait=0.02", clients=2)
    assert statuses(alone) == {200: 20}


def test_connections_are_tunnelled_and_announced(mesh: Meshgate) -> None:
    assert mesh.inside("client", SAY.format("CARRIER")).strip() == "CONNECT bank.example:443 HTTP/1.1|hello"
    announced, said = mesh.inside("client", SAY.format("HEADER")).strip().split("|")
    assert announced.startswith("PROXY TCP4 127.")
    assert said == "hello"
