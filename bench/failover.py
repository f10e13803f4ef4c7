"""What requests meet while endpoints die, fail, begin and fill up, by DestinationRules."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness import HERE, MESHGATE, Running, machine, meshgate

NEAR, FAR = "istio-locality: eu.west.rack1", "istio-locality: us.north.rack1"
WARMUP_S = 10
EJECTION_S = 3
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{pod: {name}}}}}
  template:
    metadata: {{labels: {{pod: {name}, app: {app}, {place}}}}}
    spec:
      containers:
      - name: app
        command: [python3, {script}, {name}, "8080", {told}]
        ports: [{{containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}}
---
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {app}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {name}, trafficPolicy: {{{policy}}}}}
---
"""
RETRIES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay}
spec:
  hosts: [pay]
  http: [{retries: {attempts: 3, retryOn: "5xx,connect-failure,reset"}, route: [{destination: {host: pay}}]}]
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; status 0 where none came."""

    at: float
    status: int
    name: str
    overloaded: bool = False


class Load:
    """Clients that ask a service through one sidecar without pause."""

    def __init__(self, port: int, host: str, path: str = "/", clients: int = 8) -> None:
        self._where, self._path, self._over = (port, host), path, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.answers: list[Answer] = []

    def _run(self) -> None:
        port, host = self._where
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        while not self._over.is_set():
            try:
                connection.request("GET", self._path, headers={"Host": host})
                reply = connection.getresponse()
                body = reply.read()
                name = json.loads(body)["version"] if body.startswith(b"{") else ""
                over = reply.getheader("x-envoy-overloaded") == "true"
                self.answers.append(Answer(time.monotonic(), reply.status, name, over))
            except (OSError, http.client.HTTPException):
                connection.close()
                self.answers.append(Answer(time.monotonic(), 0, ""))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def between(self, start: float, end: float) -> list[Answer]:
        """The answers of a time."""
        return [a for a in self.answers if start <= a.at < end]


def shares(answers: Sequence[Answer]) -> str:
    """`pay-near 100%`, of the answers that name somebody."""
    counted = Counter(a.name for a in answers if a.name)
    total = sum(counted.values()) or 1
    return ", ".join(f"{name} {100 * n / total:.0f}%" for name, n in sorted(counted.items())) or "none"


def failed(answers: Sequence[Answer]) -> str:
    """How many were not 200."""
    statuses = Counter(a.status for a in answers if a.status != 200)
    return f"{sum(statuses.values())} of {len(answers)} failed" + (f" {dict(statuses)}" if statuses else "")


def cli(running: Running, *arguments: str) -> str:
    """What a command prints."""
    argv = [str(MESHGATE), arguments[0], "--state", str(running.state), *arguments[1:]]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def pids(running: Running, name: str) -> list[int]:
    """The processes of a Deployment's replicas."""
    pods = json.loads(cli(running, "get", "pods", "-l", f"pod={name}", "-o", "json"))["items"]
    return [p["status"]["containerStatuses"][0]["state"]["running"]["pid"] for p in pods]


def failover(running: Running, port: int) -> None:
    """Both near replicas are killed by SIGKILL, start again by themselves, and are scaled away."""
    with Load(port, "pay") as load:
        victims = pids(running, "pay-near")
        time.sleep(3)
        killed = time.monotonic()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        time.sleep(8)
        scaled = time.monotonic()
        cli(running, "scale", "deployment/pay-near", "--replicas", "0")
        time.sleep(4)
    answers = load.answers
    far = [a.at - killed for a in answers if a.name == "pay-far" and a.at >= killed]
    dead = far[0] if far else 0.0
    back = [a.at - killed for a in answers if a.name == "pay-near" and a.at > killed + dead]
    print(f"failover, near replicas killed: {failed(load.between(0, scaled))}")
    print(f"  before: {shares(load.between(0, killed))}")
    print(f"  first answer of the other region {dead * 1000:.0f} ms after the kill")
    print(f"  first answer of a near one after it: {back[0]:.2f} s" if back else "  none came back")
    print(f"  at the end of it: {shares(load.between(scaled - 1, scaled))}")
    print(f"failover, near replicas scaled to 0: {failed(load.between(scaled, 1e18))}")
    print(f"  last second: {shares(load.between(answers[-1].at - 1, 1e18))}")


def ejection(running: Running, port: int) -> None:
    """One of two replicas answers 500 for a while."""
    told, written = running.manifests / "flaky-bad", running.manifests / "500"
    with Load(port, "flaky", clients=1) as load:
        time.sleep(2)
        written.write_text("500")
        began = time.monotonic()
        written.rename(told)
        time.sleep(2 * EJECTION_S)
        told.unlink()
        ended = time.monotonic()
        time.sleep(3 * EJECTION_S)
    errors = [a.at for a in load.answers if a.status == 500]
    good = [a.at - ended for a in load.answers if a.name == "flaky-bad" and a.status == 200 and a.at > ended]
    rounds = [n for n, at in enumerate(errors) if n == 0 or at - errors[n - 1] > 0.5]
    sizes = [b - a for a, b in zip(rounds, [*rounds[1:], len(errors)], strict=True)]
    while_bad = load.between(began, ended)
    share = 100 * sum(a.name == "flaky-bad" for a in while_bad) / len(while_bad)
    print(f"ejection: before {shares(load.between(0, began))}")
    print(f"  errors in a row until it was left alone: {sizes}; {len(errors)} in all")
    print(f"  its share while it failed: {share:.2f}% of {len(while_bad)}")
    print(f"  back {good[0]:.1f} s after it was well" if good else "  it did not come back")
    print(f"  last second: {shares(load.between(load.answers[-1].at - 1, 1e18))}")


def warmup(running: Running, port: int, host: str) -> None:
    """A second replica begins."""
    name = f"{host}-new"
    with Load(port, host) as load:
        time.sleep(WARMUP_S + 1)
        cli(running, "scale", f"deployment/{name}", "--replicas", "1")
        time.sleep(WARMUP_S + 4)
    first = next(a.at for a in load.answers if a.name == name)
    parts = [load.between(first + s, first + s + 1) for s in range(WARMUP_S + 1)]
    line = " ".join(f"{100 * sum(a.name == name for a in part) / (len(part) or 1):.0f}" for part in parts)
    print(f"{host}: % of requests to the new replica, second by second: {line}; {failed(load.answers)}")


def breaker(port: int) -> None:
    """Answers take 50 ms; 4 requests at once may be under way."""
    for clients in (4, 8, 16):
        with Load(port, "narrow", "/?wait=0.05", clients) as load:
            time.sleep(4)
        good = sum(a.status == 200 for a in load.answers)
        refused = sum(a.overloaded for a in load.answers)
        other = len(load.answers) - good - refused
        print(f"limit of 4, {clients} clients: {good} answered, {refused} turned away, {other} other")


@contextlib.contextmanager
def running_mesh() -> Iterator[tuple[Running, int]]:
    """The services, and the port of the client's sidecar."""
    ejecting = "interval: 100ms, maxEjectionPercent: 100"
    away = f"outlierDetection: {{consecutive5xxErrors: 1, baseEjectionTime: 1s, {ejecting}}}"
    returns = f"baseEjectionTime: {EJECTION_S}s"
    policies = {
        "client": "",
        "pay": f"loadBalancer: {{localityLbSetting: {{failover: [{{from: eu, to: us}}]}}}}, {away}",
        "flaky": f"outlierDetection: {{consecutive5xxErrors: 5, {returns}, {ejecting}}}",
        "warm": f"loadBalancer: {{simple: ROUND_ROBIN, warmup: {{duration: {WARMUP_S}s}}}}",
        "cold": "loadBalancer: {simple: ROUND_ROBIN}",
        "narrow": "connectionPool: {http: {http2MaxRequests: 4}}",
    }
    replicas = (
        ("client", "client", NEAR, 1),
        ("pay-near", "pay", NEAR, 2),
        ("pay-far", "pay", FAR, 2),
        ("flaky-good", "flaky", NEAR, 1),
        ("flaky-bad", "flaky", NEAR, 1),
        *((f"{app}-{age}", app, NEAR, n) for app in ("warm", "cold") for age, n in (("old", 1), ("new", 0))),
        ("narrow", "narrow", NEAR, 1),
    )
    text = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: enabled}}\n---"
    )
    text += "".join(SERVICE.format(name=n, app=n, policy=p) for n, p in policies.items())
    with meshgate(text + RETRIES) as running:
        script, told = HERE / "replica.py", running.manifests
        pods = "".join(
            DEPLOYMENT.format(name=n, app=a, place=p, replicas=r, script=script, told=told)
            for n, a, p, r in replicas
        )
        (running.manifests / "pods.yaml").write_text(pods)
        wanted = sum(r for *_, r in replicas)
        while True:
            pods_now = running.status()["pods"]
            assert isinstance(pods_now, list)
            if sum(p["ready"] and p["meshed"] for p in pods_now) >= wanted:
                break
            time.sleep(0.2)
        proxy = cli(running, "exec", "client", "--", "sh", "-c", "echo $http_proxy").strip().rstrip("/")
        yield running, int(proxy.rpartition(":")[2])


def main() -> None:
    """Prints what was seen."""
    print(machine())
    with running_mesh() as (running, port):
        failover(running, port)
        ejection(running, port)
        warmup(running, port, "warm")
        warmup(running, port, "cold")
        breaker(port)


if __name__ == "__main__":
    main()
