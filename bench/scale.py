"""What one sidecar holds when the mesh grows: clusters, virtual hosts, memory of its Envoy."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

from harness import machine, meshgate

CLIENT = """
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: others}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata:
      labels: {app: client}
      annotations: {meshgate.dev/command: python3 fast_server.py}
    spec: {containers: [{name: client, ports: [{containerPort: 8080}]}]}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: service-{number}, namespace: others}}
spec: {{selector: {{app: service-{number}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: service-{number}, namespace: others}}
spec:
  hosts: [service-{number}]
  http: [{{route: [{{destination: {{host: service-{number}}}}}], timeout: 5s}}]
"""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def admin(socket_path: Path, path: str) -> dict[str, object]:
    """One of Envoy's admin pages as JSON."""
    connection = UnixConnection(socket_path)
    connection.request("GET", path)
    found: dict[str, object] = json.loads(connection.getresponse().read())
    return found


def measure(count: int) -> tuple[int, int, float]:
    """(clusters, bytes of configuration, MB allocated) of the client's sidecar with so many services."""
    manifests = CLIENT + "".join(SERVICE.format(number=n) for n in range(count))
    with meshgate(manifests) as running:
        from meshgate.runtime.paths import RuntimePaths

        sockets = list(RuntimePaths.of(running.state).run.glob("*/admin.sock"))
        for path in sockets:
            dump = admin(path, "/config_dump")
            text = json.dumps(dump)
            if '"sidecar~client' in text:
                clusters = admin(path, "/clusters?format=json")["cluster_statuses"]
                memory = admin(path, "/memory")
                assert isinstance(clusters, list)
                return len(clusters), len(text), int(str(memory["allocated"])) / 1e6
    raise RuntimeError("the client's sidecar was not found")


def main() -> None:
    """Prints one line per size."""
    print(machine())
    for count in (10, 100, 1000):
        clusters, size, allocated = measure(count)
        print(
            f"{count:5} services: {clusters} clusters, config dump {size / 1000:.0f} kB, {allocated:.1f} MB"
        )


if __name__ == "__main__":
    main()
