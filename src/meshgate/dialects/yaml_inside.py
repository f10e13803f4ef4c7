"""YAML inside a text field of an object (MeshConfig in a ConfigMap, settings in an annotation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import yaml
from yaml._yaml import CParser

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.compose import ComposeError, Composer
from meshgate.dialects.document import Document, Json, Source
from meshgate.dialects.schema import problem


def inner_document(
    outer: Document, path: FieldPath, text: str
) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """The text of a field as a document with the outer one's identity (MG1001, MG1002, MG1004, MG2001).

    Positions are exact where the text is a block scalar (`|`), else those of the field.
    """
    block = _block(outer, path, text)
    source_text, line = block or (text, 0)
    try:
        composed = Composer(CParser(source_text)).next_document()
    except (ComposeError, yaml.YAMLError) as error:
        code = error.code if isinstance(error, ComposeError) else "MG1001"
        message = str(error).splitlines()[0][:200]
        return None, (problem(outer, code, path, f"is not YAML: {message}"),)
    data: Json = composed.data if composed else None
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        return None, (problem(outer, "MG2001", path, "must be an object in YAML"),)
    problems = (
        [problem(outer, p.code, path, p.message, remedy=p.remedy) for p in composed.problems]
        if composed
        else []
    )
    source = Source(text=source_text, line=line, root=composed.root) if block and composed else None
    inner = replace(outer, data=data, source=source, base=())
    return (None if problems else inner), tuple(problems)


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
