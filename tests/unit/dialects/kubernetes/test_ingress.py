"""networking.k8s.io/v1 Ingress: hosts, paths and backends as Kong's controller reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshgate.model.declared import BackendRef
from meshgate.model.route import PathKind
from tests.unit.dialects.reading import declared, read, said

_BACKEND = "backend: {service: {name: s, port: {number: 80}}}"


def _ingress(spec: str, annotations: str = "") -> str:
    metadata = "{name: a" + (f", annotations: {{{annotations}}}" if annotations else "") + "}"
    return f"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {metadata}\nspec:\n{spec}\n"


def _path(path: str, more: str = "pathType: Prefix") -> str:
    return f"  rules:\n  - http:\n      paths:\n      - {{path: '{path}', {more}, {_BACKEND}}}\n"


@pytest.mark.parametrize(
    ("path", "path_type", "kind", "value"),
    [
        ("/api/v1", "Prefix", PathKind.SEGMENTS, "/api/v1"),
        ("/api/", "Exact", PathKind.EXACT, "/api/"),
        ("/api", "ImplementationSpecific", PathKind.PREFIX, "/api"),
        ("", "ImplementationSpecific", PathKind.PREFIX, "/"),
        ("/~/v[0-9]+$", "ImplementationSpecific", PathKind.REGEX, "(?:/v[0-9]+$).*"),
        ("/~/a", "Prefix", PathKind.SEGMENTS, "/~/a"),
    ],
)
def test_paths(path: str, path_type: str, kind: PathKind, value: str) -> None:
    (rules,) = declared(_ingress(_path(path, f"pathType: {path_type}"))).edge_rules
    (edge,) = rules.paths
    assert (edge.host, edge.index, edge.path.kind, edge.path.value) == ("*", (0, 0), kind, value)


def test_everything_together() -> None:
    (rules,) = declared(
        _ingress(
            "  ingressClassName: kong\n"
            "  defaultBackend: {service: {name: fallback, port: {name: http}}}\n"
            "  tls: [{hosts: [a.example.com], secretName: cert}]\n"
            "  rules:\n"
            "  - host: '*.example.com'\n"
            "    http:\n"
            "      paths:\n"
            f"      - {{path: /, pathType: Prefix, {_BACKEND}}}\n"
            f"      - {{path: /b, pathType: Exact, {_BACKEND}}}\n",
            "konghq.com/plugins: 'p,q', konghq.com/methods: GET",
        )
    ).edge_rules
    assert (rules.class_name, rules.plugin_names, rules.methods) == ("kong", ("p", "q"), ("GET",))
    assert (rules.strip_path, rules.preserve_host, rules.closed) == (False, True, "")
    assert [(p.host, p.index, str(p.origin)) for p in rules.paths] == [
        ("*.example.com", (0, 0), "f.yaml:12:9"),
        ("*.example.com", (0, 1), "f.yaml:13:9"),
    ]
    assert isinstance(rules.default_backend, BackendRef)
    assert (rules.default_backend.service, rules.default_backend.port) == ("fallback", "http")
    assert [(t.hosts, t.secret_name) for t in rules.tls] == [(("a.example.com",), "cert")]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  rules: []", "5:3: error MG2003 Ingress default/a spec: needs rules or a defaultBackend"),
        (
            f"  rules: [{{http: {{paths: [{{path: /a, {_BACKEND}}}]}}}}]",
            "5:27: warning MG2201 Ingress default/a spec.rules[0].http.paths[0]: pathType is missing; "
            "ImplementationSpecific (a plain prefix) is assumed; Kubernetes requires it: write "
            "pathType: Prefix",
        ),
        (
            _path("a"),
            "8:16: error MG2002 Ingress default/a spec.rules[0].http.paths[0].path: must start with "
            "'/', got 'a'",
        ),
        (
            _path("/a/../b"),
            "8:16: error MG2002 Ingress default/a spec.rules[0].http.paths[0].path: must not hold '/../', "
            "got '/a/../b'",
        ),
        (
            _path("/a?b"),
            "8:16: error MG2002 Ingress default/a spec.rules[0].http.paths[0].path: must be a URL "
            "path without "
            "query, got '/a?b'",
        ),
        (
            _path("/a/*"),
            "8:16: warning MG2002 Ingress default/a spec.rules[0].http.paths[0].path: the * is "
            "no wildcard but a "
            "character, got '/a/*'",
        ),
        (
            _path("/a", "pathType: prefix"),
            "8:32: error MG2002 Ingress default/a spec.rules[0].http.paths[0].pathType: must be one "
            "of Exact, "
            "Prefix or ImplementationSpecific, got 'prefix'; did you mean Prefix?",
        ),
        (
            "  rules: [{host: 10.0.0.1, http: {paths: []}}]",
            "5:18: error MG2004 Ingress default/a spec.rules[0].host: must be a lower-case DNS name "
            "or *. and one, "
            "not an address, got '10.0.0.1'",
        ),
        (
            "  rules: [{host: a.example.com}]",
            "5:11: warning MG2003 Ingress default/a spec.rules[0]: has no http.paths; it has no effect",
        ),
        (
            "  defaultBackend: {service: {name: s, port: {number: 80, name: http}}}",
            "5:45: error MG2006 Ingress default/a spec.defaultBackend.service.port: needs either "
            "number or name",
        ),
        (
            "  defaultBackend: {resource: {kind: Bucket}}",
            "5:20: error MG1104 Ingress default/a spec.defaultBackend.resource: is not supported; "
            "only a service "
            "can be a backend",
        ),
        (
            "  defaultBackend: {serviceName: s, servicePort: 80}",
            "5:20: error MG1102 Ingress default/a spec.defaultBackend.serviceName: unknown field; "
            "did you mean service?",
        ),
    ],
)
def test_mistakes(spec: str, expected: str) -> None:
    assert said(_ingress(spec))[0] == f"f.yaml:{expected}"


def test_expressions_that_envoy_would_refuse_are_errors() -> None:
    lowered = read(_ingress(_path("/~/(?=a)", "pathType: ImplementationSpecific")))
    assert [(d.code, d.field[-1]) for d in lowered.diagnostics] == [("MG2002", "path")]
    assert lowered.declared.edge_rules == ()


def test_a_wrong_annotation_closes_the_rules_and_keeps_them() -> None:
    lowered = read(_ingress(_path("/admin"), "konghq.com/plugin: jwt-auth"))
    (rules,) = lowered.declared.edge_rules
    assert rules.closed == (
        "Ingress default/a: annotation konghq.com/plugin unknown annotation konghq.com/plugin"
    )
    assert [p.path.value for p in rules.paths] == ["/admin"]
    assert lowered.declared.broken == ()


def test_the_class_annotation_counts_where_the_field_is_missing() -> None:
    (rules,) = declared(_ingress(_path("/"), "kubernetes.io/ingress.class: kong")).edge_rules
    assert rules.class_name == "kong"
    text = _ingress("  ingressClassName: nginx\n" + _path("/"), "kubernetes.io/ingress.class: kong")
    assert said(text) == [
        "f.yaml:3:64: warning MG2006 Ingress default/a metadata.annotations['kubernetes.io/ingress.class']: "
        "is 'kong', but spec.ingressClassName 'nginx' counts"
    ]


def test_the_ingress_of_seed_example_04_is_read_as_published() -> None:
    seed = Path("examples/shop/manifests/seed/04-hybrid.yaml").read_text(encoding="utf-8").split("---")[0]
    (rules,) = read(seed).declared.edge_rules
    assert rules.strip_path
    assert [(p.host, p.path.kind, p.path.value) for p in rules.paths] == [
        ("*", PathKind.PREFIX, "/api/users")
    ]
