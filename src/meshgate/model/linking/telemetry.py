"""What each proxy tells about its traffic: Telemetry and MeshConfig, by Istio 1.27's precedence.

The mesh's oldest Telemetry without a selector holds everywhere, a namespace's adds to it, and
the oldest one that selects the workload adds to both; what a later one says replaces what an
earlier one said, field by field as Istio merges them. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.graph import EDGE
from meshgate.model.linking.gateway_hosts import takes_gateway
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.merged_telemetry import MergedTelemetry
from meshgate.model.linking.telemetry_providers import Providers
from meshgate.model.linking.workloads import selects
from meshgate.model.names import GATEWAY_NAMESPACE, ROOT_NAMESPACE
from meshgate.model.telemetry import (
    MESH_KEY,
    STANDARD,
    Mode,
    Observation,
    TelemetryObject,
    namespace_key,
)
from meshgate.model.workload import Workload

_EDGE_NAMESPACES = (GATEWAY_NAMESPACE, "istio-ingress")
"""Beside the root namespace: where Telemetries for the gateway are."""


def link_telemetry(
    given: Input, workloads: Mapping[str, Workload], findings: Findings
) -> dict[str, Observation]:
    """By `*` (the mesh), `<namespace>/*`, workload key and `gateway`, only where it differs."""
    telemetry = _Telemetry(given, findings)
    found: dict[str, Observation] = {}
    mesh = telemetry.of(())
    if mesh != STANDARD:
        found[MESH_KEY] = mesh
    for namespace in telemetry.namespaces():
        wide = telemetry.of(telemetry.wide(namespace))
        if namespace != ROOT_NAMESPACE and wide != mesh:
            found[namespace_key(namespace)] = wide
        for key, workload in workloads.items():
            if workload.meshed and workload.name.namespace == namespace:
                chosen = telemetry.selecting(namespace, workload.labels)
                if chosen is not None:
                    found[key] = telemetry.of((*telemetry.wide(namespace), chosen))
    edge = telemetry.edge()
    if edge != mesh:
        found[EDGE] = edge
    telemetry.report_idle()
    return found


class _Telemetry:
    """Which Telemetries hold for whom."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._findings = findings
        self._objects = oldest_first(given.declared.telemetries)
        self._used: set[int] = set()
        self._providers = Providers(given, findings)
        self._said: set[Origin] = set()

    def namespaces(self) -> list[str]:
        return sorted({one.namespace for one in self._objects})

    def wide(self, namespace: str) -> tuple[TelemetryObject, ...]:
        """A namespace's own, without a selector; only the oldest counts (MG3008)."""
        if namespace == ROOT_NAMESPACE:
            return ()
        return self._first(o for o in self._objects if o.namespace == namespace and not o.selector)

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> TelemetryObject | None:
        """The oldest of a namespace that selects a workload."""
        found = self._first(
            o
            for o in self._objects
            if o.namespace == namespace and o.selector and selects(o.selector, labels)
        )
        return found[0] if found else None

    def edge(self) -> Observation:
        """The gateway's: of its namespaces' Telemetries, and those that select it."""
        objects = [o for namespace in _EDGE_NAMESPACES for o in self.wide(namespace)]
        inside = (*_EDGE_NAMESPACES, ROOT_NAMESPACE)
        chosen = self._first(
            o for o in self._objects if o.namespace in inside and o.selector and takes_gateway(o.selector)
        )
        return self.of((*objects, *chosen))

    def _first(self, objects: Iterable[TelemetryObject]) -> tuple[TelemetryObject, ...]:
        found = tuple(objects)
        self._used.update(id(one) for one in found)
        for other in found[1:]:
            if other.origin not in self._said:
                self._said.add(other.origin)
                self._findings.warn(
                    "MG3008",
                    other.origin,
                    other.ref,
                    f"{found[0].ref} at {found[0].origin} is older and says it for the same workloads",
                    "join the two",
                    ("spec",),
                )
        return found[:1]

    def report_idle(self) -> None:
        """MG3007 for every Telemetry whose selector took nothing."""
        for one in self._objects:
            if one.selector and id(one) not in self._used:
                wanted = ", ".join(f"{k}={v}" for k, v in one.selector.items())
                self._findings.warn(
                    "MG3007",
                    one.origin,
                    one.ref,
                    f"no meshed Deployment in namespace {one.namespace} has the pod labels {wanted}",
                    "make the selector and the pod template's labels agree",
                    ("spec", "selector"),
                )

    def of(self, objects: Sequence[TelemetryObject]) -> Observation:
        """What holds where these, the widest first, come after the mesh's own."""
        root = self._first(o for o in self._objects if o.namespace == ROOT_NAMESPACE and not o.selector)
        merged = MergedTelemetry(self._providers, (*root, *objects))
        return Observation(client=merged.side(Mode.CLIENT), server=merged.side(Mode.SERVER))
