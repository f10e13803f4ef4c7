"""User mistakes as data: collected, sorted and printed together, never raised.

Every code is listed in `codes.py` with its title; `docs/diagnostics.md` is made from it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from meshgate.core.codes import CODES
from meshgate.core.origin import FieldPath, Origin, format_path


class Severity(enum.Enum):
    """How much a diagnostic weighs; an `ERROR` keeps its object out of the configuration."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """The identity of an object of any dialect; prints as `Kind namespace/name`."""

    kind: str
    namespace: str
    """Empty for kinds without a namespace."""
    name: str
    group: str = ""
    """API group, e.g. `networking.istio.io`; empty for the core group."""

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that a user should know about one place in the input."""

    severity: Severity
    code: str
    """Stable, from `codes.CODES`, e.g. `MG2103`."""
    origin: Origin
    message: str
    """The rule and the value, e.g. `must be >= 1, got -5`. Never a secret."""
    object: ObjectRef | None = None
    field: FieldPath = ()
    remedy: str = ""
    """What to do about it; empty only where the message already says so."""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unregistered diagnostic code {self.code}")

    def __str__(self) -> str:
        subject = f" {self.object}" if self.object else ""
        field = f" {format_path(self.field)}" if self.field else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.origin}: {self.severity.value} {self.code}{subject}{field}: {self.message}{remedy}"


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The same diagnostics by position, without repeats."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.origin, d.code, format_path(d.field), d.message)))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)
