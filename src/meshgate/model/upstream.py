"""How the gateway chooses and checks a Service's endpoints, by a KongUpstreamPolicy."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.destination import LoadBalancer, Outliers
from meshgate.model.health import ActiveCheck
from meshgate.model.names import Name


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPolicy:
    """A KongUpstreamPolicy; what is None is as it would be without it."""

    ref: ObjectRef
    name: Name
    balancer: LoadBalancer | None = None
    outliers: Outliers | None = None
    check: ActiveCheck | None = None
    least_healthy_percent: float = 0
    """Where fewer endpoints are well, none gets requests; 0: as long as one is."""
    origin: Origin = BUILT_IN
