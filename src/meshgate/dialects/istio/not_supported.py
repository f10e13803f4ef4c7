"""Istio's kinds that are known and not supported: each says what is missing without it.

One that guards something is an error, because what it closes in Istio stays open here;
the others are warnings.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.diagnostics import Severity
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.schema import problem

_ALPHA = frozenset({"v1alpha1"})
_NETWORKING = frozenset({"v1alpha3", "v1beta1", "v1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    """What a kind would have done, and what to do without it."""

    effect: str
    remedy: str = ""
    guards: bool = False
    """It closes something in Istio."""

    def lower(self, document: Document) -> Lowered:
        """MG1101 for the object, and nothing declared."""
        diagnostic = problem(
            document,
            "MG1101",
            ("kind",),
            f"{document.ref.kind} is not supported yet: {self.effect}",
            severity=Severity.ERROR if self.guards else Severity.WARNING,
            remedy=self.remedy,
        )
        return Lowered(diagnostics=(diagnostic,))


def _kind(
    group: str, kind: str, plural: str, missing: _Missing, versions: frozenset[str] = _NETWORKING
) -> KindParser:
    return KindParser(
        group=f"{group}.istio.io",
        kind=kind,
        versions=versions,
        namespaced=True,
        lower=missing.lower,
        plural=plural,
    )


_WASM = _Missing(effect="the extension does not run; what it would guard stays open", guards=True)

NOT_SUPPORTED = (_kind("extensions", "WasmPlugin", "wasmplugins", _WASM, _ALPHA),)
