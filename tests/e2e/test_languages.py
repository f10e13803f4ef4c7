"""What applications speak, through sidecars and the gateway, on ports that say it and ports that do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, mesh_namespace, service
from tests.e2e.talking import LANGUAGES

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
HERE = Path(__file__).parent
ROLES = ("first:7001", "first:7011", "grpc:7002", "grpc:7012", "web:7003", "web:7013", "tls:7004")
PORTS = {
    "tcp-first": 7001,
    "any-first": 7011,
    "grpc": 7002,
    "any-grpc": 7012,
    "http": 7003,
    "any-web": 7013,
    "tls": 7004,
}


def _talker(version: str) -> str:
    ports = "".join(f"        - {{name: {n}, containerPort: {p}}}\n" for n, p in PORTS.items())
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: talk-{version}}}
spec:
  selector: {{matchLabels: {{app: talk, version: {version}}}}}
  template:
    metadata:
      labels: {{app: talk, version: {version}}}
      annotations: {{meshgate.dev/command: "python3 {HERE / "talker.py"} {version} {" ".join(ROLES)}"}}
    spec:
      serviceAccountName: talk
      containers:
      - name: talk
        ports:
{ports}        readinessProbe: {{tcpSocket: {{port: tls}}, periodSeconds: 1}}
---
"""


MANIFESTS = f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: talk}}
---
apiVersion: v1
kind: Service
metadata: {{name: talk}}
spec:
  selector: {{app: talk}}
  ports: [{", ".join(f"{{name: {n}, port: {p}}}" for n, p in PORTS.items())}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: talk}}
spec:
  host: talk
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: talk}}
spec:
  hosts: [talk, talk.example]
  gateways: [mesh, edge]
  http:
  - match: [{{gateways: [edge], headers: {{content-type: {{prefix: application/grpc}}}}}}]
    route: [{{destination: {{host: talk, subset: v2, port: {{number: 7002}}}}}}]
  - match: [{{gateways: [edge]}}]
    route: [{{destination: {{host: talk, subset: v2, port: {{number: 7003}}}}}}]
  - match: [{{headers: {{x-canary: {{exact: "yes"}}}}}}]
    route: [{{destination: {{host: talk, subset: v2}}}}]
  - route: [{{destination: {{host: talk, subset: v1}}}}]
  tcp:
  - match: [{{port: 7001}}, {{port: 7011}}]
    route: [{{destination: {{host: talk, subset: v2}}}}]
  tls:
  - match: [{{port: 7004, sniHosts: [a.talk.example]}}]
    route: [{{destination: {{host: talk, subset: v1}}}}]
  - match: [{{port: 7004, sniHosts: ["*.talk.example"]}}]
    route: [{{destination: {{host: talk, subset: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [talk.example]}}]
---
"""
ASK = """
import json, os, subprocess, sys
asked = {}
for name, (language, port, said) in json.loads(sys.argv[1]).items():
    local = os.environ["TALK_SERVICE_PORT_" + port.upper().replace("-", "_")]
    asked[name] = (language, os.environ["TALK_SERVICE_HOST"], int(local), said)
print(subprocess.run(["python3", sys.argv[2], json.dumps(asked)], stdout=-1, check=True).stdout.decode())
"""
EXPECTED: Mapping[tuple[str, str, str], str] = {
    ("first", "tcp-first", ""): "v2 v2 again",
    ("first", "any-first", ""): "v2 v2 again",
    ("call", "grpc", "talk:7002"): "v1 one,v1 two",
    ("call", "any-grpc", "talk:7012"): "v? one,v? two",
    ("get", "http", "talk:7003"): "v1",
    ("canary", "http", "talk:7003"): "v2",
    ("get", "any-web", "talk:7013"): "v1",
    ("canary", "any-web", "talk:7013"): "v2",
    ("websocket", "http", "talk:7003"): "v1 hi",
    ("websocket", "any-web", "talk:7013"): "v1 hi",
    ("tls", "tls", "a.talk.example"): "hello v1 a.talk.example",
    ("tls", "tls", "b.talk.example"): "hello v2 b.talk.example",
}


@pytest.fixture(scope="module")
def talk(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp(f"talk-{isolation}")
    text = mesh_namespace() + MANIFESTS + _talker("v1") + _talker("v2")
    text += service("caller") + deployment("caller")
    (folder / "all.yaml").write_text(text)
    with running(folder / "state", [folder / "all.yaml"], isolation) as meshgate:
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] == "error"] == []
        yield meshgate


def test_every_language_between_sidecars(talk: Meshgate) -> None:
    asked = {"|".join(key): key for key in (*EXPECTED, ("tls", "tls", "elsewhere.example"))}
    program = ("python3", "-c", ASK, json.dumps(asked), str(HERE / "talking.py"))
    answers = json.loads(talk.cli("exec", "caller", "--", *program))
    print(answers)
    (elsewhere, _) = answers.pop("tls|tls|elsewhere.example")
    assert elsewhere.startswith("failed"), "a name that no tls route takes is not for this host"
    found = {name: answer for name, (answer, _) in answers.items()}
    # A port that does not say that it is gRPC is balanced by connection, so either version may answer.
    version = found["call|any-grpc|talk:7012"][:2]
    assert version in ("v1", "v2")
    assert found == {"|".join(k): v.replace("v?", version) for k, v in EXPECTED.items()}


def test_grpc_and_websocket_through_the_gateway(talk: Meshgate) -> None:
    for language, expected in (("call", "v2 one,v2 two"), ("websocket", "v2 hi"), ("get", "v2")):
        assert LANGUAGES[language]("127.0.0.1", talk.http_port, "talk.example") == expected
