"""Manifests of end-to-end tests: the shop's own `service.py` as pods, and the ways to it.

Every answer of that service says which version gave it, who called, and what headers arrived.
"""

from __future__ import annotations

from pathlib import Path

SERVICE = Path(__file__).parents[2] / "examples/shop/service.py"


def deployment(
    name: str,
    version: str = "v1",
    *,
    app: str = "",
    namespace: str = "default",
    labels: str = "",
    command: str = "",
    probe: str = "/healthz",
) -> str:
    """A Deployment `name` of one pod that answers for the service `app`, with a service account `app`."""
    app = app or name
    command = command or f"python3 {SERVICE} {app} {version} 8080"
    more = f", {labels}" if labels else ""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {app}, version: {version}}}}}
  template:
    metadata:
      labels: {{app: {app}, version: {version}{more}}}
      annotations: {{meshgate.dev/command: {command}}}
    spec:
      serviceAccountName: {app}
      containers:
      - name: app
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: {probe}, port: http}}, periodSeconds: 1}}
---
"""


def service(name: str, *, namespace: str = "default") -> str:
    """A Service of the pods with the label `app: name`, and their service account."""
    return f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
"""


def ingress(
    name: str, *, host: str, backend: str, path: str = "/", plugins: str = "", namespace: str = "default"
) -> str:
    """An Ingress of Kong's class that leads one host's path to a service's port 80."""
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {{konghq.com/plugins: "{plugins}"}}
spec:
  ingressClassName: kong
  rules:
  - host: {host}
    http:
      paths:
      - path: {path}
        pathType: Prefix
        backend: {{service: {{name: {backend}, port: {{number: 80}}}}}}
---
"""


def mesh_namespace(name: str = "default") -> str:
    """A Namespace whose pods get sidecars."""
    return f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{istio-injection: enabled}}}}
---
"""


def peer_authentication(name: str, mode: str, *, app: str = "", ports: str = "") -> str:
    """A PeerAuthentication for the namespace, or for the pods of `app`."""
    selector = f"  selector: {{matchLabels: {{app: {app}}}}}\n" if app else ""
    levels = f"  portLevelMtls: {ports}\n" if ports else ""
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}}}
spec:
{selector}  mtls: {{mode: {mode}}}
{levels}---
"""


KONG_CLASS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: kong}
spec: {controller: ingress-controllers.konghq.com/kong}
---
"""
