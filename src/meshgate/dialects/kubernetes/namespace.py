"""v1 Namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.core.diagnostics import Severity
from meshgate.dialects.document import Document, is_dns_label
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem
from meshgate.model.declared import Declared, Namespace

INJECTION = "istio-injection"


class NamespaceDetails(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"finalizers": "deletion is at once"}


class NamespaceSpec(ObjectSpec):
    spec: NamespaceDetails = NamespaceDetails()


def lower(document: Document) -> Lowered:
    """A namespace with its labels, which decide who gets a sidecar."""
    value, diagnostics = check(NamespaceSpec, document)
    if not is_dns_label(document.ref.name):
        diagnostics.append(
            problem(document, "MG2004", ("metadata", "name"), "must be a DNS label without dots (RFC 1123)")
        )
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    labels = value.metadata.labels
    if labels.get(INJECTION, "enabled") not in ("enabled", "disabled"):
        diagnostics.append(
            problem(
                document,
                "MG2002",
                ("metadata", "labels", INJECTION),
                f"must be enabled or disabled, got {labels[INJECTION]!r}",
                severity=Severity.WARNING,
                remedy="until then it counts as not set",
            )
        )
    lowered = Namespace(name=document.ref.name, labels=labels, origin=document.locate())
    return Lowered(declared=Declared(namespaces=(lowered,)), diagnostics=tuple(diagnostics))


KIND = KindParser(
    group="",
    kind="Namespace",
    versions=frozenset({"v1"}),
    namespaced=False,
    lower=lower,
    plural="namespaces",
    short_names=("ns",),
)
