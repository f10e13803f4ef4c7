"""One object as a user wrote it, with its identity checked and its positions on demand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import FieldPath, Origin
from meshgate.dialects.positions import locate_in_text

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A JSON value; read-only by its type (lists and dicts underneath, shared by aliases)."""

DEFAULT_NAMESPACE = "default"

CLUSTER_SCOPED = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("configuration.konghq.com", "KongClusterPlugin"),
        ("configuration.konghq.com", "KongVault"),
        ("configuration.konghq.com", "KongLicense"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("networking.k8s.io", "IngressClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
    }
)
"""(group, kind) of objects that have no namespace."""

_IN_PLACE: Mapping[FieldPath, FieldPath] = MappingProxyType({})
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_dns_label(text: str) -> bool:
    """Whether it is an RFC 1123 label: at most 63 of a-z, 0-9 and inner hyphens."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    """Whether it is an RFC 1123 subdomain of at most 253 characters."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The text of one YAML document, enough to find any of its positions again."""

    text: str
    """From the start of the document's first line to its end."""
    line: int
    """1-based line of the file at which `text` starts."""
    root: tuple[int, int]
    """Line and column of the root value in `text`, from 0; asked for so often that it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Document:
    """One object; compared by identity, so that what was made of it can be remembered by it."""

    ref: ObjectRef
    api_version: str
    data: Mapping[str, Json]
    """The whole object; never changed after reading."""
    file: str
    namespace_given: bool
    """Whether `metadata.namespace` was written (otherwise it is `default`)."""
    problem: str = ""
    """Why the object cannot be used though its name is known; the diagnostics were given with it."""
    source: Source | None = None
    """None where there is no text (objects from the API)."""
    base: FieldPath = ()
    """Path of this object in its text, e.g. `("items", 3)` in a List."""
    moved: Mapping[FieldPath, FieldPath] = field(default_factory=lambda: _IN_PLACE)
    """Fields that are not in the text -> where the text says what they are."""

    @property
    def namespace(self) -> str:
        """The namespace, `default` where none was written, empty for cluster-scoped kinds."""
        return self.ref.namespace

    @property
    def version(self) -> str:
        """The version of `apiVersion`: `v1beta1` of `networking.istio.io/v1beta1`."""
        return self.api_version.rpartition("/")[2]

    @property
    def created(self) -> str:
        """`metadata.creationTimestamp`, RFC 3339; empty where there is none (files)."""
        metadata = self.data.get("metadata")
        stamp = metadata.get("creationTimestamp") if isinstance(metadata, Mapping) else None
        return stamp if isinstance(stamp, str) else ""

    @property
    def generation(self) -> int:
        """`metadata.generation`, which rises with every change of what is wanted; 0 in files."""
        metadata = self.data.get("metadata")
        number = metadata.get("generation") if isinstance(metadata, Mapping) else None
        return number if isinstance(number, int) and not isinstance(number, bool) else 0

    def locate(self, path: FieldPath = (), *, key: bool = False) -> Origin:
        """Where a field's value (or its key) is written; the nearest parent where it is missing."""
        for length in range(len(path), 0, -1) if self.moved else ():
            elsewhere = self.moved.get(tuple(map(str, path[:length])))
            if elsewhere is not None:
                return locate(self.file, self.source, self.base + elsewhere)
        return locate(self.file, self.source, self.base + path, key=key)


def locate(file: str, source: Source | None, path: FieldPath, *, key: bool = False) -> Origin:
    """The position of a path in a source; only the file where there is no text."""
    if source is None:
        return Origin(file)
    line, column = locate_in_text(source.text, path, key=key) if path else source.root
    return Origin(file, source.line + line, column + 1)


def reuse(previous: Iterable[Document], current: Iterable[Document]) -> tuple[Document, ...]:
    """`current`, with the old document in place of each that reads the same at the same place."""
    old = {_written(d): d for d in previous if d.source is not None}
    return tuple(old.get(_written(d), d) if d.source is not None else d for d in current)


def _written(document: Document) -> tuple[str, Source | None, FieldPath]:
    return document.file, document.source, document.base
