"""Kong's plugins that count requests, as data. They only watch."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """Kong's `prometheus`: what is counted of a route, for whoever asks."""

    per_consumer: bool = False
    status_codes: bool = False
    latencies: bool = False
    upstream_health: bool = False
    """Whether a scrape says how the gateway's targets are: all of them, as in Kong."""
    bandwidth: bool = False
    origin: Origin = BUILT_IN
