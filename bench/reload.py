"""From the save of a file until the gateway answers by it, with many routes."""

from __future__ import annotations

import statistics
import time

from harness import Running, machine, meshgate, spread

ROUTES, ROUNDS = 3000, 7
PATH = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: i{number}}}
spec:
  ingressClassName: kong
  rules:
  - host: h{number}.bench
    http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: s{number}, port: {{number: 80}}}}}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{selector: {{app: none}}, ports: [{{name: http, port: 80}}]}}
---
"""
EDIT = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: edit}}
spec:
  ingressClassName: kong
  rules:
  - host: edit.bench
    http:
      paths: [{{path: /{path}, pathType: Exact, backend: {{service: {{name: s0, port: {{number: 80}}}}}}}}]
"""


def seconds_until(running: Running, path: str) -> float:
    """From the save until the path is routed (503: no pod) and no longer unknown (404)."""
    began = time.monotonic()
    (running.manifests / "edit.yaml").write_text(EDIT.format(path=path))
    while running.ask(f"/{path}", "edit.bench") == 404:
        if time.monotonic() - began > 30:
            raise RuntimeError("the edit never took effect")
        time.sleep(0.005)
    return time.monotonic() - began


def main() -> None:
    """Prints the spread."""
    manifests = "".join(PATH.format(number=n) for n in range(ROUTES))
    with meshgate(manifests) as running:
        seconds_until(running, "warm-up")
        found = [seconds_until(running, f"edit-{n}") for n in range(ROUNDS)]
    print(machine())
    print(f"{ROUTES} routes, {ROUNDS} edits: seconds until live: {spread(found)}")
    print(f"median {statistics.median(found) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
