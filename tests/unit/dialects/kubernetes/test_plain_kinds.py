"""Namespace, ServiceAccount, ConfigMap, Secret and IngressClass."""

from __future__ import annotations

import pytest

from tests.unit.dialects.reading import declared, read, said


def _object(kind: str, more: str = "", *, api_version: str = "v1", metadata: str = "") -> str:
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a{metadata}}}\n{more}\n"


def test_namespace() -> None:
    (namespace,) = declared(_object("Namespace", metadata=", labels: {istio-injection: enabled}")).namespaces
    assert (namespace.name, namespace.labels) == ("a", {"istio-injection": "enabled"})
    assert said(_object("Namespace", metadata=", labels: {istio-injection: 'on'}")) == [
        "f.yaml:3:47: warning MG2002 Namespace a metadata.labels.istio-injection: must be enabled "
        "or disabled, "
        "got 'on'; until then it counts as not set"
    ]
    assert said("{apiVersion: v1, kind: Namespace, metadata: {name: a.b}}") == [
        "f.yaml:1:52: error MG2004 Namespace a.b metadata.name: must be a DNS label without dots (RFC 1123)"
    ]


def test_service_account() -> None:
    (account,) = declared(_object("ServiceAccount", metadata=", namespace: n")).service_accounts
    assert str(account.name) == "n/a"
    assert said(_object("ServiceAccount", "automountServiceAccountToken: false\nsecrets: []")) == [
        "f.yaml:4:1: info MG1103 ServiceAccount default/a automountServiceAccountToken: not used here: "
        "automountServiceAccountToken, secrets"
    ]


def test_config_map() -> None:
    (config,) = declared(_object("ConfigMap", "data: {a.b: c, d: ''}\nbinaryData: {e: aGk=}")).config_maps
    assert (config.data, config.binary) == ({"a.b": "c", "d": ""}, {"e": b"hi"})
    assert said(_object("ConfigMap", "data: {'a b': c, d: 1}\nbinaryData: {e: a}")) == [
        "f.yaml:4:15: error MG2004 ConfigMap default/a data['a b']: must be at most 253 letters, "
        "digits, '-', '_' "
        "and '.', got 'a b'",
        "f.yaml:4:21: error MG2001 ConfigMap default/a data.d: must be a string, got 1; put it in quotes",
        "f.yaml:5:17: error MG2001 ConfigMap default/a binaryData.e: must be base64, got 'a'",
    ]


def test_secret() -> None:
    (secret,) = declared(
        _object(
            "Secret",
            "type: kubernetes.io/tls\ndata: {a: aGVs\\\n  bG8=, b: eA==}\nstringData: {b: plain}".replace(
                "\\\n  ", ""
            ),
            metadata=", labels: {konghq.com/credential: jwt}",
        )
    ).secrets
    assert {k: v.reveal_text() for k, v in secret.data.items()} == {"a": "hello", "b": "plain"}
    assert (secret.type, secret.labels) == ("kubernetes.io/tls", {"konghq.com/credential": "jwt"})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            "data: {a: hunter2hunter2hunter2}",
            "4:11: error MG2002 Secret default/a data.a: must be base64 (the value is not shown); "
            "plain text goes under stringData",
        ),
        (
            "stringData: {a: 31337}",
            "4:17: error MG2001 Secret default/a stringData.a: must be a string (the value is not shown); "
            "put it in quotes",
        ),
        ("stringData: hunter2", "4:13: error MG2001 Secret default/a stringData: must be an object"),
        ("password: hunter2", "4:1: error MG1102 Secret default/a password: unknown field"),
        ("type: 31337", "4:7: error MG2001 Secret default/a type: must be a string; put it in quotes"),
    ],
)
def test_mistakes_in_a_secret_never_show_it(more: str, expected: str) -> None:
    lowered = read(_object("Secret", more))
    assert said(_object("Secret", more)) == [f"f.yaml:{expected}"]
    everything = repr(lowered)
    assert "hunter2" not in everything
    assert "31337" not in everything


def test_numbers_too_large_are_not_shown() -> None:
    lowered = read(_object("Secret", "stringData: {a: 31337313373133731337313373133731337}"))
    assert lowered.diagnostics
    assert "31337" not in repr(lowered)


def test_ingress_class() -> None:
    default = ", annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}"
    text = _object(
        "IngressClass", "spec: {controller: x/y}", api_version="networking.k8s.io/v1", metadata=default
    )
    (ingress_class,) = declared(text).ingress_classes
    assert (ingress_class.name, ingress_class.controller, ingress_class.default) == ("a", "x/y", True)
    assert said(text.replace("'true'", "'yes'").replace("x/y", "x/y, parameters: {}")) == [
        "f.yaml:3:80: error MG2005 IngressClass a metadata.annotations['ingressclass.kubernetes.io/"
        'is-default-class\']: must be "true" or "false", got \'yes\'',
        "f.yaml:4:25: warning MG1103 IngressClass a spec.parameters: has no effect: the class has "
        "no settings",
    ]
