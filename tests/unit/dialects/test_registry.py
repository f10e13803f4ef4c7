"""Documents of all dialects are lowered one by one; what goes wrong with one stays with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from types import MappingProxyType
from weakref import WeakKeyDictionary

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.dialects import registry
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.registry import KIND_PARSERS, lower_documents, lower_one
from tests.unit.dialects.reading import documents, read, said


def _object(api_version: str, kind: str, name: str = "a") -> str:
    return f"---\napiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: {name}}}\n"


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        (
            "v1",
            "Pod",
            "3:7: warning MG1101 Pod default/a kind: Pod is not run; nothing of it starts; "
            "make it a Deployment",
        ),
        (
            "v1",
            "Servise",
            "3:7: error MG1101 Servise default/a kind: kind Servise of v1 is not supported; it has no "
            "effect; did you mean Service?",
        ),
        (
            "serving.knative.dev/v1",
            "Service",
            "3:7: warning MG1101 Service default/a kind: kind Service of serving.knative.dev/v1 is not "
            "supported; it has no effect; use apiVersion v1",
        ),
        (
            "v1",
            "Deployment",
            "3:7: error MG1101 Deployment default/a kind: kind Deployment of v1 is not supported; "
            "it has no effect; use apiVersion apps/v1",
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "3:7: error MG1101 NetworkPolicy default/a kind: kind NetworkPolicy of networking.k8s.io/v1 is "
            "not supported; what it guards would be open",
        ),
        (
            "security.istio.io/v1",
            "Unheard",
            "3:7: error MG1101 Unheard default/a kind: kind Unheard of "
            "security.istio.io/v1 is not supported; what it guards would be open",
        ),
        (
            "extensions/v1beta1",
            "Ingress",
            "2:13: error MG1105 Ingress default/a apiVersion: Ingress extensions/v1beta1 is not supported; "
            "use networking.k8s.io/v1",
        ),
        (
            "networking.k8s.io/v1beta1",
            "Ingress",
            "2:13: error MG1105 Ingress default/a apiVersion: Ingress networking.k8s.io/v1beta1 is not "
            "supported; use networking.k8s.io/v1",
        ),
    ],
)
def test_kinds_that_are_not_supported(api_version: str, kind: str, expected: str) -> None:
    assert said(_object(api_version, kind)) == [f"f.yaml:{expected}"]


def test_of_an_object_defined_twice_the_first_by_place_holds() -> None:
    text = _object("v1", "ServiceAccount") + _object("v1", "ServiceAccount")
    found = documents(text)
    for order in (found, found[::-1]):
        lowered = lower_documents(order)
        assert [str(a.origin) for a in lowered.declared.service_accounts] == ["f.yaml:2:1"]
        assert [str(d) for d in lowered.diagnostics] == [
            "f.yaml:8:18: error MG1106 ServiceAccount default/a metadata.name: is already defined at "
            "f.yaml:4:18; this one has no effect; keep one of them"
        ]


def test_an_object_with_errors_is_broken_and_the_rest_goes_on() -> None:
    lowered = read(_object("v1", "ConfigMap") + "date: {}\n" + _object("v1", "ConfigMap", "b"))
    assert [c.name.name for c in lowered.declared.config_maps] == ["b"]
    (broken,) = lowered.declared.broken
    assert (str(broken.ref), broken.problem) == ("ConfigMap default/a", "MG1102: unknown field")


def test_a_document_with_mistakes_in_its_text_is_broken() -> None:
    lowered = read(_object("v1", "ConfigMap") + "data: {a: b, a: c}\n")
    assert [(str(b.ref), b.problem) for b in lowered.declared.broken] == [
        ("ConfigMap default/a", "the key 'a' is there twice")
    ]


def test_a_bug_in_one_kind_is_reported_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(document: Document) -> Lowered:
        raise KeyError("a secret")

    parser = KindParser(
        group="", kind="Secret", versions=frozenset({"v1"}), namespaced=True, lower=stumble, plural="secrets"
    )
    monkeypatch.setattr(registry, "KIND_PARSERS", MappingProxyType({**KIND_PARSERS, ("", "Secret"): parser}))
    lowered = read(_object("v1", "Secret") + _object("v1", "ServiceAccount"))
    assert len(lowered.declared.service_accounts) == 1
    assert [str(b.ref) for b in lowered.declared.broken] == ["Secret default/a"]
    (diagnostic,) = lowered.diagnostics
    assert diagnostic.code == "MG9001"
    assert diagnostic.message.startswith("KeyError at test_registry.py:")
    assert "a secret" not in str(diagnostic)


def test_a_memo_spares_what_was_lowered() -> None:
    found = documents(_object("v1", "ServiceAccount"))
    memo: MutableMapping[Document, Lowered] = WeakKeyDictionary()
    lower_documents(found, memo)
    assert memo[found[0]] == lower_one(found[0])
    memo[found[0]] = Lowered()
    assert lower_documents(found, memo).declared.service_accounts == ()


def test_a_flood_of_diagnostics_is_bounded_and_keeps_the_errors() -> None:
    tame = ", ".join(f"konghq.com/headers.h{i}: a" for i in range(300))
    text = (
        f"{{apiVersion: v1, kind: Service, metadata: {{name: a, annotations: {{{tame}, konghq.com/x: a}}}}}}"
    )
    found = read(text.replace("}}}", "}}, spec: {ports: [{port: 80}]}}")).diagnostics
    assert [d.message for d in found if d.severity is Severity.ERROR] == [
        "unknown annotation konghq.com/x",
        "201 more diagnostics",
    ]
    assert len(found) == registry.MAX_DIAGNOSTICS + 1


def test_names_for_the_command_line_are_unique() -> None:
    names = Counter(n for p in KIND_PARSERS.values() for n in (p.plural, *p.short_names))
    # Two groups have a Gateway, as in Kubernetes; `sources.kinds.resolve` tells them apart.
    assert [name for name, count in names.items() if count > 1] == ["gateways"]
