"""Texts become documents with positions, or diagnostics that say where and why not."""

from __future__ import annotations

import json

import pytest

from meshgate.core.origin import FieldPath
from meshgate.dialects.compose import MAX_DEPTH, MAX_EXPANDED, MAX_NODES, MAX_SCALAR
from meshgate.dialects.yaml_text import MAX_DIAGNOSTICS, MAX_PROBLEMS, MAX_TEXT_BYTES, read_documents
from tests.unit.dialects.reading import documents

_OBJECT = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


def _said(text: str) -> list[str]:
    return [str(d) for d in read_documents(text, "f.yaml")[1]]


def test_reads_documents_and_skips_empty_ones() -> None:
    found = documents(f"---\n# nothing\n---\n{_OBJECT}---\n{_OBJECT.replace('a}', 'b, namespace: n}')}")
    assert [str(d.ref) for d in found] == ["Service default/a", "Service n/b"]
    assert [d.namespace_given for d in found] == [False, True]


def test_reads_json_with_surrogate_pairs() -> None:
    text = json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "😀"}}
    )
    assert documents(text)[0].data["data"] == {"k": "😀"}


def test_reads_anchors_merges_and_a_byte_order_mark() -> None:
    (document,) = documents(f"\ufeff{_OBJECT}base: &b {{x: 1, y: 2}}\nmore: {{<<: *b, y: 3}}\nsame: *b\n")
    assert document.data["more"] == {"x": 1, "y": 3}
    assert document.data["same"] == {"x": 1, "y": 2}


def test_unfolds_lists_and_keeps_positions() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"- apiVersion: v1\n  kind: Service\n  metadata:\n    name: s{i}\n" for i in range(3)
    )
    found = documents(text)
    assert [d.ref.name for d in found] == ["s0", "s1", "s2"]
    assert str(found[2].locate(("metadata", "name"))) == "f.yaml:15:11"


@pytest.mark.parametrize(
    ("path", "key", "where"),
    [
        ((), False, "3:1"),
        (("spec",), False, "7:3"),
        (("spec",), True, "6:1"),
        (("spec", "ports", 0, "port"), False, "8:11"),
        (("spec", "ports", 0, "port"), True, "8:5"),
        (("spec", "ports", 1), False, "9:5"),
        (("spec", "ports", 1, "missing", 3), False, "9:5"),
        (("spec", "again", 0, "port"), False, "8:11"),
        (("spec", "merged", "port"), False, "11:19"),
        (("metadata", "labels", "ä"), False, "5:33"),
    ],
)
def test_positions(path: FieldPath, key: bool, where: str) -> None:
    text = (
        "# a comment\n"
        "---\n"
        "apiVersion: v1\n"
        "kind: Service\n"
        "metadata: {name: a, labels: {ä: b}}\n"
        "spec:\n"
        "  ports: &p\n"
        "  - port: 80\n"
        "  - {port: 81}\n"
        "  again: *p\n"
        "  base: &q {port: 80}\n"
        "  merged: {<<: *q}\n"
    )
    (document,) = documents(text)
    assert str(document.locate(path, key=key)) == f"f.yaml:{where}"


def test_an_error_leaves_the_other_documents_alone() -> None:
    found, diagnostics = read_documents(f"{_OBJECT}---\na: [\n---\n{_OBJECT.replace('a}', 'b}')}", "f.yaml")
    assert [d.ref.name for d in found] == ["a", "b"]
    assert [str(d) for d in diagnostics] == [
        "f.yaml:6:1: error MG1001: a value is missing here; write one, and close every [ and {"
    ]
    assert str(found[1].locate(("metadata", "name"))) == "f.yaml:9:18"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &a [*a]", "1:8: error MG1001: the alias *a stands inside itself; write it out"),
        (
            "a: *b",
            "1:4: error MG1001: the alias *b has no anchor before it; put text that begins with * in quotes",
        ),
        (
            "a: .nan",
            "1:4: error MG2002: infinity and not-a-number are no values; put it in quotes if it is text",
        ),
        (
            "a: " + "7" * 30,
            "1:4: error MG2002: the number does not fit into 64 bits; put it in quotes if it is text",
        ),
        ("1.5: a", "1:1: error MG2001: the key 1.5 must be text; put it in quotes"),
        (
            "[a]: b",
            "1:3: error MG2001: a key must be text, not a list, an object or a number; write NAME: VALUE",
        ),
        ("a: 1\na: 2", "2:1: error MG1004: the key 'a' is there twice; keep one of them"),
        ("a: !!binary aGk=", "1:4: error MG1001: tags (`!`) are not supported; quote text instead"),
        ("<<: 1", "1:5: error MG2001: `<<` takes a mapping or a list of mappings; name one by *ANCHOR"),
        ("a: \x07", "1:4: error MG1001: the character U+0007 is not allowed here; remove it"),
        ("a: \ud800", "1:4: error MG1001: the character U+D800 is not allowed here; remove it"),
        ("a: \ufeffb", "1:4: error MG1001: the character U+FEFF is not allowed here; remove it"),
        ("[" * 500, f"1:101: error MG1002: more than {MAX_DEPTH} levels deep; use fewer"),
        ("[" * 10_000, f"1:1001: error MG1002: more than {MAX_DEPTH} levels deep; use fewer"),
        (
            "a:\n" * (MAX_NODES // 2 + 1),
            f"250000:3: error MG1002: more than {MAX_NODES} values; split the document",
        ),
        (
            "a: " + "x" * (MAX_SCALAR + 1),
            f"1:4: error MG1002: a value of more than {MAX_SCALAR} characters; shorten it",
        ),
        ("? " + "k" * 2000 + "\n: 1", "1:3: error MG1002: a key of more than 1024 characters; shorten it"),
    ],
    ids=lambda value: value[:20],
)
def test_mistakes_of_a_document(text: str, expected: str) -> None:
    assert _said(text)[0] == f"f.yaml:{expected}"


def test_alias_bomb() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert _said("\n".join(levels)) == [
        f"f.yaml:5:15: error MG1002: aliases expand to more than {MAX_EXPANDED} values; write them out"
    ]


def test_aliases_cannot_go_deeper_than_the_limit() -> None:
    deep = "a: &a " + "[" * 60 + "]" * 60
    assert _said(f"{deep}\nb: {'[' * 60}*a{']' * 60}") == [
        f"f.yaml:2:64: error MG1002: more than {MAX_DEPTH} levels deep; use fewer"
    ]


def test_limits_of_a_file() -> None:
    assert _said(" " * (MAX_TEXT_BYTES + 1)) == [
        f"f.yaml:1:1: error MG1002: it is longer than {MAX_TEXT_BYTES} characters; split the file"
    ]
    assert _said("".join(f"%TAG !{i}! a\n" for i in range(100_000))) == [
        "f.yaml:1:1: error MG1001: tag directives (`%TAG`) are not supported; remove them"
    ]
    assert len(_said("---\na\n" * 5000)) == MAX_DIAGNOSTICS + 1
    assert len(_said("---\na: [\n" * 100)) == MAX_PROBLEMS + 1


def test_a_document_with_mistakes_still_says_who_it_is() -> None:
    found, _ = read_documents(_OBJECT + "spec: {a: 1, a: 2}\n", "f.yaml")
    assert found[0].problem == "the key 'a' is there twice"
    found, _ = read_documents(_OBJECT + "---\n" + _OBJECT + "spec: \x00\n", "f.yaml")
    assert [d.problem for d in found] == ["", "it has a character that is not allowed"]


def test_whole_numbers_as_keys_are_text_as_for_kubectl() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {8080: x, true: y}\n"
    documents, diagnostics = read_documents(text, "a.yaml")
    assert diagnostics == ()
    assert documents[0].data["data"] == {"8080": "x", "true": "y"}
