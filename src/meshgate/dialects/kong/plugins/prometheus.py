"""Kong's `prometheus`: requests are counted for whoever asks (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.model.policies.counts import Prometheus


class PrometheusConfig(Config):
    """Every field of the plugin."""

    SILENT: ClassVar[Mapping[str, object]] = dict.fromkeys(("ai_metrics", "wasm_metrics"), False)
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "ai_metrics": "there is nothing of that kind to count",
        "wasm_metrics": "there is nothing of that kind to count",
    }

    per_consumer: bool = False
    status_code_metrics: bool = False
    latency_metrics: bool = False
    bandwidth_metrics: bool = False
    upstream_health_metrics: bool = False


def lower_prometheus(config: PrometheusConfig, report: Report) -> Prometheus:
    """The policy."""
    return Prometheus(
        per_consumer=config.per_consumer,
        status_codes=config.status_code_metrics,
        latencies=config.latency_metrics,
        bandwidth=config.bandwidth_metrics,
        upstream_health=config.upstream_health_metrics,
        origin=report.origin(),
    )
