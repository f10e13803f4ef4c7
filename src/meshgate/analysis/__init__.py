"""Advice about manifests that work, and perhaps not as meant: what `istioctl analyze` would find.

What is wrong is found where it is parsed and linked, always. What is here costs more and matters
only to people who ask (`meshgate analyze`); it looks at the declared objects and the linked
model, and changes nothing.
"""

from __future__ import annotations

from meshgate.analysis import (
    claims,
    envoy_filters,
    gateways,
    matches,
    mtls,
    namespaces,
    ports,
    virtual_services,
)
from meshgate.core.diagnostics import Diagnostic
from meshgate.core.findings import Findings
from meshgate.model.declared import Declared
from meshgate.model.graph import Model

__all__ = ["advise"]

_ANALYZERS = (
    namespaces.analyze,
    ports.analyze,
    virtual_services.analyze,
    matches.analyze,
    gateways.analyze,
    mtls.analyze,
    claims.analyze,
    envoy_filters.analyze,
)
"""Each a function of everything declared and of its model."""


def advise(declared: Declared, model: Model) -> tuple[Diagnostic, ...]:
    """Warnings and information (MG31xx), by position. Pure; never an error."""
    advice = Findings()
    for analyze in _ANALYZERS:
        analyze(declared, model, advice)
    return advice.all()
