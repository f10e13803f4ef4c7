"""Which Sidecar a workload's proxy has, by Istio 1.27's precedence. Internal to `link`.

One that selects the workload, else its namespace's, else the root namespace's; of several the
oldest (MG3008).
"""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.findings import Findings
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.workloads import selects
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.sidecar import NOBODY, Sidecar
from meshgate.model.workload import Workload


def link_sidecars(given: Input, workloads: Mapping[str, Workload], findings: Findings) -> dict[str, Sidecar]:
    """Sidecar by workload key; MG3007, MG3008, MG3011."""
    listed = oldest_first(given.declared.sidecars)
    selecting = [s for s in listed if s.selector]
    general: dict[str, Sidecar] = {}
    for sidecar in (s for s in listed if not s.selector):
        first = general.setdefault(sidecar.namespace, sidecar)
        if first is not sidecar:
            _collide(sidecar, first, "for the same namespace", findings)
    for sidecar in listed:
        _report_hosts(sidecar, given, findings)
    found: dict[str, Sidecar] = {}
    used: set[int] = set()
    for key, workload in workloads.items():
        if not workload.meshed:
            continue
        namespace = workload.name.namespace
        fitting = [s for s in selecting if s.namespace == namespace and selects(s.selector, workload.labels)]
        used.update(id(s) for s in fitting)
        for other in fitting[1:]:
            _collide(other, fitting[0], f"for Deployment {workload.name}", findings)
        chosen = fitting[0] if fitting else general.get(namespace) or general.get(ROOT_NAMESPACE)
        if chosen is not None:
            found[key] = chosen
    for sidecar in selecting:
        if id(sidecar) not in used:
            wanted = ", ".join(f"{k}={v}" for k, v in sorted(sidecar.selector.items()))
            findings.warn(
                "MG3007",
                sidecar.origin,
                sidecar.ref,
                f"no meshed Deployment in namespace {sidecar.namespace} has the pod labels {wanted}",
                "make the selector and the pod template's labels agree",
                ("spec", "workloadSelector"),
            )
    return found


def _collide(sidecar: Sidecar, older: Sidecar, scope: str, findings: Findings) -> None:
    findings.warn(
        "MG3008",
        sidecar.origin,
        sidecar.ref,
        f"{older.ref} at {older.origin} is older and decides {scope}; this one has no effect there",
        "merge the two",
    )


def _report_hosts(sidecar: Sidecar, given: Input, findings: Findings) -> None:
    """MG3011 for an egress host that imports nothing."""
    known = {(s.name.namespace, host) for host, s in given.hosts.items()}
    known |= {(r.namespace, host.lower()) for r in given.declared.mesh_rules for host in r.hosts}
    for i, entry in enumerate(sidecar.egress):
        for j, host in enumerate(entry.hosts):
            if host.namespace == NOBODY or host.host == "*":
                continue
            if not any(host.takes(namespace, name, sidecar.namespace) for namespace, name in known):
                findings.warn(
                    "MG3011",
                    sidecar.origin,
                    sidecar.ref,
                    f"{host.namespace}/{host.host} is no host of the mesh; it imports nothing",
                    "write namespace/host, the host with its full name",
                    ("spec", "egress", i, "hosts", j),
                )
