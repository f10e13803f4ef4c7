"""How long a killed sidecar or program is away, and what a rolling restart costs requests."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
from collections import Counter

from harness import HERE, MESHGATE, Running, machine, meshgate, spread

from meshgate.cli.client import connect
from meshgate.runtime.netns import unavailable_reason
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import GetQuery

PODS, CLIENTS = 6, 4
HOST = "web.bench"
SERVICE = HERE.parent / "examples/shop/service.py"
MANIFESTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: default, labels: {{istio-injection: enabled}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: http}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {PODS}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}, annotations: {{meshgate.dev/command: python3 {SERVICE} web v1 8080}}}}
    spec:
      containers:
      - name: app
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 1}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web}}
spec:
  rules:
  - host: {HOST}
    http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]
"""


def pods(running: Running) -> dict[str, dict[str, int]]:
    """Pod -> container -> process id, of all that are ready."""
    with connect(running.state) as client:
        (listed,) = client.call(wire.GET, GetQuery(kinds="pods")).lists
    found: dict[str, dict[str, int]] = {}
    for pod in listed.objects:
        statuses = pod["status"]["containerStatuses"]  # type: ignore[index,call-overload]
        if all(status["ready"] for status in statuses):
            found[pod["metadata"]["name"]] = {  # type: ignore[index,call-overload]
                status["name"]: status["state"]["running"]["pid"] for status in statuses
            }
    return found


def away(running: Running, container: str) -> list[float]:
    """For each pod: seconds from kill -9 until it is ready with another process."""
    found = []
    for name, pids in pods(running).items():
        began = time.monotonic()
        os.kill(pids[container], signal.SIGKILL)
        while pods(running).get(name, pids)[container] == pids[container]:
            time.sleep(0.005)
        found.append(time.monotonic() - began)
    return found


def restart(running: Running) -> tuple[float, Counter[int]]:
    """Seconds of a rolling restart, and the statuses of the requests meanwhile (0: no answer)."""
    over, statuses = threading.Event(), Counter[int]()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=15)
        while not over.is_set():
            try:
                connection.request("GET", "/", headers={"Host": HOST})
                reply = connection.getresponse()
                reply.read()
                statuses[reply.status] += 1
            except (OSError, http.client.HTTPException):
                statuses[0] += 1
                connection.close()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for action in ("restart", "status"):
        command = (MESHGATE, "rollout", action, "deploy/web", "--state", running.state)
        subprocess.run(command, check=True, timeout=180, stdout=subprocess.DEVNULL)
    took = time.monotonic() - began
    over.set()
    for thread in threads:
        thread.join()
    return took, statuses


def main() -> None:
    """Prints both isolations, where this machine and user may."""
    print(machine())
    for isolation in ("ports", *(() if unavailable_reason() else ("netns",))):
        with meshgate(MANIFESTS, isolation=isolation) as running:
            while len(pods(running)) < PODS:
                time.sleep(0.05)
            for container in ("istio-proxy", "app"):
                found = spread(away(running, container))
                print(f"{isolation}: {container} killed, seconds until ready: {found}")
            took, statuses = restart(running)
            told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
            print(f"{isolation}: rolling restart of {PODS} pods in {took:.1f} s: {told}")


if __name__ == "__main__":
    main()
