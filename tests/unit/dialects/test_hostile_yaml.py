"""Whatever the text: documents or diagnostics, never an exception, never more than two seconds.

1,200 inputs of six kinds, each read and lowered by the whole of this room.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshgate.core.diagnostics import Diagnostic
from meshgate.dialects.registry import KIND_PARSERS, lower_documents
from meshgate.dialects.yaml_text import read_documents
from tests.documents import from_object

_BOUND = settings(
    max_examples=200,
    deadline=timedelta(seconds=2),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

_SEEDS = tuple(
    path.read_text(encoding="utf-8") for path in sorted(Path("examples/shop/manifests").rglob("*.yaml"))
)

_ODD = st.sampled_from(
    ["\0", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ufffe", "\ud800", "\U0001f600"]
)
_PIECES = st.sampled_from(
    [
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "? ",
        "&a ",
        "*a",
        "!t ",
        "!!python/object:os.system ",
        "'",
        '"',
        "\n",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "%TAG ! x\n",
        "<<: ",
        "\t",
        "  ",
        "# ",
        "@\n    ",
        "`",
        "\\",
        "1:30",
        "null",
        "apiVersion: v1\n",
        "kind: Service\n",
        "metadata: {name: a}\n",
        "spec:\n",
        "kind: List\nitems:\n",
        ".nan",
        ">\n",
        "|\n",
    ]
)
_HUGE = st.one_of(
    st.integers(min_value=10, max_value=4000).map(lambda n: "9" * n),
    st.sampled_from(
        ["1e999", "-1.0e+999", "0x" + "f" * 40, "0b" + "1" * 90, "1:59" * 20, ".inf", "-.INF", "1_" * 40]
    ),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def _check(text: str, *, must_speak: bool = False) -> tuple[Diagnostic, ...]:
    """Reads and lowers; every document is declared, broken or spoken of."""
    documents, found = read_documents(text, "hostile.yaml")
    lowered = lower_documents(documents)
    everything = (*found, *lowered.diagnostics)
    for diagnostic in everything:
        line = str(diagnostic)
        assert line.isprintable(), "one line each, whatever the input"
        assert diagnostic.code != "MG9001", line
    broken = {b.ref for b in lowered.declared.broken}
    named = {d.object for d in everything}
    for document in documents:
        if document.problem:
            assert found, "a problem was told"
            assert document.ref in broken | named
    if must_speak:
        assert everything
    return everything


@_BOUND
@given(st.lists(st.one_of(_PIECES, _ODD, _HUGE, st.text(max_size=6)), max_size=60).map("".join))
def test_pieces_of_yaml_in_any_order(text: str) -> None:
    _check(text)


@_BOUND
@given(
    st.sampled_from(_SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.one_of(_PIECES, _ODD, _HUGE)), max_size=6),
)
def test_real_manifests_with_damage(text: str, damage: list[tuple[float, int, str]]) -> None:
    for place, cut, put in damage:
        index = int(place * len(text))
        text = text[:index] + put + text[index + cut :]
    _check(text)


@_BOUND
@given(st.integers(101, 5000), st.sampled_from(["[", "{", "- ", "? ", "[a, ", "{a: ", "a:\n"]), st.booleans())
def test_deep_nesting(depth: int, opening: str, closed: bool) -> None:
    if opening == "a:\n":
        text = "".join(" " * level + opening for level in range(min(depth, 1000)))
    else:
        closing = {"[": "]", "{": "}"}.get(opening[0], "") if closed else ""
        text = opening * depth + closing * depth
    assert _check(text, must_speak=True)[0].code in ("MG1001", "MG1002")


@_BOUND
@given(
    st.integers(2, 12), st.integers(2, 12), st.sampled_from(["[{}]", "{{{}}}"]), st.booleans(), st.booleans()
)
def test_alias_bombs(levels: int, width: int, form: str, merged: bool, in_object: bool) -> None:
    """Each level names the one before `width` times; with merges, mappings swallow one another."""
    lines = ["a0: &a0 {x: y}" if merged else "a0: &a0 [x, x]"]
    for level in range(1, levels):
        before = f"*a{level - 1}"
        if merged:
            body = "{<<: [" + ", ".join([before] * width) + f"], k{level}: {before}}}"
        elif form == "[{}]":
            body = "[" + ", ".join([before] * width) + "]"
        else:
            body = "{" + ", ".join(f"k{i}: {before}" for i in range(width)) + "}"
        lines.append(f"a{level}: &a{level} {body}")
    head = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n" if in_object else ""
    _check(head + "\n".join(lines), must_speak=True)


@st.composite
def _wrong_objects(draw: st.DrawFn) -> dict[str, object]:
    """An object of a known kind whose fields hold anything."""
    group, kind = draw(st.sampled_from(sorted(KIND_PARSERS)))
    version = draw(st.sampled_from(sorted(KIND_PARSERS[group, kind].versions)))
    metadata: dict[str, object] = {"name": "a"}
    for field in draw(st.sets(st.sampled_from(["labels", "annotations", "namespace", "finalizers"]))):
        metadata[field] = draw(_JSON)
    known = ["spec", "data", "stringData", "config", "plugin", "rules", "http", "hosts", "ports", "selector"]
    nested = st.dictionaries(
        st.sampled_from(
            [*known, "template", "containers", "host", "subsets", "tls", "mtls", "paths", "name"]
        ),
        st.recursive(
            _JSON,
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(known), inner, max_size=3)
            ),
            max_leaves=10,
        ),
        max_size=4,
    )
    body = {field: draw(nested | _JSON) for field in draw(st.sets(st.sampled_from(known), max_size=4))}
    api_version = f"{group}/{version}" if group else version
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


@_BOUND
@given(_wrong_objects())
def test_objects_with_wrong_types(value: dict[str, object]) -> None:
    _check(json.dumps(value))
    document, found = from_object(json.loads(json.dumps(value)))
    assert document is not None or found
    if document is not None:
        lowered = lower_documents((document,))
        assert all(d.code != "MG9001" for d in lowered.diagnostics), [str(d) for d in lowered.diagnostics]


def _places(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value inside an object, bar what says who it is."""
    if at in (("apiVersion",), ("kind",), ("metadata", "name")):
        return []
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [at, *(place for key, inner in entries for place in _places(inner, (*at, key)))]


_OBJECTS = tuple(
    (json.dumps(document.data), places)
    for seed in _SEEDS
    for document in read_documents(seed, "seed.yaml")[0]
    if (places := tuple(p for p in _places(document.data) if p))
)


@_BOUND
@given(st.data())
def test_real_objects_with_wrong_values(data: st.DataObject) -> None:
    text, places = data.draw(st.sampled_from(_OBJECTS))
    value = json.loads(text)
    *way, last = data.draw(st.sampled_from(places))
    node = value
    for part in way:
        node = node[part]
    node[last] = data.draw(
        st.one_of(_JSON, _PIECES, _ODD, st.sampled_from([-1, 0, 2**63, -(2**70), 1e300, "", "/"]))
    )
    _check(json.dumps(value))
    document, _ = from_object(value)
    if document is not None:
        for diagnostic in lower_documents((document,)).diagnostics:
            assert diagnostic.code != "MG9001", str(diagnostic)
