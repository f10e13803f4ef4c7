"""Pages that are made from the code say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshgate.core.codes import CODES
from meshgate.core.diagnostics import Severity
from meshgate.dialects.annotation_list import ANNOTATIONS, KONG, State
from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.registry import KIND_PARSERS, lower_one
from meshgate.dialects.yaml_text import read_documents
from tests.docs import annotations_page, conformance_page
from tests.docs.generated_pages import PAGES
from tests.docs.istio_fields_page import GATEWAY_API, ISTIO, UNKNOWN, Source, rows
from tests.docs.kind_specs import SPECS
from tests.docs.kong_sections import SECTIONS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_page_is_up_to_date(page: str, request: pytest.FixtureRequest) -> None:
    made = PAGES[page]()
    if request.config.getoption("--update-golden"):
        (DOCS / page).write_text(made)
    assert (DOCS / page).read_text() == made, "make test ARGS='tests/docs --update-golden'"


def test_every_code_is_on_the_page() -> None:
    page = PAGES["diagnostics.md"]()
    assert [code for code in CODES if page.count(f"| `{code}` |") != 1] == []


def test_every_kind_is_on_the_page_as_it_is_treated() -> None:
    """A kind that the page says works is one whose parser does not refuse every object."""
    for (group, kind), parser in KIND_PARSERS.items():
        version = min(parser.versions)
        api_version = f"{group}/{version}" if group else version
        documents, _ = read_documents(
            f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\n", "x"
        )
        refused = any(d.code == "MG1101" for d in lower_one(documents[0]).diagnostics)
        assert refused is ((group, kind) not in SPECS), kind


def test_a_kind_that_guards_is_refused_and_not_warned() -> None:
    text = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: x}\n"
    documents, _ = read_documents(text, "x")
    assert lower_one(documents[0]).diagnostics[0].severity is Severity.ERROR
    (row,) = (line for line in PAGES["kinds.md"]().splitlines() if line.startswith("| WasmPlugin |"))
    assert "**refused**" in row


def test_every_plugin_has_a_part_and_a_test_that_is_there() -> None:
    assert set(SECTIONS) == set(SUPPORTED)
    tests = DOCS.parent / "tests"
    assert [s.test for s in SECTIONS.values() if not (tests / s.test).is_file()] == []


def test_every_annotation_has_a_test_that_is_there() -> None:
    keys = {(a.name.removeprefix(KONG), a.kinds[0]) for a in ANNOTATIONS}
    assert set(annotations_page.TESTS) == keys
    tests = DOCS.parent / "tests"
    for annotation in ANNOTATIONS:
        file, colons, function = annotations_page.shown_by(annotation).partition("::")
        text = (tests / file / "in.yaml" if "." not in file else tests / file).read_text()
        assert not colons or f"def {function}(" in text, f"{annotation.name}: there is no {function}"
        assert annotation.state is not State.WORKS or annotation.name.removesuffix("NAME") in text, annotation


def test_every_behaviour_names_a_test_that_is_there() -> None:
    folder = DOCS.parent / conformance_page.TESTS
    for name, (features, test) in conformance_page.behaviours().items():
        file, colons, function = test.partition("::")
        assert features, name
        if colons:
            assert f"\ndef {function}(" in (folder / file).read_text(), f"{name}: there is no {test}"
        else:
            assert test.startswith(("no: ", "does not apply: ")), name


def test_as_many_behaviours_are_tested_as_were_promised() -> None:
    have = conformance_page.counts()
    assert (have["GATEWAY-HTTP core"], have["GATEWAY-HTTP extended"]) == (38, 61)
    assert (have["GATEWAY-GRPC core"], have["GATEWAY-GRPC extended"]) == (16, 11)
    assert (have["GATEWAY-TLS core"], have["GATEWAY-TLS extended"]) == (21, 16)


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_the_states_of_fields_are_those_of_the_code(name: str) -> None:
    """What the page says is closed is refused when it is set; what works is not."""
    config = SUPPORTED[name].config
    listed = set(config.UNSUPPORTED) | set(config.UNSUPPORTED_SECURITY)
    assert all(field.split(".")[0] not in listed for field in SECTIONS[name].notes)
    for field in (f for f, note in SECTIONS[name].notes.items() if note == "closed where set"):
        record, _, last = field.rpartition(".")
        value = "true" if name == "key-auth" else "['a:b']"
        text = f"{{{record}: {{{last}: {value}}}}}" if record else f"{{{last}: {value}}}"
        documents, _ = read_documents(
            "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: x}\n"
            f"plugin: {name}\nconfig: {text}\n",
            "x",
        )
        said = [d.code for d in lower_one(documents[0]).diagnostics if d.severity is Severity.ERROR]
        assert said == ["MG1104"], field


@pytest.mark.parametrize("source", [ISTIO, GATEWAY_API], ids=["istio", "gateway-api"])
def test_every_field_is_known(source: Source) -> None:
    """An unknown field stops its object with an error, which one that the original has must not do."""
    unknown = [f"{r.kind} {r.path}: {r.note}" for r in rows(SPECS, source) if r.state == UNKNOWN]
    assert unknown == []
