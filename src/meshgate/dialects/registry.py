"""All kinds of all dialects, and documents lowered by them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import fields, replace
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity, has_errors
from meshgate.dialects import gateway_api, istio, kong, kubernetes
from meshgate.dialects.annotations import unread_annotations
from meshgate.dialects.document import Document
from meshgate.dialects.istio.mesh_config import lower_mesh_config
from meshgate.dialects.kind import FindSecret, KindParser, Lowered
from meshgate.dialects.kong.kong_ingress import overridden, override_of, without_override
from meshgate.dialects.kubernetes import noted
from meshgate.dialects.schema import problem
from meshgate.dialects.wording import did_you_mean, misspelt
from meshgate.model.declared import Broken, Declared
from meshgate.model.mesh_config import MESH_CONFIG_REF

KIND_PARSERS: Mapping[tuple[str, str], KindParser] = MappingProxyType(
    {
        (parser.group, parser.kind): parser
        for parser in (*kubernetes.KINDS, *istio.KINDS, *kong.KINDS, *gateway_api.KINDS)
    }
)
"""By (API group, kind)."""

MORE_OF_OBJECTS: Mapping[ObjectRef, Callable[[Document], Lowered]] = MappingProxyType(
    {MESH_CONFIG_REF: lower_mesh_config}
)
"""Single objects that mean more than their kind says, by name."""

SECURITY_KINDS = frozenset(
    {
        ("networking.k8s.io", "NetworkPolicy"),
        ("policy.networking.k8s.io", "AdminNetworkPolicy"),
    }
)
"""Kinds outside the security groups that guard something: to ignore one would open it."""

MAX_DIAGNOSTICS = 100
"""About one object."""

SECURITY_GROUPS = frozenset({"security.istio.io"})

MOVED = MappingProxyType(
    {
        ("extensions", "Ingress"): "networking.k8s.io/v1",
        ("extensions", "Deployment"): "apps/v1",
        ("networking.k8s.io.v1", "Ingress"): "networking.k8s.io/v1",
        ("rbac.istio.io", "Policy"): "security.istio.io/v1",
        ("authentication.istio.io", "Policy"): "security.istio.io/v1",
    }
)
"""Kinds of API groups that are gone, and where they live now."""


def lower_one(document: Document, find: FindSecret | None = None) -> Lowered:
    """What one object declares. Never raises; the same document always gives the same.

    `find` gives Secrets to an object that is only whole together with them.
    """
    if document.problem:
        return _broken(document, document.problem, ())
    parser = KIND_PARSERS.get((document.ref.group, document.ref.kind))
    if parser is None:
        return _unknown(document)
    if document.version not in parser.versions:
        versions = ", ".join(_api_version(parser.group, v) for v in sorted(parser.versions))
        return _failed(
            problem(
                document,
                "MG1105",
                ("apiVersion",),
                f"{document.ref.kind} {document.api_version} is not supported",
                remedy=f"use {versions}",
            ),
            document,
        )
    try:
        if find is not None and parser.lower_joined is not None:
            lowered = parser.lower_joined(document, find)
        else:
            lowered = parser.lower(document)
        lowered = replace(lowered, diagnostics=(*lowered.diagnostics, *unread_annotations(document)))
        more = MORE_OF_OBJECTS.get(document.ref)
        if more is not None and not has_errors(lowered.diagnostics):
            found = more(document)
            lowered = replace(merge((lowered, found)), keep=found.keep)
    except Exception as error:  # a bug in one kind's code must not take the rest down
        return _failed(_bug(document, error), document)
    lowered = _bounded(lowered, document)
    if has_errors(lowered.diagnostics) and not lowered.keep:
        first = next(d for d in lowered.diagnostics if d.severity is Severity.ERROR)
        return _broken(document, f"{first.code}: {first.message}", lowered.diagnostics)
    return lowered


def check_alone(document: Document) -> tuple[Diagnostic, ...]:
    """What is wrong with an object of which nothing else is known, so not what it takes over."""
    return lower_one(without_override(document)).diagnostics


def lower_documents(
    documents: Iterable[Document], memo: MutableMapping[Document, Lowered] | None = None
) -> Lowered:
    """What all objects declare together; of an object defined twice the first by place holds (MG1106).

    `memo` (a `WeakKeyDictionary`, say) spares what was lowered before.
    """
    listed = tuple(documents)
    first: dict[ObjectRef, Document] = {}
    for document in listed:
        other = first.setdefault(document.ref, document)
        if document.locate() < other.locate():
            first[document.ref] = document
    parts: list[Lowered] = []
    waiting: list[Document] = []
    overrides = {d.ref: d for d in first.values() if d.ref.kind == "KongIngress" and not d.problem}
    for document in listed:
        if first[document.ref] is not document:
            parts.append(Lowered(diagnostics=(_duplicate(document, first[document.ref]),)))
            continue
        if _joins(document):
            waiting.append(document)
            continue
        named = override_of(document)
        if named is not None and (by := overrides.get(named)) is not None:
            # Not remembered: it changes with its KongIngress.
            parts.append(lower_one(overridden(document, by)))
            continue
        lowered = memo.get(document) if memo is not None else None
        if lowered is None:
            lowered = lower_one(document)
            if memo is not None:
                memo[document] = lowered
        parts.append(lowered)
    if waiting:
        secrets = {secret.name: secret for part in parts for secret in part.declared.secrets}
        # Not remembered: they change with their Secrets.
        parts.extend(lower_one(document, secrets.get) for document in waiting)
    return merge(parts)


def _joins(document: Document) -> bool:
    """Whether an object is only whole together with Secrets."""
    parser = KIND_PARSERS.get((document.ref.group, document.ref.kind))
    return parser is not None and not document.problem and parser.joins(document)


def merge(parts: Iterable[Lowered]) -> Lowered:
    """One `Lowered` that holds all of them."""
    collected: dict[str, list[object]] = {f.name: [] for f in fields(Declared)}
    diagnostics: list[Diagnostic] = []
    for part in parts:
        diagnostics.extend(part.diagnostics)
        for name, items in collected.items():
            if found := getattr(part.declared, name):
                items.extend(found)
    declared = Declared(**{name: tuple(items) for name, items in collected.items()})  # type: ignore[arg-type]
    return Lowered(declared=declared, diagnostics=tuple(diagnostics))


def _broken(document: Document, reason: str, diagnostics: tuple[Diagnostic, ...]) -> Lowered:
    broken = Broken(ref=document.ref, problem=reason, origin=document.locate())
    return Lowered(declared=Declared(broken=(broken,)), diagnostics=diagnostics)


def _bounded(lowered: Lowered, document: Document) -> Lowered:
    """At most `MAX_DIAGNOSTICS` of them, the errors first."""
    found = lowered.diagnostics
    if len(found) <= MAX_DIAGNOSTICS:
        return lowered
    kept = sorted(found, key=lambda d: d.severity is not Severity.ERROR)[:MAX_DIAGNOSTICS]
    code = kept[0].code
    more = problem(
        document, code, (), f"{len(found) - MAX_DIAGNOSTICS} more diagnostics", severity=kept[0].severity
    )
    return replace(lowered, diagnostics=(*kept, more))


def _failed(diagnostic: Diagnostic, document: Document) -> Lowered:
    return _broken(document, f"{diagnostic.code}: {diagnostic.message}", (diagnostic,))


def _unknown(document: Document) -> Lowered:
    ref = document.ref
    moved = MOVED.get((ref.group, ref.kind))
    if moved is not None:
        return _failed(
            problem(
                document,
                "MG1105",
                ("apiVersion",),
                f"{ref.kind} {document.api_version} is not supported",
                remedy=f"use {moved}",
            ),
            document,
        )
    if (known := _noted(document)) is not None:
        return Lowered(diagnostics=(known,))
    guards = ref.group in SECURITY_GROUPS or (ref.group, ref.kind) in SECURITY_KINDS
    remedy, mistaken = _near(ref)
    effect = "what it guards would be open" if guards else "it has no effect"
    diagnostic = problem(
        document,
        "MG1101",
        ("kind",),
        f"kind {ref.kind} of {document.api_version} is not supported; {effect}",
        severity=Severity.ERROR if guards or mistaken else Severity.WARNING,
        remedy=remedy,
    )
    return _failed(diagnostic, document) if guards or mistaken else Lowered(diagnostics=(diagnostic,))


def _noted(document: Document) -> Diagnostic | None:
    """About kinds that every cluster has and that have no effect here."""
    kind = (document.ref.group, document.ref.kind)
    if (why := noted.NOTED.get(kind)) is not None:
        said = f"{kind[1]} has no effect: {why}"
        return problem(document, "MG1101", ("kind",), said, severity=Severity.INFO)
    if (remedy := noted.NOT_RUN.get(kind)) is not None:
        said = f"{kind[1]} is not run; nothing of it starts"
        return problem(document, "MG1101", ("kind",), said, severity=Severity.WARNING, remedy=remedy)
    return None


def _near(ref: ObjectRef) -> tuple[str, bool]:
    """The same kind in another group, or one with a similar name; whether that must have been meant."""
    ours = {group for group, _ in KIND_PARSERS}
    for group, kind in KIND_PARSERS:
        if kind == ref.kind:
            versions = KIND_PARSERS[group, kind].versions
            return f"use apiVersion {_api_version(group, max(versions, key=len))}", ref.group in ours
    of_group = [kind for group, kind in KIND_PARSERS if group == ref.group]
    return did_you_mean(ref.kind, of_group), misspelt(ref.kind, of_group)


def _api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def _duplicate(document: Document, first: Document) -> Diagnostic:
    return problem(
        document,
        "MG1106",
        ("metadata", "name"),
        f"is already defined at {first.locate(('metadata', 'name'))}; this one has no effect",
        remedy="keep one of them",
    )


def _bug(document: Document, error: Exception) -> Diagnostic:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    # The message of the exception may hold a value, so only its type and place are told.
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return problem(
        document,
        "MG9001",
        (),
        f"{type(error).__name__} at {place}; the object is left out",
        remedy="please report it with the object",
    )
