"""YAML inside a text field of an object (MeshConfig in a ConfigMap, settings in an annotation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, Json
from meshgate.dialects.schema import problem
from meshgate.dialects.wording import show
from meshgate.dialects.yaml_text import read_values


def inner_document(
    outer: Document, path: FieldPath, text: str
) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """The text of a field as a document with the outer one's identity (MG1001, MG1002, MG1004, MG2001).

    Positions are exact where the text is a block scalar (`|`), else those of the field.
    """
    block = _block(outer, path, text)
    values, found = read_values(*((block[0], outer.file, block[1] - 1) if block else (text, outer.file)))
    said = [_told(d, outer, path, exact=block is not None) for d in found]
    if len(values) > 1:
        said.append(problem(outer, "MG2001", path, "must be one YAML document", remedy="remove the ---"))
    data: Json = values[0].data if values else {}
    if not isinstance(data, Mapping):
        said.append(problem(outer, "MG2001", path, f"must be an object in YAML, got {show(data)}"))
    if said or not isinstance(data, Mapping):
        return None, tuple(said)
    source = values[0].source if block and values else None
    return replace(outer, data=data, source=source, base=()), ()


def _told(diagnostic: Diagnostic, outer: Document, path: FieldPath, *, exact: bool) -> Diagnostic:
    """What is wrong with the inner text as something about the outer object."""
    at = diagnostic.origin if exact else outer.locate(path)
    message = f"is not YAML: {diagnostic.message}" if diagnostic.code == "MG1001" else diagnostic.message
    return replace(diagnostic, origin=at, object=outer.ref, field=path, message=message)


def placed(
    diagnostics: list[Diagnostic], outer: Document, inner: Document, path: FieldPath
) -> tuple[Diagnostic, ...]:
    """Diagnostics about the inner document as ones about the outer one's field."""
    at = outer.locate(path)
    return tuple(
        replace(d, field=(*path, *d.field), origin=d.origin if inner.source is not None else at)
        for d in diagnostics
    )


def _block(outer: Document, path: FieldPath, text: str) -> tuple[str, int] | None:
    """The lines of a block scalar as they are in the file, and the line of the first."""
    at = outer.locate(path)
    source = outer.source
    if source is None or not at.line or not text.strip():
        return None
    lines = source.text.splitlines(keepends=True)
    first = at.line - source.line + 1
    head = lines[first - 1][at.column - 1 :] if 0 < first <= len(lines) else ""
    if not head.startswith("|"):
        return None
    wanted = text.rstrip("\n").split("\n")
    found = lines[first : first + len(wanted)]
    indent = len(found[0]) - len(found[0].lstrip(" ")) if found else 0
    if [line.rstrip("\r\n")[indent:] for line in found] != wanted:
        return None
    return "".join(found), source.line + first
