"""What holds for a sidecar's process: MeshConfig, ProxyConfigs and the pod's own annotation.

As Istio 1.27: `defaultConfig`, then the ProxyConfig of the root namespace, that of the namespace,
the annotation `proxy.istio.io/config`, and the ProxyConfig that selects the workload; each over
the one before, field by field. Of two for one place the oldest holds. Internal to `link`.
"""

from __future__ import annotations

from dataclasses import replace

from meshgate.core.findings import Findings
from meshgate.model.declared import ProxyConfigObject
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.mesh_config import GatewayTopology, ProxySettings
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.workload import Workload


class SidecarSettings:
    """Settings by workload; MG3007 and MG3008 about ProxyConfigs."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._findings = findings
        # The gateway and the tracing of all proxies are told by the mesh alone.
        self._mesh = replace(
            given.mesh_config.defaults, tracing_sampling_percent=None, topology=GatewayTopology()
        )
        self._namespaces: dict[str, ProxyConfigObject] = {}
        self._selecting: list[ProxyConfigObject] = []
        self._used: set[int] = set()
        for one in oldest_first(given.declared.proxy_configs):
            if one.selector:
                self._selecting.append(one)
                continue
            first = self._namespaces.setdefault(one.namespace, one)
            if first is not one:
                self._collide(one, first, "for the same namespace")

    def of(self, workload: Workload) -> ProxySettings:
        """All that holds for the sidecars of a workload."""
        namespace = workload.name.namespace
        found = self._mesh
        for place in dict.fromkeys((ROOT_NAMESPACE, namespace)):
            if place in self._namespaces:
                found = self._namespaces[place].settings.over(found)
        found = workload.proxy.over(found)
        fitting = [
            one
            for one in self._selecting
            if one.namespace == namespace and one.selector.items() <= workload.labels.items()
        ]
        self._used.update(id(one) for one in fitting)
        for other in fitting[1:]:
            self._collide(other, fitting[0], f"for Deployment {workload.name}")
        return fitting[0].settings.over(found) if fitting else found

    def report_idle(self) -> None:
        """MG3007 for every ProxyConfig that selects no meshed workload."""
        for one in self._selecting:
            if id(one) not in self._used:
                wanted = ", ".join(f"{k}={v}" for k, v in sorted(one.selector.items()))
                self._findings.warn(
                    "MG3007",
                    one.origin,
                    one.ref,
                    f"no meshed Deployment in namespace {one.namespace} has the pod labels {wanted}",
                    "make the selector and the pod template's labels agree",
                    ("spec", "selector"),
                )

    def _collide(self, one: ProxyConfigObject, older: ProxyConfigObject, scope: str) -> None:
        self._findings.warn(
            "MG3008",
            one.origin,
            one.ref,
            f"{older.ref} at {older.origin} is older and decides {scope}; this one has no effect there",
            "merge the two",
        )
