"""What a request to the admin API names: kinds, objects and documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.dialects.document import Document, is_dns_label
from meshgate.dialects.yaml_text import read_documents
from meshgate.sources import kinds
from meshgate.sources.backend import AdminError
from meshgate.sources.kinds import KindName
from meshgate.sources.merging import with_metadata


def wanted_kinds(
    written: str, names: Sequence[str], there: Collection[tuple[str, str]]
) -> list[tuple[KindName, tuple[str, ...]]]:
    """Kinds with names, from `svc a b`, `svc/a deploy/b` or `svc,deploy`."""
    pairs = [part for part in (written, *names) if "/" in part]
    if not pairs:
        return [(kind, tuple(names)) for kind in kinds.resolve_all(written, there)]
    if len(pairs) != 1 + len(names):
        raise AdminError("invalid", "KIND/NAME cannot be mixed with names of one kind")
    found: dict[KindName, list[str]] = {}
    for pair in pairs:
        kind, _, name = pair.partition("/")
        found.setdefault(kinds.resolve(kind, there), []).append(name)
    return [(kind, tuple(several)) for kind, several in found.items()]


def one_writable(written: str, there: Collection[tuple[str, str]]) -> KindName:
    """The one kind that is meant; AdminError where Meshgate makes its objects itself."""
    kind = kinds.resolve(written, there)
    if kind.read_only:
        raise AdminError(
            "forbidden",
            f"{kind.plural} are made by Meshgate and cannot be changed",
            "change their Deployment",
        )
    return kind


def read_requested(texts: Mapping[str, str], namespace: str) -> tuple[list[Document], list[Diagnostic]]:
    """The documents of a request in a namespace, and what could not be read."""
    if namespace and not is_dns_label(namespace):
        raise AdminError("invalid", f"{namespace[:80]!r} is not a namespace's name")
    documents: list[Document] = []
    diagnostics: list[Diagnostic] = []
    for file, text in texts.items():
        found, said = read_documents(text, file)
        documents += [in_namespace(document, namespace) for document in found]
        diagnostics += said
    return documents, diagnostics


def in_namespace(document: Document, namespace: str) -> Document:
    if not namespace or document.namespace_given or not document.namespace:
        return document
    return replace(
        document,
        ref=replace(document.ref, namespace=namespace),
        data=with_metadata(document.data, {"namespace": namespace}),
        namespace_given=True,
    )


def made_here(document: Document) -> Diagnostic:
    """Says that nobody but Meshgate makes such objects."""
    return Diagnostic(
        severity=Severity.ERROR,
        code="MG1101",
        origin=document.locate(),
        message=f"a {document.ref.kind} is made by Meshgate and cannot be applied",
        object=document.ref,
        remedy="apply a Deployment",
    )
