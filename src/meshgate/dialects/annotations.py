"""What all readers of annotations share; `annotation_list` says which there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.annotation_list import (
    CONSUMERS,
    KONG,
    MESHGATE,
    ROUTES,
    SERVICE,
    STREAM_INGRESSES,
    STREAM_ROUTES,
    State,
    exists,
    find,
    names,
)
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.schema import did_you_mean, problem, show

PLUGINS = f"{KONG}plugins"
_HAVE_READERS = frozenset((*ROUTES, *STREAM_ROUTES, *STREAM_INGRESSES, *CONSUMERS, *SERVICE))
"""Kinds whose parsers say themselves what they make of Kong's annotations."""
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds whose parser sees to annotations of ours."""


def split_list(text: str) -> tuple[str, ...]:
    """The items of a comma list, trimmed, each once, without empty ones."""
    return tuple(dict.fromkeys(item for part in text.split(",") if (item := part.strip())))


def annotation_path(name: str) -> FieldPath:
    """The field path of an object's annotation."""
    return ("metadata", "annotations", name)


def unknown_annotation(name: str, document: Document, prefix: str) -> Diagnostic:
    """The error about an annotation of Kong's or ours that does not exist."""
    return problem(
        document,
        "MG2005",
        annotation_path(name),
        f"unknown annotation {name}",
        remedy=near_annotation(name, document.ref.kind, prefix),
        key=True,
    )


def near_annotation(name: str, kind: str, prefix: str) -> str:
    """`did you mean ...?` with one that the kind has, if one is near."""
    near = did_you_mean(name.removeprefix(prefix), (n.removeprefix(prefix) for n in names(kind, prefix)))
    return near.replace("did you mean ", f"did you mean {prefix}")


def is_plugin_name(text: str) -> bool:
    """Whether it is `NAME` or, for a plugin of another namespace (KIC 3.4), `NAMESPACE:NAME`."""
    parts = text.split(":")
    return len(parts) <= 2 and all(map(is_dns_name, parts))


def plugin_problems(value: str, document: Document) -> Iterator[Diagnostic]:
    for item in split_list(value):
        if not is_plugin_name(item):
            yield problem(
                document,
                "MG2005",
                annotation_path(PLUGINS),
                f"must be a comma list of KongPlugin names, got {show(item)}",
            )


def without_effect(name: str, document: Document) -> Diagnostic:
    """A warning for a Kong annotation that exists, an error for one that does not."""
    if not exists(name):
        return unknown_annotation(name, document, KONG)
    found = find(name, document.ref.kind)
    reason = "is not supported" if found else f"means nothing on a {document.ref.kind}"
    noted = found is not None and found.state is State.NOTED
    return problem(
        document,
        "MG2005",
        annotation_path(name),
        f"{name} {reason}; it has no effect",
        severity=Severity.INFO if noted else Severity.WARNING,
        key=True,
    )


def unread_annotations(document: Document) -> Iterator[Diagnostic]:
    """Kong's and ours on an object whose kind has no reader for them (MG2005)."""
    kind = document.ref.kind
    prefixes = () if kind in _HAVE_READERS else (KONG,) if kind in _WORKLOADS else (KONG, MESHGATE)
    metadata = document.data.get("metadata")
    written = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    for name in written if isinstance(written, Mapping) else ():
        prefix = next((p for p in prefixes if str(name).startswith(p)), None)
        if prefix is None:
            continue
        found = find(name, kind)
        if found is not None and found.state is State.WORKS:
            continue
        if exists(name):
            yield without_effect(name, document)
            continue
        said = unknown_annotation(name, document, prefix)
        yield replace(said, severity=Severity.WARNING, message=f"{said.message}; it has no effect")
