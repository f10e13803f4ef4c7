"""`up --stand-ins`: manifests whose programs are in images that nobody runs can be tried all the same."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import grpc
import pytest

from tests.e2e.harness import Meshgate, running
from tests.e2e.waiting import until
from tests.redis_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

_MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {konghq.com/plugins: keys}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: rpc, annotations: {konghq.com/protocol: grpc}}
spec: {selector: {app: rpc}, ports: [{name: grpc, port: 7070}]}
---
apiVersion: v1
kind: Service
metadata: {name: feed}
spec: {selector: {app: feed}, ports: [{name: tcp-feed, port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v7}}
    spec:
      containers:
      - name: web
        image: registry.example/web:7
        args: [--listen, ':8080']
        livenessProbe: {exec: {command: [/bin/true-of-the-image]}}
        readinessProbe: {httpGet: {path: /ready, port: 9101}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rpc}
spec:
  selector: {matchLabels: {app: rpc}}
  template:
    metadata: {labels: {app: rpc}}
    spec:
      containers:
      - name: server
        image: registry.example/rpc
        ports: [{containerPort: 7070}]
        readinessProbe: {grpc: {port: 7070}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: feed}
spec:
  selector: {matchLabels: {app: feed}}
  template:
    metadata: {labels: {app: feed}}
    spec: {containers: [{name: feed, image: registry.example/feed, ports: [{containerPort: 9000}]}]}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: keys}
plugin: key-auth
---
apiVersion: v1
kind: Secret
metadata: {name: ann-key, labels: {konghq.com/credential: key-auth}}
stringData: {key: pear}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: ann, annotations: {kubernetes.io/ingress.class: kong}}
username: ann
credentials: [ann-key]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: all}
spec:
  ingressClassName: kong
  rules:
  - host: web.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
  - host: rpc.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: rpc, port: {number: 7070}}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: streams}
spec: {gatewayClassName: meshgate, listeners: [{name: feed, protocol: TCP, port: %d}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: feed}
spec: {parentRefs: [{name: streams}], rules: [{backendRefs: [{name: feed, port: 9000}]}]}
"""
_LATER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: own}
spec:
  selector: {matchLabels: {app: own}}
  template:
    metadata: {labels: {app: own}}
    spec: {containers: [{name: own, image: registry.example/own, command: [/opt/own/serve]}]}
"""


def test_a_strangers_manifests_answer(isolation: str, tmp_path: Path) -> None:
    manifests = tmp_path / "all.yaml"
    feed = free_port()
    manifests.write_text(_MANIFESTS % feed)
    with running(tmp_path / "state", [manifests], isolation, "--stand-ins") as meshgate:
        _requests_pass_the_policies_of_the_manifests(meshgate)
        _grpc_comes_back(meshgate)
        _connections_come_back(meshgate, feed)
        _nobody_takes_them_for_the_real_ones(meshgate)
        _a_command_that_is_not_there_is_told(meshgate, tmp_path)


def _requests_pass_the_policies_of_the_manifests(meshgate: Meshgate) -> None:
    assert meshgate.ask("web.test").status == 401
    answer = meshgate.ask("web.test", "/a/b?c=d", [("apikey", "pear")])
    assert answer.status == 200
    told = answer.json()
    assert told["stand_in_for"] == "registry.example/web:7"
    assert (told["workload"], told["version"], told["path"]) == ("web", "v7", "/a/b?c=d")
    assert told["headers"]["x-consumer-username"] == "ann"
    pods = {meshgate.ask("web.test", headers=[("apikey", "pear")]).json()["pod"] for _ in range(20)}
    assert len(pods) == 2


def _grpc_comes_back(meshgate: Meshgate) -> None:
    options = (("grpc.default_authority", "rpc.test"),)
    with grpc.insecure_channel(f"127.0.0.1:{meshgate.http_port}", options) as channel:
        call = channel.unary_unary("/shop.Prices/Get", bytes, bytes)
        answer, done = call.with_call(b"\x0a\x05apple", timeout=30)
    assert answer == b"\x0a\x05apple"
    assert str(dict(done.initial_metadata() or ())["x-stand-in"]).startswith("default/rpc-")


def _connections_come_back(meshgate: Meshgate, port: int) -> None:
    address = meshgate.objects("gateways.gateway.networking.k8s.io")[0]["status"]["addresses"][0]["value"]
    with socket.create_connection((address, port), timeout=30) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: sock.recv(4096), b"")) == b"GET / HTTP/1.1\r\n\r\n"


def _nobody_takes_them_for_the_real_ones(meshgate: Meshgate) -> None:
    status = meshgate.cli("status")
    assert "stand-ins  feed, rpc, web: " in status
    assert status.count("stand-in for registry.example/web:7") == 2
    first, *rows = meshgate.cli("get", "pods").splitlines()
    assert "STAND-IN FOR" in first
    assert sum("registry.example/" in row for row in rows) == 4
    found = json.loads(meshgate.cli("get", "pods", "-l", "app=rpc", "-o", "json"))["items"][0]
    assert found["metadata"]["annotations"] == {"meshgate.dev/stand-in": "registry.example/rpc"}
    assert "port 9000/tcp at " in meshgate.cli("logs", "feed")
    assert not meshgate.diagnostics("MG4001")


def _a_command_that_is_not_there_is_told(meshgate: Meshgate, folder: Path) -> None:
    (folder / "later.yaml").write_text(_LATER)
    meshgate.cli("apply", "-f", str(folder / "later.yaml"))

    def said() -> str:
        message = next((p["message"] for p in meshgate.status()["pods"] if p["workload"] == "own"), "")
        return message if "/opt/own/serve" in message else ""

    until(said, "the pod's trouble")
