"""Collects what the analyzers say."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.core.origin import FieldPath, Origin


@dataclass(slots=True)
class Advice:
    """The only thing that analyzers change."""

    given: list[Diagnostic] = field(default_factory=list)

    def warn(
        self, code: str, at: Origin, ref: ObjectRef, message: str, remedy: str, path: FieldPath = ()
    ) -> None:
        """Something that will surprise."""
        self._add(Severity.WARNING, code, at, ref, message, remedy, path)

    def note(
        self, code: str, at: Origin, ref: ObjectRef, message: str, remedy: str, path: FieldPath = ()
    ) -> None:
        """Something worth knowing."""
        self._add(Severity.INFO, code, at, ref, message, remedy, path)

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
        self.given.append(
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
