"""Manifests under construction, each name once, and what is said about the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.kong.declarative.entities import Reference
from meshgate.dialects.schema import problem

Manifest = dict[str, object]
NOT_TAKEN_OVER = "not-taken-over"
"""A plugin that is not there: what names it is closed."""
PLUGINS = "konghq.com/plugins"
CLASS = "kubernetes.io/ingress.class"


@dataclass(slots=True)
class Manifests:
    """The output; the only thing that the steps change."""

    document: Document
    namespace: str
    made: list[Manifest] = field(default_factory=list)
    said: list[Diagnostic] = field(default_factory=list)
    _taken: set[tuple[str, str]] = field(default_factory=set)

    def add(
        self,
        kind: str,
        name: str,
        *,
        api: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        cluster: bool = False,
        **content: object,
    ) -> Manifest:
        """One more manifest; the name must be free (`name_for`)."""
        metadata: dict[str, object] = {"name": name}
        if not cluster:
            metadata["namespace"] = self.namespace
        if labels:
            metadata["labels"] = dict(labels)
        if annotations:
            metadata["annotations"] = dict(annotations)
        made = {"apiVersion": api, "kind": kind, "metadata": metadata, **content}
        self.made.append(made)
        return made

    def entry(self, path: FieldPath) -> Mapping[str, object]:
        """What stands at a path of the file; empty where it is no object."""
        found: object = self.document.data
        for part in path:
            if isinstance(found, Mapping) and isinstance(part, str):
                found = found.get(part)
            elif isinstance(found, list | tuple) and isinstance(part, int):
                found = found[part] if part < len(found) else None
            else:
                return {}
        return found if isinstance(found, Mapping) else {}

    def name_for(self, kind: str, wanted: str) -> str:
        """The text as a Kubernetes name that no other object of the kind has."""
        base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:50].strip("-") or "unnamed"
        if kind == "Service" and not base[0].isalpha():  # RFC 1035
            base = f"s-{base}"
        name, number = base, 2
        while (kind, name) in self._taken:
            name, number = f"{base}-{number}", number + 1
        self._taken.add((kind, name))
        return name

    def warn(self, path: FieldPath, message: str, remedy: str = "", *, code: str = "MG2501") -> None:
        """Something that is not as in Kong, and opens nothing."""
        self.said.append(
            problem(self.document, code, path, message, severity=Severity.WARNING, remedy=remedy)
        )

    def error(self, path: FieldPath, message: str, remedy: str = "", *, code: str = "MG2501") -> None:
        """Something that could not be taken over."""
        self.said.append(problem(self.document, code, path, message, remedy=remedy))


def annotations_of(made: Manifest) -> dict[str, str]:
    """The manifest's annotations, to be added to."""
    metadata = made["metadata"]
    assert isinstance(metadata, dict)
    found: dict[str, str] = metadata.setdefault("annotations", {})
    return found


def add_plugin_name(made: Manifest, name: str) -> None:
    """Names one more plugin on the object."""
    annotations = annotations_of(made)
    known = annotations.get(PLUGINS)
    annotations[PLUGINS] = f"{known}, {name}" if known else name


def referred(reference: Reference) -> str:
    """The name or id in a reference; empty for none."""
    if reference is None or isinstance(reference, str):
        return reference or ""
    return next((str(reference[k]) for k in ("name", "username", "id") if reference.get(k)), "")
