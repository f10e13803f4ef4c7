"""Files that are no manifests: what whoever named them should do."""

from __future__ import annotations

import pytest

from meshgate.dialects.yaml_text import read_documents

RENDER = "this is a template: render it first, such as by `helm template CHART > FILE`"
MISSING = "error MG1003: apiVersion, kind and metadata.name are missing"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "kong.yaml",
            "_format_version: '3.0'\n",
            f"1:1: {MISSING}; this is Kong's declarative file: `meshgate import FILE` makes manifests of it",
        ),
        (
            "compose.yaml",
            "services:\n  web: {image: x}\n",
            f"1:1: {MISSING}; this looks like a Compose file: write a Deployment and a Service for each "
            "of its services",
        ),
        (
            "chart/values.yaml",
            "a: 1\n",
            f"1:1: {MISSING}; this belongs to a chart: name what `helm template CHART > FILE` makes of it",
        ),
        ("a.yaml", "a: 1\n", f"1:1: {MISSING}; write them, or name only what holds manifests"),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: '${NAME}'}\n",
            "3:18: error MG2004 Service default/${NAME} metadata.name: "
            "must be a lower-case DNS name (RFC 1123), got '${NAME}'; "
            "put its value there first, such as by `envsubst < FILE`",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: 12}\n",
            "3:18: error MG1003 metadata.name: must be a string, got 12; put it in quotes",
        ),
    ],
)
def test_what_to_do_is_said(file: str, text: str, said: str) -> None:
    _, diagnostics = read_documents(text, file)
    assert [str(d) for d in diagnostics] == [f"{file}:{said}"]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        "resources: [a.yaml]\nnamePrefix: x-\n",
    ],
)
def test_a_kustomization_among_manifests_is_no_error(text: str) -> None:
    documents, diagnostics = read_documents(text, "k.yaml")
    assert documents == ()
    assert [str(d) for d in diagnostics] == [
        "k.yaml:1:1: warning MG1101: a kustomization is not built here; "
        "manifests beside it are read as they are; name what `kubectl kustomize FOLDER > FILE` makes of it"
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{{- if .Values.x }}\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n{{- end }}\n", "1:3"),
        ("apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n", "4:9"),
        ('apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ include "x" . }}-a\n  b: {{.c}}\n', "4:28"),
    ],
)
def test_a_template_is_told_once(text: str, place: str) -> None:
    _, diagnostics = read_documents(text, "t.yaml")
    assert len(diagnostics) == 1
    assert str(diagnostics[0]).startswith(f"t.yaml:{place}: error MG100")
    assert diagnostics[0].remedy == RENDER


def test_brackets_in_text_are_text() -> None:
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: '{{ .y }}'\n  b: |\n    {{ .z }}\n"
    )
    documents, diagnostics = read_documents(text, "c.yaml")
    assert len(documents) == 1
    assert diagnostics == ()


def test_other_errors_beside_a_template_stay() -> None:
    text = "apiVersion: v1\nkind: A\nmetadata: {name: B}\n---\na: {{ .x }}\n"
    _, diagnostics = read_documents(text, "t.yaml")
    assert sorted(d.code for d in diagnostics) == ["MG1003", "MG2004"]
