"""Who an object is, where its fields are, and what of it is kept over a new reading."""

from __future__ import annotations

import pytest

from meshgate.dialects.document import CLUSTER_SCOPED, reuse
from meshgate.dialects.registry import KIND_PARSERS
from meshgate.dialects.yaml_text import read_documents
from tests.documents import from_object
from tests.unit.dialects.reading import documents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "1:1: error MG1003: must be an object with apiVersion, kind and metadata.name, got 'a'"),
        (
            "- {}",
            "1:1: error MG1003: must be an object with apiVersion, kind and metadata.name, got a list; "
            "begin each object with ---, without a hyphen",
        ),
        (
            "{apiVersion: v1, kind: List}",
            "1:1: error MG1003 items: is missing; add it, or name the kind of the object",
        ),
        (
            "{apiVersion: v1, kind: List, items: {}}",
            "1:37: error MG1003 items: must be a list; begin each with a hyphen",
        ),
        (
            "{}",
            "1:1: error MG1003: apiVersion, kind and metadata.name are missing; "
            "write them, or name only what holds manifests",
        ),
        ("{apiVersion: v1, kind: A}", "1:1: error MG1003 metadata.name: is missing; add it"),
        (
            "{apiVersion: v1, kind: A, metadata: 3}",
            "1:37: error MG1003 metadata: must be an object, got 3; write metadata: {name: NAME}",
        ),
        (
            "{apiVersion: 1, kind: A, metadata: {name: a}}",
            "1:14: error MG1003 apiVersion: must be a string, got 1; such as apps/v1",
        ),
        (
            '{apiVersion: v1, kind: "A\\nB", metadata: {name: a}}',
            "1:24: error MG1003 kind: is malformed, got 'A\\nB'; such as Deployment",
        ),
        (
            '{apiVersion: v1, kind: A, metadata: {name: "a\\nB"}}',
            "1:44: error MG2004 A default/a\\nB metadata.name: must be a lower-case DNS name (RFC 1123), "
            "got 'a\\nB'; write a-b",
        ),
        (
            "{apiVersion: v1, kind: A, metadata: {name: a, namespace: a.b}}",
            "1:58: error MG2004 A a.b/a metadata.namespace: must be a DNS label (RFC 1123), got 'a.b'; "
            "write a-b",
        ),
    ],
)
def test_identity(text: str, expected: str) -> None:
    _, diagnostics = read_documents(text, "f.yaml")
    assert [str(d) for d in diagnostics] == [f"f.yaml:{expected}"]


def test_long_names_stay_whole() -> None:
    documents, diagnostics = read_documents(
        f"{{apiVersion: v1, kind: A, metadata: {{name: {'a' * 253}}}}}", "f.yaml"
    )
    assert diagnostics == ()
    assert [d.ref.name for d in documents] == ["a" * 253]


def test_an_object_of_the_api_has_no_positions() -> None:
    metadata = {"name": "a", "creationTimestamp": "2026-11-20T00:00:00Z"}
    document, diagnostics = from_object({"apiVersion": "v1", "kind": "Service", "metadata": metadata})
    assert diagnostics == ()
    assert document is not None
    assert str(document.locate(("spec", "ports"))) == "<api>"
    assert document.created == "2026-11-20T00:00:00Z"
    nobody, diagnostics = from_object({"kind": "Service"})
    assert nobody is None
    assert [str(d) for d in diagnostics] == [
        "<api>: error MG1003: apiVersion and metadata.name are missing; add it"
    ]


def test_cluster_scoped_kinds_have_no_namespace() -> None:
    text = "{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}"
    (document,), diagnostics = read_documents(text, "f.yaml")
    assert (document.namespace, document.problem) == ("", "")
    assert [str(d) for d in diagnostics] == [
        "f.yaml:1:66: warning MG1103 metadata.namespace: has no effect: a Namespace belongs to no namespace"
    ]
    for (group, kind), parser in KIND_PARSERS.items():
        assert parser.namespaced == ((group, kind) not in CLUSTER_SCOPED), kind


def test_reuse_keeps_what_reads_the_same_at_the_same_place() -> None:
    one = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    old = documents(f"{one}---\n{one}---\n{one}")
    new = documents(f"{one}---\n{one}x: 1\n---\n{one}")
    kept = reuse(old, new)
    assert kept[0] is old[0]
    assert kept[1] is new[1]
    assert kept[2] is new[2], "it moved by a line, and so did its positions"
