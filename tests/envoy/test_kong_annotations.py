"""Kong's annotations on Ingress and Service, on a real Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import JSON, SERVICE, Ask, asked, route

OPTIONS = (
    SERVICE
    + """
---
apiVersion: v1
kind: Service
metadata:
  name: inner
  annotations:
    konghq.com/path: /base/
    konghq.com/host-header: inner.example:8080
    konghq.com/retries: "0"
    konghq.com/connect-timeout: "2000"
    konghq.com/read-timeout: "30000"
spec: {ports: [{name: http, port: 80}]}
"""
)


def _ingress(name: str, path: str, annotations: str, service: str = "shop", host: str = "") -> str:
    rule = f"host: {host}, " if host else ""
    return (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n"
        f"  annotations: {{{annotations}}}\n"
        f"spec: {{rules: [{{{rule}http: {{paths: [{{path: '{path}', pathType: ImplementationSpecific, "
        f"backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )


STRIP = "konghq.com/strip-path: 'true'"
MANIFESTS = (
    route("secure", annotations={"konghq.com/protocols": "https"})
    + route(
        "moved", annotations={"konghq.com/protocols": "https", "konghq.com/https-redirect-status-code": "308"}
    )
    + route("forced", annotations={"ingress.kubernetes.io/force-ssl-redirect": "true"})
    + route("aliased", annotations={"konghq.com/host-aliases": "other.example, *.wild.example"})
    + _ingress("whole", "/whole", "konghq.com/rewrite: /new/place")
    + _ingress("groups", "/~/user/(\\d+)/(\\w+)", "konghq.com/rewrite: '/u/$2/$1'")
    + _ingress("plain", "/inner", "konghq.com/strip-path: 'false'", "inner")
    + _ingress(
        "strip", "/stripped", "konghq.com/strip-path: 'true', konghq.com/preserve-host: 'false'", "inner"
    )
    + _ingress("low", "/~/r/.*", "konghq.com/rewrite: /low, konghq.com/regex-priority: '1'")
    + _ingress("high", "/~/r/x.*", "konghq.com/rewrite: /high, konghq.com/regex-priority: '5'")
    + _ingress("only", "/", "konghq.com/host-aliases: 'alias.example'", host="main.example")
)


@pytest.mark.envoy
def test_https_only(tmp_path: Path) -> None:
    spoofed = (("X-Forwarded-Proto", "https"), ("Forwarded", "proto=https"))
    requests = [Ask("/secure", headers=spoofed), Ask("/moved/a?b=c"), Ask("/forced")]
    requests.append(Ask("/forced", headers=(("Host", "shop.example:8080"),)))
    secure, moved, forced, with_port = asked(MANIFESTS, requests, tmp_path, service=OPTIONS)
    assert (secure.status, secure.body) == (426, '{"message":"Please use HTTPS protocol"}')
    assert secure.header("content-type") == JSON
    assert secure.header("location") is None
    assert (moved.status, moved.header("location")) == (308, "https://shop.example:8443/moved/a?b=c")
    assert (forced.status, forced.header("location")) == (302, "https://shop.example:8443/forced")
    assert with_port.header("location") == forced.header("location")


@pytest.mark.envoy
def test_paths_and_hosts(tmp_path: Path) -> None:
    requests = [
        Ask("/whole/any?q=1"),
        Ask("/user/42/cart?q=1"),
        Ask("/inner/a?q=1"),
        Ask("/stripped/a"),
        Ask("/stripped"),
        Ask("/r/xy"),
        Ask("/r/y"),
        Ask("/x", headers=(("Host", "alias.example"),)),
        Ask("/x", headers=(("Host", "main.example"),)),
        Ask("/x"),
    ]
    answers = asked(MANIFESTS, requests, tmp_path, service=OPTIONS)
    paths = [a.seen.path for a in answers[:9]]
    assert paths[:2] == ["/new/place?q=1", "/u/cart/42?q=1"]
    assert paths[2:5] == ["/base/inner/a?q=1", "/base/a", "/base/"]
    assert paths[5:7] == ["/high", "/low"]
    assert answers[2].seen.headers["host"] == ["shop.example"]
    assert answers[3].seen.headers["host"] == ["inner.example:8080"]
    assert answers[9].status == 404
