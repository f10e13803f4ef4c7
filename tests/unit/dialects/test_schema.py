"""Every mistake in an object comes back with its place, rule, value and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field

from meshgate.core.secret import Secret
from meshgate.dialects.metadata import MAX_ANNOTATIONS, ObjectSpec
from meshgate.dialects.schema import MAX_FINDINGS, DurationMs, IntOrString, Items, SecretText, Spec, check
from meshgate.dialects.wording import show
from tests.unit.dialects.reading import documents


class Part(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"image": "not pulled"}
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"mirror": "has no effect: nothing is mirrored"}
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {"auth": "is not supported; stays closed"}

    port_number: Annotated[int, Field(ge=1)] = 1
    mode: Literal["ROUND_ROBIN", "RANDOM"] = "RANDOM"
    host: str = ""
    wait: DurationMs = 0.0
    target: IntOrString = 0
    ratio: float = 0.0
    enabled: bool = False
    secret: SecretText | None = None
    names: Items[str] = ()


class Whole(ObjectSpec):
    part: Part | None = None
    parts: Items[Part] = ()
    by_name: Mapping[str, Part] = {}


class Hidden(Whole):
    HIDE_VALUES: ClassVar[bool] = True


def _check(text: str, model: type[Whole] = Whole) -> tuple[Whole | None, list[str]]:
    (document,) = documents(f"apiVersion: v1\nkind: A\nmetadata: {{name: a}}\n{text}\n")
    value, diagnostics = check(model, document)
    return value, [str(d) for d in diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("part: 3", "4:7: error MG2001 A default/a part: must be an object, got 3"),
        (
            "parts: {}",
            "4:8: error MG2001 A default/a parts: must be a list, got an object; "
            "begin each item with a hyphen",
        ),
        ("part: {hsot: a}", "4:8: error MG1102 A default/a part.hsot: unknown field; did you mean host?"),
        ("part: {HOST: a}", "4:8: error MG1102 A default/a part.HOST: unknown field; did you mean host?"),
        ("part: {zzz: null}", "4:8: error MG1102 A default/a part.zzz: unknown field"),
        ("part: {host: 3}", "4:14: error MG2001 A default/a part.host: must be a string, got 3; put "
            "it in quotes"),
        (
            "part: {portNumber: '3'}",
            "4:20: error MG2001 A default/a part.portNumber: must be a whole number, got '3'; "
            "write it without quotes",
        ),
        ("part: {portNumber: 1.5}", "4:20: error MG2001 A default/a part.portNumber: must be a "
            "whole number, got 1.5"),
        ("part: {portNumber: true}", "4:20: error MG2001 A default/a part.portNumber: must be a "
            "whole number, got true"),
        ("part: {portNumber: 0}", "4:20: error MG2002 A default/a part.portNumber: must be >= 1, got 0"),
        (
            "part: {mode: ROUNDROBIN}",
            "4:14: error MG2002 A default/a part.mode: must be one of ROUND_ROBIN or RANDOM, got "
                "'ROUNDROBIN'; "
            "did you mean ROUND_ROBIN?",
        ),
        (
            "part: {wait: 5 s}",
            "4:14: error MG2002 A default/a part.wait: must be a duration, got '5 s'; "
            "write it like 30s, 1m30s or 250ms",
        ),
        ("part: {target: [1]}", "4:16: error MG2001 A default/a part.target: must be a number or a "
            "name, got a list"),
        ("part: {enabled: 'true'}", "4:17: error MG2001 A default/a part.enabled: must be true or "
            "false, got 'true'; "
         "write it without quotes"),
        (
            "part: {secret: 31337}",
            "4:16: error MG2001 A default/a part.secret: must be a string (the value is not shown); "
                "put it in quotes",
        ),
        ("part: {names: [a, 2]}", "4:19: error MG2001 A default/a part.names[1]: must be a string, got 2; "
         "put it in quotes"),
        ("part: {auth: x}", "4:8: error MG1104 A default/a part.auth: is not supported; stays closed"),
        ("part: {mirror: x}", "4:8: warning MG1103 A default/a part.mirror: has no effect: nothing "
            "is mirrored"),
        (
            "parts: [{image: x}, {image: y}]",
            "4:10: info MG1103 A default/a parts[0].image: not used here: parts[0].image, parts[1].image",
        ),
        ("byName: {x.y: {host: 1}}", "4:22: error MG2001 A default/a byName['x.y'].host: must be a "
            "string, got 1; "
         "put it in quotes"),
    ],
)  # fmt: skip
def test_mistakes(text: str, expected: str) -> None:
    value, found = _check(text)
    assert found == [f"f.yaml:{expected}"]
    assert (value is None) == (" error " in expected)


def test_nulls_count_as_absent_and_values_are_converted() -> None:
    value, found = _check("part: {host: null, wait: 1m30s, secret: s, target: http, names: [a], ratio: 1}")
    assert found == []
    assert value is not None
    assert value.part == Part.model_validate(
        {"wait": "1m30s", "secret": "s", "target": "http", "names": ["a"], "ratio": 1}
    )
    assert value.part.wait == 90_000
    assert value.part.secret == Secret.of("s")


def test_hidden_values_are_never_shown() -> None:
    _, found = _check("part: hunter2\nparts: [{host: 31337}, hunter2]\nbyName: hunter2", Hidden)
    assert len(found) == 4
    assert not any("hunter2" in line or "31337" in line for line in found)


def test_labels_and_annotations() -> None:
    (document,) = documents(
        "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  labels: {app: 'x y', 'b c': d, n: 1}\n  "
        "annotations: {a: true}\n"
    )
    assert [str(d) for d in check(Whole, document)[1]] == [
        "f.yaml:5:17: error MG2004 A default/a metadata.labels.app: must be at most 63 letters, "
        "digits, '-', '_' "
        "and '.', got 'x y'",
        "f.yaml:5:31: error MG2004 A default/a metadata.labels['b c']: must be a key like name or "
        "example.com/name, got 'b c'",
        "f.yaml:5:37: error MG2001 A default/a metadata.labels.n: must be a string, got 1; put it in quotes",
        "f.yaml:6:20: error MG2001 A default/a metadata.annotations.a: must be a string, got true; "
        "put it in quotes",
    ]


def test_annotations_have_kubernetes_limit() -> None:
    text = "{apiVersion: v1, kind: A, metadata: {name: a, annotations: {a: " + "x" * MAX_ANNOTATIONS + "}}}"
    assert [str(d) for d in check(Whole, documents(text)[0])[1]] == [
        "f.yaml:1:60: error MG1002 A default/a metadata.annotations: must have at most 262144 characters "
        "together, got an object"
    ]


def test_a_flood_of_mistakes_is_bounded() -> None:
    _, found = _check("parts: [" + ", ".join("{nope: 1, host: 1}" for _ in range(500)) + "]")
    assert len(found) == 2 * MAX_FINDINGS


def test_values_are_shown_on_one_short_line() -> None:
    assert show("a\nb") == "'a\\nb'"
    assert len(show("x" * 1000)) < 100
    assert show(10**5000) == "a huge number"
    assert show({"a": 1}) == "an object"
