"""EnvoyFilters in front of real programs: in sidecars, at the gateway, and those that Envoy refuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from pathlib import Path

import pytest

from meshgate.runtime.paths import RuntimePaths
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, mesh_namespace, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

_HEAD = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: %s, namespace: %s}
spec:
  workloadSelector: {labels: {%s}}
  configPatches:
"""
_BEFORE_ROUTER = """
  - applyTo: HTTP_FILTER
    match:
      context: %s
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            subFilter: {name: envoy.filters.http.router}
    patch:
      operation: INSERT_BEFORE
      value:
"""
_LUA = """
        name: envoy.filters.http.lua
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code:
            inline_string: |
              %s
---
"""
LIMIT = """
        name: envoy.filters.http.local_ratelimit
        typed_config:
          "@type": type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          value:
            stat_prefix: few
            token_bucket: {max_tokens: 3, tokens_per_fill: 3, fill_interval: 3600s}
            filter_enabled: {runtime_key: few_on, default_value: {numerator: 100, denominator: HUNDRED}}
            filter_enforced: {runtime_key: few_hard, default_value: {numerator: 100, denominator: HUNDRED}}
            response_headers_to_add:
            - {append_action: APPEND_IF_EXISTS_OR_ADD, header: {key: x-limited, value: "yes"}}
---
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [web.example.test, few.example.test]
  gateways: [edge]
  http:
  - name: closed
    match: [{uri: {prefix: /closed}}]
    directResponse: {status: 451}
  - match: [{authority: {exact: few.example.test}}]
    route: [{destination: {host: few}}]
  - route: [{destination: {host: web}}]
---
"""
OUTBOUND = """
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND, cluster: {service: web.default.svc.cluster.local}}
    patch: {operation: MERGE, value: {connect_timeout: 1.25s}}
  - applyTo: VIRTUAL_HOST
    match:
      context: SIDECAR_OUTBOUND
      routeConfiguration: {vhost: {name: "web.default.svc.cluster.local:80"}}
    patch:
      operation: MERGE
      value: {request_headers_to_add: [{header: {key: x-from-host, value: patched}}]}
---
"""
OPENED = """
  - applyTo: HTTP_ROUTE
    match: {context: GATEWAY, routeConfiguration: {vhost: {route: {name: closed}}}}
    patch: {operation: REMOVE}
---
"""
ASK = """
import http.client, os
connection = http.client.HTTPConnection(%s)
connection.request("GET", "http://web/", headers={"Host": "web"})
print(connection.getresponse().read().decode())
"""


def manifests() -> str:
    """Three services; `client` calls `web`, and `few` takes three requests in an hour."""
    lua = "function envoy_on_request(h) h:headers():add('x-lua', 'inbound') end"
    answers = "function envoy_on_response(h) h:headers():add('x-edge-lua', 'gateway') end"
    return "".join(
        (
            mesh_namespace(),
            *(service(name) + deployment(name) for name in ("web", "few", "client")),
            ROUTES,
            _HEAD % ("inbound", "default", "app: web") + _BEFORE_ROUTER % "SIDECAR_INBOUND" + _LUA % lua,
            _HEAD % ("gateway", "istio-system", "istio: ingressgateway")
            + _BEFORE_ROUTER % "GATEWAY"
            + _LUA % answers,
            _HEAD % ("limit", "default", "app: few") + _BEFORE_ROUTER % "SIDECAR_INBOUND" + LIMIT,
            _HEAD % ("outbound", "default", "app: client") + OUTBOUND,
        )
    )


def test_patches_do_what_they_say_and_bad_ones_change_nothing(isolation: str, tmp_path: Path) -> None:
    manifest = tmp_path / "all.yaml"
    manifest.write_text(manifests())
    with running(tmp_path / "state", [manifest], isolation) as meshgate:
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] != "info"] == []
        answer = meshgate.ask("web.example.test")
        assert answer.seen["x-lua"] == "inbound"
        assert answer.header("x-edge-lua") == "gateway"
        _limited(meshgate)
        _outbound(meshgate)
        _removed(meshgate, manifest)
        _refused(meshgate, manifest)


def _limited(meshgate: Meshgate) -> None:
    answers = [meshgate.ask("few.example.test") for _ in range(5)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].header("x-limited") == "yes"


def _outbound(meshgate: Meshgate) -> None:
    place = "os.environ['http_proxy'].split('//')[1]" if meshgate.isolation == "ports" else "'web', 80"
    seen = json.loads(meshgate.inside("client", ASK % place))["headers"]
    assert (seen["x-from-host"], seen["x-lua"]) == ("patched", "inbound")
    name = "outbound|80||web.default.svc.cluster.local"
    timeouts = {p: c[name] for p, c in _connect_timeouts(meshgate).items() if name in c}
    assert sorted(timeouts.values()) == ["1.250s", "10s"], "the client's and the gateway's"


def _removed(meshgate: Meshgate, manifest: Path) -> None:
    assert meshgate.ask("web.example.test", "/closed").status == 451
    manifest.write_text(manifests() + _HEAD % ("opened", "istio-system", "istio: ingressgateway") + OPENED)
    until(lambda: meshgate.ask("web.example.test", "/closed").status == 200, "the route is taken away")


def _refused(meshgate: Meshgate, manifest: Path) -> None:
    """What only Envoy can find: the listener stays as it was, and status says which patch it is."""
    broken = _HEAD % ("broken", "default", "app: web") + _BEFORE_ROUTER % "SIDECAR_INBOUND"
    manifest.write_text(manifests() + broken + _LUA % "function envoy_on_request(h")
    (found, *_) = until(lambda: meshgate.diagnostics("MG3036"), "Envoy refuses the patch")
    assert found["object"] == "EnvoyFilter default/broken"
    assert "refused LDS" in found["message"]
    assert meshgate.ask("web.example.test").seen["x-lua"] == "inbound"
    manifest.write_text(manifests())
    until(lambda: not meshgate.diagnostics("MG3036"), "the patch is forgotten")


def _connect_timeouts(meshgate: Meshgate) -> dict[str, dict[str, str]]:
    """Proxy -> cluster -> its connect timeout."""
    found = {}
    for path in RuntimePaths.of(meshgate.state).run.glob("*/admin.sock"):
        with contextlib.closing(http.client.HTTPConnection("envoy", timeout=10)) as admin:
            admin.sock = socket.socket(socket.AF_UNIX)
            admin.sock.connect(str(path))
            admin.request("GET", "/config_dump?resource=dynamic_active_clusters")
            dump = json.loads(admin.getresponse().read())
        clusters = [c["cluster"] for c in dump.get("configs", [])]
        found[path.parent.name] = {c["name"]: c["connect_timeout"] for c in clusters}
    return found
