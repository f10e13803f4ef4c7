"""A Sidecar and the mesh's settings decide, at run time, which hosts a program reaches."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from meshgate.runtime.paths import RuntimePaths
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, mesh_namespace, service
from tests.e2e.waiting import until
from tests.redis_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  workloadSelector: {labels: {app: client}}
  egress:
  - hosts: ["./*"]
  - port: {number: %d, protocol: HTTP, name: http}
    bind: 127.0.0.1
    hosts: ["other/*"]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
"""
MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
"""
ASK = """
import http.client, os
place = %r or os.environ.get("http_proxy", "//%s").split("//")[1]
try:
    connection = http.client.HTTPConnection(place, timeout=10)
    connection.request("GET", "http://%s/", headers={"Host": "%s"})
    print(connection.getresponse().status)
except OSError as error:
    print(type(error).__name__)
"""


def manifests(port: int) -> str:
    """A caller, a service beside it, and one in another namespace (also at `port`) but not for everybody."""
    shared = service("hidden", namespace="other") + deployment("hidden", namespace="other")
    local = (
        f"{{name: http, port: 80, targetPort: http}}, {{name: http-local, port: {port}, targetPort: http}}"
    )
    return "".join(
        (
            mesh_namespace(),
            mesh_namespace("other"),
            *(service(name) + deployment(name) for name in ("web", "client")),
            shared.replace("{name: http, port: 80, targetPort: http}", local),
        )
    )


def test_hosts_are_known_as_sidecar_and_mesh_say(isolation: str, tmp_path: Path) -> None:
    manifest, port = tmp_path / "all.yaml", free_port()
    manifest.write_text(manifests(port))
    with running(tmp_path / "state", [manifest], isolation) as meshgate:
        assert [_ask(meshgate, host) for host in ("web", "hidden.other")] == ["200", "200"]

        manifest.write_text(manifests(port) + SIDECAR % port)
        until(lambda: _ask(meshgate, "hidden.other") == "502", "the Sidecar hides the other namespace")
        assert _ask(meshgate, "web") == "200"
        assert _ask(meshgate, "elsewhere.example") == "502"
        told = {host: _explained(meshgate, host) for host in ("web", "hidden.other", "elsewhere.example")}
        refused = ("refuse", 502)
        assert told == {"web": ("forward", 0), "hidden.other": refused, "elsewhere.example": refused}
        through = f"127.0.0.1:{port}"
        until(lambda: _ask(meshgate, "hidden.other", through) == "200", "its own listener leads there")
        assert _ask(meshgate, "web", through) == "502"

        alone = 'name: hidden, namespace: other, annotations: {networking.istio.io/exportTo: "."}}'
        closed = manifests(port).replace(
            "kind: Service\nmetadata: {name: hidden, namespace: other}", f"kind: Service\nmetadata: {{{alone}"
        )
        assert closed != manifests(port)
        manifest.write_text(closed + MESH)
        until(lambda: _ask(meshgate, "hidden.other") == "502", "the service is not exported")
        assert _ask(meshgate, "web") == "200"
        manifest.write_text(manifests(port) + MESH)
        until(lambda: _ask(meshgate, "hidden.other") == "200", "the service is exported again")
        assert _ask(meshgate, "elsewhere.example") == "502", "the mesh says REGISTRY_ONLY"


def _explained(meshgate: Meshgate, host: str) -> tuple[str, int]:
    """What `explain` says of the same request: its end, and the proxy's own status."""
    found = json.loads(meshgate.cli("explain", "GET", f"http://{host}/", "--from", "client", "-o", "json"))
    return found["outcome"], found["status"]


ANNOTATIONS = """annotations: {
        proxy.istio.io/config: "{concurrency: 2, proxyMetadata: {ISTIO_META_TIER: gold}}",
        traffic.sidecar.istio.io/excludeOutboundPorts: "8081",
        """
CALLER = """
import http.client, json
connection = http.client.HTTPConnection("web", %d, timeout=10)
connection.request("GET", "/")
print(json.load(connection.getresponse())["caller"])
"""


def test_settings_of_the_sidecar_itself(isolation: str, tmp_path: Path) -> None:
    ports = "{name: http, port: 80, targetPort: http}, {name: http-side, port: 8081, targetPort: http}"
    text = service("web").replace("{name: http, port: 80, targetPort: http}", ports) + deployment("web")
    client = service("client") + deployment("client").replace("annotations: {", ANNOTATIONS)
    (tmp_path / "all.yaml").write_text(mesh_namespace() + text + client)
    with running(tmp_path / "state", [tmp_path / "all.yaml"], isolation) as meshgate:
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] != "info"] == []
        (info,) = [i for i in _server_infos(meshgate) if "client" in i["node"]["id"]]
        assert info["command_line_options"]["concurrency"] == 2
        assert info["node"]["metadata"]["TIER"] == "gold"
        if isolation == "netns":
            assert meshgate.inside("client", CALLER % 80).strip().endswith("/sa/client")
            assert meshgate.inside("client", CALLER % 8081).strip() == "None", "it does not pass the sidecar"


def _server_infos(meshgate: Meshgate) -> list[dict[str, Any]]:
    """What each Envoy says of itself."""
    found = []
    for path in RuntimePaths.of(meshgate.state).run.glob("*/admin.sock"):
        with contextlib.closing(http.client.HTTPConnection("envoy", timeout=10)) as admin:
            admin.sock = socket.socket(socket.AF_UNIX)
            admin.sock.connect(str(path))
            admin.request("GET", "/server_info")
            found.append(json.loads(admin.getresponse().read()))
    return found


def _ask(meshgate: Meshgate, host: str, place: str = "") -> str:
    """The status that the client's program gets; in netns isolation names outside have no address."""
    if not place and meshgate.isolation == "netns":
        place = "web"
    return meshgate.inside("client", ASK % (place, host, host, host)).strip()
