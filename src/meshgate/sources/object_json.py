"""Objects as JSON: their parts, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshgate.core.diagnostics import Diagnostic, ordered
from meshgate.core.origin import format_path
from meshgate.dialects.document import Json
from meshgate.sources.backend import (
    AdminError,
    DiagnosticLine,
    JsonObject,
)
from meshgate.sources.kinds import KindName

_SERVER_MEMBERS = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")


def without_server_members(data: Mapping[str, Json]) -> dict[str, Json]:
    """An object as a user would write it."""
    metadata = data.get("metadata")
    kept = {k: v for k, v in data.items() if k != "status"}
    if isinstance(metadata, Mapping):
        inner = {k: v for k, v in metadata.items() if k not in _SERVER_MEMBERS}
        kept["metadata"] = {k: v for k, v in inner.items() if v != {}}
    return kept


def keep_identity(before: Mapping[str, Json], after: Mapping[str, Json]) -> None:
    """AdminError where a change would make it another object."""
    for path in (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")):
        if member(before, path) != member(after, path):
            raise AdminError("invalid", f"{'.'.join(path)} cannot be changed", "make a new object instead")


def member(data: Json, path: Iterable[str]) -> Json:
    """What lies at a path; None where nothing does."""
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def not_found(kind: KindName, name: str) -> str:
    """In kubectl's words."""
    return f'{kind.resource} "{name}" not found'


def deleted_name(kind: KindName, name: str) -> str:
    """As kubectl names what it has deleted."""
    singular = f"{kind.kind.lower()}.{kind.group}" if kind.group else kind.kind.lower()
    return f'{singular} "{name}"'


def metadata_of(obj: JsonObject) -> JsonObject:
    """Its metadata; empty where there is none."""
    found = obj.get("metadata")
    return found if isinstance(found, Mapping) else {}


def labels_of(obj: JsonObject) -> Mapping[str, str]:
    """Its labels; empty where there are none."""
    found = metadata_of(obj).get("labels")
    return found if isinstance(found, Mapping) else {}


def is_kind(obj: JsonObject, kind: KindName) -> bool:
    """Whether the object is of that kind, in any version."""
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return (group, obj.get("kind")) == (kind.group, kind.kind)


def place_of(obj: JsonObject) -> tuple[str, str]:
    """Namespace and name."""
    metadata = metadata_of(obj)
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def lines_of(diagnostics: Iterable[Diagnostic]) -> tuple[DiagnosticLine, ...]:
    """Diagnostics for JSON, by position."""
    return tuple(line_of(d) for d in ordered(diagnostics))


def line_of(diagnostic: Diagnostic) -> DiagnosticLine:
    """A diagnostic for JSON."""
    return DiagnosticLine(
        file=diagnostic.origin.file,
        line=diagnostic.origin.line,
        column=diagnostic.origin.column,
        severity=diagnostic.severity.value,
        code=diagnostic.code,
        object=str(diagnostic.object) if diagnostic.object else "",
        field=format_path(diagnostic.field),
        message=diagnostic.message,
        remedy=diagnostic.remedy,
    )
