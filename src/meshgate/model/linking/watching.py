"""Plugins that only watch, where somebody would wait for what they tell. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.findings import Findings
from meshgate.model.graph import EDGE
from meshgate.model.linking.input import Input
from meshgate.model.policies.receivers import receivers
from meshgate.model.policy import TRACERS, Log, Tracer
from meshgate.model.telemetry import MESH_KEY, STANDARD, Observation


def report_twice_traced(given: Input, telemetry: Mapping[str, Observation], findings: Findings) -> None:
    """MG3114: Envoy's own tracer writes its headers behind all plugins, in the place of theirs."""
    edge = telemetry.get(EDGE, telemetry.get(MESH_KEY, STANDARD))
    if edge.client.tracing is None:
        return
    for plugin in given.plugins.values():
        if isinstance(plugin.policy, TRACERS) and not plugin.disabled:
            findings.warn(
                "MG3114",
                plugin.origin,
                plugin.ref,
                "a Telemetry traces the gateway too: its headers replace those that the plugin sends to "
                "services, and spans are sent twice",
                "let one of them trace the gateway",
            )


def report_receivers(given: Input, findings: Findings) -> None:
    """MG3002 where a receiver is a Service without such a port: nothing is told."""
    for plugin in given.plugins.values():
        if not isinstance(plugin.policy, Log | Tracer):
            continue
        for host, port in receivers(plugin.policy):
            service = given.hosts.get(host)
            if service is not None and service.external is None and service.port(port) is None:
                findings.warn(
                    "MG3002",
                    plugin.origin,
                    plugin.ref,
                    f"its receiver {host} has no port {port}; nothing is told",
                    "name one of the Service's ports",
                )
