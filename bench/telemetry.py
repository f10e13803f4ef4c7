"""What metrics and access logs cost at the gateway: with both off, with metrics, with metrics and logs.

In one run, on one machine: three gateways in turn, round by round.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from edge import INGRESS, SERVICE
from harness import machine, meshgate, spread, wrk

ROUNDS = 5
TELEMETRY = """
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: mesh, namespace: istio-system}}
spec: {spec}
"""
OFF = "{metrics: [{overrides: [{match: {metric: ALL_METRICS}, disabled: true}]}]}"
LOGS = "{accessLogging: [{providers: [{name: envoy}]}]}"


def main() -> None:
    """Prints the ratios."""
    manifests = SERVICE + INGRESS.format(name="bare", annotations="")
    off: list[float] = []
    metrics: list[float] = []
    both: list[float] = []
    with ExitStack() as stack:
        running = [
            stack.enter_context(meshgate(manifests + TELEMETRY.format(spec=OFF))),
            stack.enter_context(meshgate(manifests)),
            stack.enter_context(meshgate(manifests + TELEMETRY.format(spec=LOGS))),
        ]
        urls = [f"http://127.0.0.1:{one.port}/" for one in running]
        for url in urls:
            wrk(url, ["Host: bare.bench"], 2)
        for _ in range(ROUNDS):
            for url, found in zip(urls, (off, metrics, both), strict=True):
                found.append(wrk(url, ["Host: bare.bench"]))
    print(machine())
    print(f"metrics off      {statistics.median(off):9.0f} requests/s (median of {ROUNDS})")
    print(f"metrics          {statistics.median(metrics):9.0f} requests/s")
    print(f"metrics and log  {statistics.median(both):9.0f} requests/s")
    print(f"ratio of metrics {spread([a / b for a, b in zip(metrics, off, strict=True)])}")
    print(f"ratio of both    {spread([a / b for a, b in zip(both, off, strict=True)])}")


if __name__ == "__main__":
    main()
