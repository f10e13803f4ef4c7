"""Which Ingress a request meets, in a real Envoy: path types, hosts, classes, precedence, defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, asked

pytestmark = pytest.mark.envoy

SERVICES = ("first", "second", "exact", "prefix", "regex", "wild", "named", "rest", "foreign")


def _service(name: str, namespace: str = "default") -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        "spec: {ports: [{name: http, port: 80}]}\n"
    )


def _backend(name: str) -> dict[str, object]:
    return {"service": {"name": name, "port": {"number": 80}}}


def _ingress(
    name: str,
    rules: Sequence[tuple[str, str, str, str]],
    *,
    default: str = "",
    namespace: str = "default",
    **more: object,
) -> str:
    """`rules`: (host, path type, path, Service)."""
    spec: dict[str, object] = {**more}
    if default:
        spec["defaultBackend"] = _backend(default)
    if rules:
        spec["rules"] = [
            {
                **({"host": host} if host else {}),
                "http": {"paths": [{"path": path, "pathType": kind, "backend": _backend(service)}]},
            }
            for host, kind, path, service in rules
        ]
    metadata = {"name": name, "namespace": namespace}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
    return f"---\n{json.dumps({**kind, 'metadata': metadata, 'spec': spec})}\n"


MANIFESTS = (
    "".join(map(_service, SERVICES))
    + _service("first", "other")
    + """---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: foreign}
spec: {controller: example.com/somebody-else}
"""
    + _ingress(
        "paths",
        [
            ("paths.test", "Prefix", "/", "rest"),
            ("paths.test", "Prefix", "/a", "prefix"),
            ("paths.test", "Exact", "/a", "exact"),
            ("paths.test", "Prefix", "/a/long", "second"),
            ("paths.test", "ImplementationSpecific", "/~/r/[0-9]+$", "regex"),
        ],
    )
    + _ingress("exact-alone", [("exact.test", "Exact", "/only", "exact")])
    # Of two Ingresses for the same path the one whose name comes first counts, in each namespace.
    + _ingress("b-collides", [("twice.test", "Prefix", "/", "second")])
    + _ingress("a-collides", [("twice.test", "Prefix", "/", "first")])
    # A longer path counts whichever Ingress and namespace it is in.
    + _ingress("split", [("split.test", "Prefix", "/", "first")])
    + _ingress("split-more", [("split.test", "Prefix", "/more", "first")], namespace="other")
    + _ingress("wild", [("*.wild.test", "Prefix", "/", "wild")])
    + _ingress("named", [("named.wild.test", "Prefix", "/here", "named")])
    + _ingress("foreign", [("foreign.test", "Prefix", "/", "foreign")], ingressClassName="foreign")
    + _ingress("default", [("with.test", "Exact", "/x", "exact")], default="rest")
)
REACHED: Mapping[tuple[str, str], str] = {
    # (host, path): the Service's name and namespace; empty: 404
    ("paths.test", "/a"): "exact.default",
    ("paths.test", "/a/"): "prefix.default",
    ("paths.test", "/a/b"): "prefix.default",
    ("paths.test", "/a?q=/a/long"): "exact.default",
    ("paths.test", "/ab"): "rest.default",
    ("paths.test", "/A"): "rest.default",
    ("paths.test", "/a/long"): "second.default",
    ("paths.test", "/a/longer"): "prefix.default",
    ("paths.test", "/r/12"): "regex.default",
    ("paths.test", "/r/x"): "rest.default",
    ("PATHS.test", "/a"): "exact.default",
    ("paths.test:8080", "/a"): "exact.default",
    ("exact.test", "/only"): "exact.default",
    ("exact.test", "/only/"): "rest.default",
    ("twice.test", "/"): "first.default",
    ("split.test", "/"): "first.default",
    ("split.test", "/more/x"): "first.other",
    ("a.wild.test", "/"): "wild.default",
    # As in Kong; other controllers stop at one label.
    ("a.b.wild.test", "/"): "wild.default",
    ("wild.test", "/"): "rest.default",
    ("named.wild.test", "/here"): "named.default",
    ("foreign.test", "/"): "rest.default",
    ("with.test", "/x"): "exact.default",
    ("with.test", "/y"): "rest.default",
    ("nobody.test", "/"): "rest.default",
}


def test_which_service_a_request_reaches(tmp_path: Path) -> None:
    questions = list(REACHED)
    asks = [Ask(path, headers=(("host", host),)) for host, path in questions]
    got = {}
    for question, answer in zip(questions, asked(MANIFESTS, asks, tmp_path, service=""), strict=True):
        cluster = answer.header("x-reached") or ""
        host = cluster.rpartition("|")[2]
        got[question] = ".".join(host.split(".")[:2]) if host else str(answer.status)
    assert got == dict(REACHED)


def test_without_a_default_backend_what_fits_nothing_is_404(tmp_path: Path) -> None:
    text = _service("exact") + _ingress("one", [("exact.test", "Exact", "/only", "exact")])
    hosts = (("exact.test", "/other"), ("other.test", "/only"))
    answers = asked(text, [Ask(path, headers=(("host", h),)) for h, path in hosts], tmp_path, service="")
    assert [a.status for a in answers] == [404, 404]
    assert {a.message for a in answers} == {"no Route matched with those values"}
