"""What key-auth and limits cost at the gateway, against the same gateway without them.

In one run: bare, then key-auth with a local limit, in turn, round by round.
"""

from __future__ import annotations

import statistics

from harness import machine, meshgate, spread, wrk

ROUNDS = 9
SERVICE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: fast}
spec:
  selector: {matchLabels: {app: fast}}
  template:
    metadata:
      labels: {app: fast}
      annotations: {meshgate.dev/command: python3 fast_server.py, sidecar.istio.io/inject: "false"}
    spec: {containers: [{name: fast, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: fast}
spec: {selector: {app: fast}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
PLUGINS = """
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: key}
plugin: key-auth
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: limit}
plugin: rate-limiting
config: {minute: 1000000000, policy: local}
---
apiVersion: v1
kind: Secret
metadata: {name: caller-key, labels: {konghq.com/credential: key-auth}}
stringData: {key: bench-only-key}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: caller, annotations: {kubernetes.io/ingress.class: kong}}
username: caller
credentials: [caller-key]
"""
INGRESS = """
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  ingressClassName: kong
  rules:
  - host: {name}.bench
    http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: fast, port: {{number: 80}}}}}}}}]
"""


def main() -> None:
    """Prints the ratios."""
    manifests = SERVICE + PLUGINS
    manifests += INGRESS.format(name="bare", annotations="")
    manifests += INGRESS.format(name="limited", annotations="konghq.com/plugins: 'key,limit'")
    with meshgate(manifests) as running:
        url = f"http://127.0.0.1:{running.port}/"
        bare: list[float] = []
        limited: list[float] = []
        wrk(url, ["Host: bare.bench"], 2)
        for _ in range(ROUNDS):
            # The same request to both: a key is carried to the service, asked for or not.
            bare.append(wrk(url, ["Host: bare.bench", "apikey: bench-only-key"], 3))
            limited.append(wrk(url, ["Host: limited.bench", "apikey: bench-only-key"], 3))
    ratios = [one / other for one, other in zip(limited, bare, strict=True)]
    print(machine())
    print(f"bare                    {statistics.median(bare):9.0f} requests/s (median of {ROUNDS})")
    print(f"key-auth + local limit  {statistics.median(limited):9.0f} requests/s")
    print(f"ratio                   {spread(ratios)}")


if __name__ == "__main__":
    main()
