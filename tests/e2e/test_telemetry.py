"""Access logs, metrics and traces of real requests, through the gateway and from service to service."""

from __future__ import annotations

import http.client
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, ingress, mesh_namespace, service
from tests.e2e.waiting import until
from tests.redis_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

COLLECTOR = Path(__file__).with_name("collector.py")
TELEMETRY = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: zipkin
      zipkin: {service: collector.default.svc.cluster.local, port: 80}
    - name: otlp
      opentelemetry:
        service: collector.default.svc.cluster.local
        port: 80
        http: {path: /v1/traces, headers: [{name: x-tenant, value: shop}]}
    - name: json
      envoyFileAccessLog: {logFormat: {labels: {code: "%RESPONSE_CODE%", flags: "%RESPONSE_FLAGS%"}}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing:
  - providers: [{name: zipkin}]
    randomSamplingPercentage: 100
    customTags:
      where: {literal: {value: here}}
      who: {header: {name: x-who, defaultValue: nobody}}
  accessLogging: [{providers: [{name: envoy}], filter: {expression: "response.code >= 400"}}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: gateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  tracing: [{providers: [{name: otlp}], randomSamplingPercentage: 100}]
  accessLogging: [{providers: [{name: json}]}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  accessLogging: [{providers: [{name: envoy}], match: {mode: SERVER}}]
  metrics:
  - overrides:
    - {match: {metric: REQUEST_SIZE}, disabled: true}
    - match: {metric: REQUEST_COUNT, mode: SERVER}
      tagOverrides:
        source_app: {operation: REMOVE}
        request_method: {value: request.method}
---
"""
COUNTED = """
apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata:
  name: counted
  annotations: {kubernetes.io/ingress.class: kong}
  labels: {global: "true"}
plugin: prometheus
config: {status_code_metrics: true, upstream_health_metrics: true}
---
"""
STORE = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec:
  selector: {app: store}
  ports: [{name: tcp, port: 9000, targetPort: http}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: store}
---
"""
SECRETS = ("secret-key", "secret-token", "secret-jwt")
CALL = """
import http.client, os
address = (os.environ.get("STORE_SERVICE_HOST", "store"), int(os.environ.get("STORE_SERVICE_PORT", 9000)))
if %(tcp)r:
    connection = http.client.HTTPConnection(*address, timeout=10)
else:
    proxy = os.environ.get("http_proxy", "").removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(proxy or "web", timeout=10)
for path in %(paths)r:
    headers = {"Host": "web", "x-who": "anna"}
    connection.request("GET", path if %(tcp)r else "http://web" + path, headers=headers)
    connection.getresponse().read()
connection.close()
"""


def test_what_traffic_tells(isolation: str, tmp_path: Path) -> None:
    collector = f"{sys.executable} {COLLECTOR} 8080"
    text = (
        mesh_namespace()
        + TELEMETRY
        + COUNTED
        + service("web")
        + STORE
        + deployment("store")
        + deployment("web")
    )
    text += service("client") + deployment("client") + service("collector")
    text += deployment("collector", command=collector, labels="sidecar.istio.io/inject: 'false'").replace(
        "annotations: {", "annotations: {prometheus.io/scrape: 'true', prometheus.io/port: '8080', "
    )
    text += ingress("web", host="web.example", backend="web")
    (tmp_path / "all.yaml").write_text(text)
    port = free_port()
    with running(tmp_path / "state", [tmp_path / "all.yaml"], isolation, "--metrics-port", str(port)) as mesh:
        assert [d for d in mesh.status()["diagnostics"] if d["severity"] == "error"] == []
        secrets = (("apikey", SECRETS[0]), ("authorization", f"Bearer {SECRETS[1]}"))
        assert mesh.ask("web.example", f"/edge?jwt={SECRETS[2]}", secrets).status == 200
        mesh.inside("client", CALL % {"tcp": False, "paths": ["/one?key=secret-key", "/status/404"]})
        mesh.inside("client", CALL % {"tcp": True, "paths": ["/over-tcp"]})
        _logs(mesh)
        _traces(mesh)
        _metrics(mesh, port)
        written = "".join(p.read_text() for p in (tmp_path / "state" / "logs").rglob("*.log"))
        assert [secret for secret in SECRETS if secret in written] == []


def _logs(mesh: Meshgate) -> None:
    def lines(target: str) -> list[str]:
        return mesh.cli("logs", target, "-c", "istio-proxy").splitlines()

    def web() -> list[str] | None:
        found = [line for line in lines("web") if '"GET ' in line]
        return found if len(found) >= 3 else None

    seen = until(web, "three lines of web's sidecar")
    assert {re.findall(r'"GET (\S+) ', line)[0] for line in seen} >= {"/edge", "/one", "/status/404"}
    assert all("inbound|8080||" in line and " via_upstream - " in line for line in seen[:3])
    mine = until(lambda: [x for x in lines("client") if '"GET ' in x], "a line of the client's sidecar")
    assert len(mine) == 1, "only failures are logged there"
    assert '"GET /status/404 HTTP/1.1" 404 - via_upstream' in mine[0]
    edge = until(lambda: [x for x in lines("gateway") if x.startswith("{")], "a line of the gateway")
    assert json.loads(edge[0]) == {"code": 200, "flags": None} or json.loads(edge[0])["code"] == 200


def _traces(mesh: Meshgate) -> None:
    def spans() -> list[dict[str, Any]] | None:
        said = mesh.cli("logs", "collector").splitlines()
        found = [json.loads(line) for line in said if line.startswith("{")]
        kinds = {(one["kind"], one["service"]) for one in found}
        wanted = {("otlp", "meshgate-gateway.meshgate-system"), ("zipkin", "web.default")}
        return found if wanted | {("zipkin", "client.default")} <= kinds else None

    found = until(spans, "spans of the gateway, the client and web")
    edge = [one for one in found if one["kind"] == "otlp"]
    assert {one["tenant"] for one in edge} == {"shop"}
    urls = {one["tags"]["http.url"] for one in edge}
    assert urls == {"http://web.example/edge"}, "a query may hold a token"
    passed_on = [one for one in found if one["trace"] == edge[0]["trace"] and one["kind"] == "zipkin"]
    assert [one["service"] for one in passed_on] == ["web.default"], "one trace from the edge to the service"
    mine = [one for one in found if one["service"] == "client.default"]
    assert {(one["tags"]["where"], one["tags"]["who"]) for one in mine} == {("here", "anna")}
    assert len({one["trace"] for one in mine}) == 2


def _metrics(mesh: Meshgate, port: int) -> None:
    def scraped() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()

    def series(name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        found = []
        for line in text.splitlines():
            if line.startswith(f"{name}{{"):
                given = dict(re.findall(r'(\w+)="([^"]*)"', line))
                if labels.items() <= given.items():
                    found.append((given, float(line.rpartition(" ")[2])))
        return found

    text = until(
        lambda: t if "istio_request_duration_milliseconds_count" in (t := scraped()) else None,
        "histograms, which Envoy merges every five seconds",
    )
    ((asked, count),) = series(
        "istio_requests_total", reporter="source", source_workload="client", response_code="404"
    )
    assert count == 1
    assert (
        asked.items()
        >= {
            "destination_workload": "web",
            "destination_version": "v1",
            "destination_service": "web.default.svc.cluster.local",
            "destination_principal": "spiffe://cluster.local/ns/default/sa/web",
            "request_protocol": "http",
        }.items()
    )
    served = series("istio_requests_total", reporter="destination", destination_app="web")
    assert sum(value for _, value in served) == 3
    assert {given["source_workload"] for given, _ in served} == {"client", "meshgate-gateway"}
    assert {given["connection_security_policy"] for given, _ in served} == {"mutual_tls"}
    assert {given["request_method"] for given, _ in served} == {"GET"}
    assert not any("source_app" in given for given, _ in served), "removed by an override"
    assert not series("istio_request_bytes_count", reporter="destination"), "switched off by an override"
    assert series("istio_request_duration_milliseconds_count", reporter="destination")
    opened = series("istio_tcp_connections_opened_total", reporter="source", source_workload="client")
    assert [(given["destination_service_name"], value) for given, value in opened] == [("store", 1.0)]
    assert series("istio_tcp_sent_bytes_total", reporter="source", source_workload="client")[0][1] > 100
    # A plugin on the gateway's route: what Kong tells of a node and its targets.
    assert series("kong_http_requests_total", code="200")[0][1] == 1
    assert series("kong_nginx_requests_total", subsystem="http")[0][1] >= 1
    assert "kong_control_plane_connected 1" in text
    ((target, _),) = [s for s in series("kong_upstream_target_health", upstream="web.default.80.svc") if s[1]]
    assert target["state"] == "healthchecks_off"
    assert "collector_spans{" in text, "what the application itself counts"
    assert series("meshgate_ready_pods", workload="web")[0][1] == 1
    assert "meshgate_scrape_failures 0" in text
    assert mesh.cli("metrics").count("istio_requests_total{") == text.count("istio_requests_total{")
