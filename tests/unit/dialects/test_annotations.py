"""Kong's annotations: what holds, what has no effect, and what closes an Ingress."""

from __future__ import annotations

import pytest

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.dialects.annotation_list import (
    ANNOTATIONS,
    KONG,
    POD_TEMPLATE,
    ROUTES,
    STREAM_INGRESSES,
    STREAM_ROUTES,
    Annotation,
    State,
)
from meshgate.dialects.edge_annotations import ingress_annotations
from meshgate.dialects.registry import KIND_PARSERS, lower_one
from meshgate.dialects.service_annotations import service_annotations
from meshgate.model.route import MatchKind, StringMatch
from meshgate.model.service import AppProtocol, EdgeOptions
from tests.unit.dialects.reading import documents

_AT = "f.yaml:3:"


def _ingress(name: str, value: str, more: str = "") -> tuple[list[str], str]:
    (document,) = documents(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
        f"metadata: {{name: a, annotations: {{{name}: '{value}'{more}}}}}\n"
    )
    found = ingress_annotations({name: value}, document)
    has_error = any(d.severity is Severity.ERROR for d in found.diagnostics)
    assert has_error == bool(found.closed), "what is wrong closes, and nothing else does"
    return [
        f"{d.severity.value} {d.code} {d.message}; {d.remedy}".rstrip("; ") for d in found.diagnostics
    ], found.closed


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("plugins", "a b", "error MG2005 must be a comma list of KongPlugin names, got 'a b'"),
        ("plugin", "jwt", "error MG2005 unknown annotation konghq.com/plugin; did you mean "
            "konghq.com/plugins?"),
        ("strip-path", "yes", "error MG2005 must be \"true\" or \"false\", got 'yes'; until then it "
            "answers 503"),
        ("methods", "GET,P0ST", "error MG2005 must be a comma list of HTTP methods, got 'P0ST'; "
            "until then it answers 503"),
        ("protocols", "htp", "error MG2005 must be of http, https, grpc, grpcs; got 'htp'; until "
            "then it answers 503"),
        ("snis", "*.example", "error MG2005 must be a comma list of host names, got '*.example'; "
            "until then it answers 503"),
        ("path-handling", "v2", "error MG2005 must be v0 or v1, got 'v2'; until then it answers 503"),
        ("override", "a", "error MG1104 its KongIngress does not exist or is broken, and it may restrict who "
         "gets in; until then it answers 503"),
        ("https-redirect-status-code", "301",
         "warning MG2005 konghq.com/https-redirect-status-code has no effect without konghq.com/protocols: "
         "https"),
        ("https-redirect-status-code", "303",
         "warning MG2005 konghq.com/https-redirect-status-code must be one of 301, 302, 307, 308, 426, got "
         "'303'; it is ignored"),
        ("rewrite", "x", "error MG2005 must be a path that starts with /, got 'x'; until then it "
         "answers 503"),
        ("rewrite", "/$10", "error MG2005 has groups from $1 to $9 only, got '/$10'; until then it answers "
         "503"),
        ("host-aliases", "a.example,10.0.0.1", "error MG2005 must be a comma list of host names, got "
         "'10.0.0.1'; until then it answers 503"),
        ("regex-priority", "high", "error MG2005 must be a whole number, got 'high'; until then it answers "
         "503"),
        ("request-buffering", "on", "error MG2005 must be \"true\" or \"false\", got 'on'; until then it "
         "answers 503"),
        ("retries", "3", "warning MG2005 konghq.com/retries means nothing on a Ingress; it has no effect"),
        ("tags", "x", "info MG2005 konghq.com/tags is not supported; it has no effect"),
        ("headers.x-a", "~*(?!b)", "error MG2005 has (?!b, which RE2 does not know (no lookaround), got "
         "'(?!b)'; until then it answers 503"),
        ("headers.host", "b", "error MG2005 must name a header other than Host; until then it answers 503"),
        ("headers.x", " , ", "error MG2005 must list at least one value; until then it answers 503"),
    ],
)  # fmt: skip
def test_kong_annotations_that_do_not_hold(name: str, value: str, expected: str) -> None:
    assert _ingress(f"konghq.com/{name}", value)[0] == [expected]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("nginx.ingress.kubernetes.io/auth-url", "http://a",
         "error MG1104 is for another controller, and what it guards would be open; "
         "until then it answers 503"),
        ("nginx.ingress.kubernetes.io/use-regex", "true",
         "warning MG2005 nginx.ingress.kubernetes.io/use-regex is for another controller; it has no effect"),
        ("ingress.kubernetes.io/force-ssl-redirect", "yes",
            "error MG2005 must be \"true\" or \"false\", got 'yes'; until then it answers 503"),
        ("meshgate.dev/comand", "x", "error MG2005 unknown annotation meshgate.dev/comand; did you mean "
            "meshgate.dev/command?"),
    ],
)  # fmt: skip
def test_other_annotations(name: str, value: str, expected: str) -> None:
    assert _ingress(name, value)[0] == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [("konghq.com/path-handling", "v0"), ("konghq.com/protocols", "http,https"), ("example.com/mine", "x"),
     ("ingress.kubernetes.io/force-ssl-redirect", "false")],
)  # fmt: skip
def test_annotations_that_say_nothing_new(name: str, value: str) -> None:
    assert _ingress(name, value) == ([], "")


def test_what_holds() -> None:
    annotations = {
        "konghq.com/plugins": " jwt-auth, rate-limit,,jwt-auth",
        "konghq.com/strip-path": "True",
        "konghq.com/preserve-host": "false",
        "konghq.com/methods": "get, POST",
        "konghq.com/headers.X-Canary": "true|YES",
        "konghq.com/headers-separator": "|",
        "konghq.com/regex-prefix": "/@",
        "kubernetes.io/ingress.class": "kong",
    }
    (document,) = documents("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}}")
    found = ingress_annotations(annotations, document)
    assert found.diagnostics == []
    assert found.plugin_names == ("jwt-auth", "rate-limit")
    assert (found.strip_path, found.preserve_host) == (True, False)
    assert found.methods == ("GET", "POST")
    assert found.headers == (
        (
            "x-canary",
            (
                StringMatch(kind=MatchKind.EXACT, value="true", ignore_case=True),
                StringMatch(kind=MatchKind.EXACT, value="YES", ignore_case=True),
            ),
        ),
    )
    assert (found.regex_prefix, found.class_name, found.closed) == ("/@", "kong", "")


def test_kongs_defaults() -> None:
    (document,) = documents("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}}")
    found = ingress_annotations({}, document)
    assert (found.strip_path, found.preserve_host, found.methods) == (False, True, ())


def test_service_annotations() -> None:
    (document,) = documents(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    konghq.com/plugins: a,b\n"
    )
    annotations = {
        "konghq.com/plugins": "a,b",
        "konghq.com/retries": "3",
        "konghq.com/connect-timeout": "2000",
        "konghq.com/read-timeout": "3000",
        "konghq.com/write-timeout": "4000",
        "konghq.com/host-header": "inner.example",
        "konghq.com/path": "/base/",
        "konghq.com/protocol": "grpc",
        "konghq.com/methods": "GET",
        "konghq.com/plugin": "a",
    }
    found = service_annotations(annotations, document)
    assert found.plugin_names == ("a", "b")
    assert found.edge == EdgeOptions(
        connect_timeout_ms=2000,
        idle_timeout_ms=4000,
        retries=3,
        host_header="inner.example",
        path="/base",
        path_slash=True,
    )
    assert found.protocol is AppProtocol.GRPC
    assert str(found.plugins_origin) == "f.yaml:6:25"
    assert [(d.severity.value, d.code, d.message) for d in found.diagnostics] == [
        ("warning", "MG2005", "konghq.com/methods means nothing on a Service; it has no effect"),
        ("error", "MG2005", "unknown annotation konghq.com/plugin"),
    ]


def test_tls_to_the_upstream() -> None:
    (document,) = documents("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    annotations = {
        "konghq.com/tls-verify": "true",
        "konghq.com/tls-verify-depth": "3",
        "konghq.com/ca-certificates-secrets": "one,two",
        "konghq.com/ca-certificates-configmaps": "three",
        "konghq.com/client-cert": "own",
        "konghq.com/protocol": "grpcs",
    }
    found = service_annotations(annotations, document)
    assert (found.protocol, found.diagnostics) == (AppProtocol.GRPC, ())
    tls = found.edge.tls
    assert tls is not None
    assert tls.verify
    assert (tls.depth, tls.client_secret) == (3, "own")
    assert (tls.authority_secrets, tls.authority_config_maps) == (("one", "two"), ("three",))


@pytest.mark.parametrize(
    ("short", "value", "message"),
    [
        ("retries", "-1", "must be a whole number from 0 to 100, got '-1'"),
        ("connect-timeout", "0", "must be a whole number from 1 to 2147483646, got '0'"),
        ("host-header", "a b", "must be a host name, got 'a b'"),
        ("path", "base", "must be a path that starts with /, got 'base'"),
        (
            "tls-verify",
            "true",
            "konghq.com/tls-verify is for TLS to the upstream, and konghq.com/protocol does not say "
            "https, grpcs or tls",
        ),
        ("protocol", "spdy", "must be one of http, https, grpc, grpcs, tcp, tls; got 'spdy'"),
        ("upstream-policy", "a b", "must be the name of a KongUpstreamPolicy, got 'a b'"),
    ],
)
def test_service_annotations_with_wrong_values(short: str, value: str, message: str) -> None:
    (document,) = documents("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    found = service_annotations({f"konghq.com/{short}": value}, document)
    assert [(d.severity, d.message) for d in found.diagnostics] == [(Severity.ERROR, message)]


def test_https_only() -> None:
    (document,) = documents("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n")
    force, only = "ingress.kubernetes.io/force-ssl-redirect", "konghq.com/protocols"
    code = "konghq.com/https-redirect-status-code"

    def status(annotations: dict[str, str]) -> int:
        found = ingress_annotations(annotations, document)
        assert not found.diagnostics
        return found.https_only.status if found.https_only else 0

    assert status({only: "http,https"}) == 0
    assert status({only: "https"}) == 426
    assert status({only: "https,grpcs", code: "301"}) == 301
    assert status({force: "true"}) == 302
    assert status({force: "true", only: "https"}) == status({only: "https", force: "true"}) == 302
    assert status({force: "false"}) == 0


_ROUTE = "spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: a, port: 80}]}]}\n"
_STREAM = "spec: {rules: [{port: 9000, backend: {serviceName: a, servicePort: 80}}]}\n"
_BODIES = {
    "Service": "spec: {ports: [{port: 80}]}\n",
    "Ingress": "spec: {defaultBackend: {service: {name: a, port: {number: 80}}}}\n",
    **dict.fromkeys((*ROUTES[1:], *STREAM_ROUTES), _ROUTE),
    **dict.fromkeys(STREAM_INGRESSES, _STREAM),
    "KongConsumer": "username: a\n",
}


def _of_kind(kind: str, annotation: str, value: str) -> list[Diagnostic]:
    """What is said about an object of this kind that has nothing but the annotation."""
    group = next(group for group, name in KIND_PARSERS if name == kind)
    version = max(KIND_PARSERS[group, kind].versions)
    api_version = f"{group}/{version}" if group else version
    metadata = f"metadata: {{name: a, annotations: {{{annotation}: '{value}'}}}}"
    (document,) = documents(f"apiVersion: {api_version}\nkind: {kind}\n{metadata}\n{_BODIES.get(kind, '')}")
    found = lower_one(document).diagnostics
    return [d for d in found if d.field[:2] == ("metadata", "annotations") and d.field[2:] == (annotation,)]


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [(a, kind) for a in ANNOTATIONS for kind in a.kinds if kind != POD_TEMPLATE and a.name.startswith(KONG)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_annotation_does_what_the_list_says(annotation: Annotation, kind: str) -> None:
    name = annotation.name.replace("NAME", "x-a")
    said = {d.severity for d in _of_kind(kind, name, annotation.example)}
    if name == "konghq.com/override":  # its KongIngress is not there
        assert said == {Severity.ERROR}
    elif name == "konghq.com/https-redirect-status-code":  # HTTPS is not asked for
        assert said == {Severity.WARNING}
    elif (name, kind) == ("konghq.com/protocols", "TCPIngress") or annotation.state is State.WORKS:
        assert not said
    else:
        assert said == {Severity.INFO if annotation.state is State.NOTED else Severity.ERROR}


@pytest.mark.parametrize(
    ("kind", "name", "severity", "remedy"),
    [
        ("Ingress", "konghq.com/strip-paht", Severity.ERROR, "did you mean konghq.com/strip-path?"),
        ("Service", "konghq.com/tls-verfy", Severity.ERROR, "did you mean konghq.com/tls-verify?"),
        ("KongPlugin", "konghq.com/tag", Severity.WARNING, "did you mean konghq.com/tags?"),
        ("KongPlugin", "meshgate.dev/grpc-jsn", Severity.WARNING, "did you mean meshgate.dev/grpc-json?"),
        ("Namespace", "konghq.com/plugin", Severity.WARNING, "did you mean konghq.com/plugins?"),
        ("Namespace", "konghq.com/plugins", Severity.WARNING, ""),
        ("Secret", "konghq.com/strip-path", Severity.WARNING, ""),
    ],
)
def test_an_annotation_that_does_not_exist_or_is_elsewhere(
    kind: str, name: str, severity: Severity, remedy: str
) -> None:
    (said,) = _of_kind(kind, name, "x")
    assert (said.severity, said.code, said.remedy) == (severity, "MG2005", remedy)
    assert str(said.origin) == "f.yaml:3:35"
