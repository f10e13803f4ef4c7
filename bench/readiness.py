"""From a probe's answer until requests follow it: how soon readiness decides where they go.

Two pods stand behind one service, and the gateway is asked without pause. One of them says that it is
not ready: from that answer until its last request is the first figure. It says that it is ready
again: from that answer until its first request is the second.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Running, machine, meshgate, spread

ROUNDS, CLIENTS = 10, 4
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: web, name: {name}}}}}
  template:
    metadata:
      labels: {{app: web, name: {name}}}
      annotations: {{meshgate.dev/command: python3 toggled_server.py {name}}}
    spec:
      containers:
      - name: app
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe:
          httpGet: {{path: /healthz, port: http}}
          periodSeconds: 1
          failureThreshold: 1
---
"""
REST = """
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: kong
  rules:
  - host: bench.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""


@contextmanager
def asking(running: Running) -> Iterator[list[int]]:
    """Clients that ask without pause while the block runs; gives the statuses that were not 200."""
    over = threading.Event()
    failed: list[int] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        while not over.is_set():
            connection.request("GET", "/", headers={"Host": "bench.example"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        over.set()
        for thread in threads:
            thread.join()


def seen(path: Path) -> list[tuple[float, str]]:
    """What a server wrote, oldest first."""
    lines = (line.split() for line in path.read_text().splitlines())
    return [(float(parts[0]), parts[1]) for parts in lines if len(parts) == 2]


def answered(path: Path, what: str, after: float) -> float:
    """When a probe first got that answer after a time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := next((at for at, said in seen(path) if said == what and at > after), None):
            return found
        time.sleep(0.05)
    raise RuntimeError(f"no probe was answered with {what}")


def one_round(folder: Path) -> tuple[float, float]:
    """Seconds until the last request of a pod that is not ready, and until the first of one that is."""
    toggle, log = folder / "not-ready-a", folder / "seen-a"
    toggle.touch()
    gone = answered(log, "not-ready", time.monotonic() - 1)
    time.sleep(1.5)
    late = [at for at, what in seen(log) if what == "request" and at > gone]
    began = time.monotonic()
    toggle.unlink()
    back = answered(log, "ready", began)
    time.sleep(1.5)
    first = next(at for at, what in seen(log) if what == "request" and at > back)
    return (max(late, default=gone) - gone, first - back)


def main() -> None:
    """Prints both spreads."""
    manifests = MANIFEST.format(name="a") + MANIFEST.format(name="b") + REST
    with meshgate(manifests, more=("toggled_server.py",)) as running, asking(running) as failed:
        found = [one_round(running.manifests) for _ in range(ROUNDS)]
    print(machine())
    print(f"not ready until the last request, {ROUNDS} times, s: {spread([off for off, _ in found])}")
    print(f"ready until the first request, {ROUNDS} times, s:    {spread([on for _, on in found])}")
    print(f"requests that failed: {len(failed)}")


if __name__ == "__main__":
    main()
