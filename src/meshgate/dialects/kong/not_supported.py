"""Kong's kinds that are known and not supported: each says what is missing without it."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.diagnostics import Severity
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.schema import problem


@dataclass(frozen=True, slots=True)
class _Missing:
    """What a kind would have done."""

    effect: str

    def lower(self, document: Document) -> Lowered:
        """MG1101 for the object, and nothing declared."""
        diagnostic = problem(
            document,
            "MG1101",
            ("kind",),
            f"{document.ref.kind} is not supported yet: {self.effect}",
            severity=Severity.WARNING,
        )
        return Lowered(diagnostics=(diagnostic,))


def _kind(kind: str, plural: str, version: str, effect: str, *, namespaced: bool = True) -> KindParser:
    return KindParser(
        group="configuration.konghq.com",
        kind=kind,
        versions=frozenset({version}),
        namespaced=namespaced,
        lower=_Missing(effect).lower,
        plural=plural,
    )


NOT_SUPPORTED = (
    _kind("KongLicense", "konglicenses", "v1alpha1", "no license is needed", namespaced=False),
    _kind("KongVault", "kongvaults", "v1alpha1", "references to it stay closed", namespaced=False),
    _kind("KongCustomEntity", "kongcustomentities", "v1alpha1", "it has no effect"),
)
