"""Collects diagnostics about objects: the only thing that the steps of a link or an analysis change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity, ordered
from meshgate.core.origin import FieldPath, Origin


@dataclass(slots=True)
class Findings:
    """What has been found so far."""

    _found: list[Diagnostic] = field(default_factory=list)

    def error(
        self, code: str, at: Origin, ref: ObjectRef, message: str, remedy: str = "", path: FieldPath = ()
    ) -> None:
        """Something for which the object, or a part of it, does not count."""
        self._add(Severity.ERROR, code, at, ref, message, remedy, path)

    def warn(
        self, code: str, at: Origin, ref: ObjectRef, message: str, remedy: str = "", path: FieldPath = ()
    ) -> None:
        """Something that will surprise."""
        self._add(Severity.WARNING, code, at, ref, message, remedy, path)

    def note(
        self, code: str, at: Origin, ref: ObjectRef, message: str, remedy: str = "", path: FieldPath = ()
    ) -> None:
        """Something worth knowing."""
        self._add(Severity.INFO, code, at, ref, message, remedy, path)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Takes up what others found."""
        self._found.extend(diagnostics)

    def all(self) -> tuple[Diagnostic, ...]:
        """By position, without repeats, whatever order they were found in."""
        return ordered(
            sorted(self._found, key=lambda d: (str(d.object or ""), d.severity.value, d.message, d.remedy))
        )

    def _add(
        self,
        severity: Severity,
        code: str,
        at: Origin,
        ref: ObjectRef,
        message: str,
        remedy: str,
        path: FieldPath,
    ) -> None:
        self._found.append(
            Diagnostic(
                severity=severity,
                code=code,
                origin=at,
                message=message,
                object=ref,
                field=path,
                remedy=remedy,
            )
        )
