"""What of one file is in force: its objects, each in its last good version where the newest is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity, has_errors
from meshgate.dialects.document import Document, reuse
from meshgate.sources.stored import Problem, SourceText

Check = Callable[[Document], tuple[Diagnostic, ...]]
"""The verdict on one object by itself (`dialects.registry.lower_one`)."""


@dataclass(frozen=True, slots=True)
class FileInForce:
    """One file, as far as it holds."""

    documents: tuple[Document, ...] = ()
    good: Mapping[ObjectRef, Document] = field(default_factory=dict)
    """Versions that were accepted, for when the next is not."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def accept(old: FileInForce, source: str, text: SourceText, check: Check) -> FileInForce:
    """What is in force when a file that was `old` holds `text`.

    Where a part of it cannot be read, nothing of it counts as removed.
    """
    documents = reuse(old.documents, text.documents)
    by_ref: dict[ObjectRef, list[Diagnostic]] = {}
    for diagnostic in text.diagnostics:
        if diagnostic.object is not None and diagnostic.severity is Severity.ERROR:
            by_ref.setdefault(diagnostic.object, []).append(diagnostic)
    unread = tuple(d for d in text.diagnostics if d.severity is Severity.ERROR and d.object is None)
    in_force: list[Document] = []
    good: dict[ObjectRef, Document] = {}
    problems: list[Problem] = []
    for document in documents:
        ref = document.ref
        verdict = () if old.good.get(ref) is document else check(document)
        if not document.problem and not has_errors(verdict):
            good.setdefault(ref, document)
            in_force.append(document)
            continue
        last = old.good.get(ref)
        if last is not None and ref not in good:
            good[ref] = last
        in_force.append(last or document)
        said = [*by_ref.pop(ref, ()), *(d for d in verdict if d.severity is Severity.ERROR)]
        problems.append(Problem(source=source, ref=ref, diagnostics=tuple(said), last_good=last is not None))
    if unread:
        named = {document.ref for document in documents}
        kept = [document for document in old.documents if document.ref not in named]
        in_force.extend(kept)
        good.update({d.ref: old.good[d.ref] for d in kept if d.ref in old.good})
        problems.append(Problem(source=source, ref=None, diagnostics=unread, last_good=bool(kept)))
    told = {d for problem in problems for d in problem.diagnostics}
    warnings = tuple(d for d in text.diagnostics if d not in told)
    return FileInForce(tuple(in_force), MappingProxyType(good), tuple(problems), warnings)
