"""EnvoyFilters: whose proxies each patch is for, and in which order patches are applied.

As Istio 1.27: those of the root namespace first, then those of the workload's own; in each by
priority, then creation time, then name. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshgate.core.findings import Findings
from meshgate.model.envoy_patch import GATEWAY_PATCHES, EnvoyFilter, EnvoyPatch, area_of, patch_key
from meshgate.model.linking.authorization import EDGE_NAMESPACES
from meshgate.model.linking.gateway_hosts import takes_gateway
from meshgate.model.linking.input import Input
from meshgate.model.linking.workloads import selects
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.workload import Workload


def link_envoy_patches(
    given: Input, workloads: Mapping[str, Workload], findings: Findings
) -> dict[str, tuple[EnvoyPatch, ...]]:
    """The patches by `patch_key`; MG3007 for an EnvoyFilter that selects no proxy."""
    filters = _in_order(given.declared.envoy_filters)
    if not filters:
        return {}
    meshed = [w for w in workloads.values() if w.meshed]
    found: dict[str, list[EnvoyPatch]] = {}
    for one in filters:
        used = _for_gateway(one)
        if used:
            _add(found, GATEWAY_PATCHES, one)
        for namespace in sorted({w.name.namespace for w in meshed if _takes(one, w)}):
            _add(found, namespace, one)
            used = True
        if not used:
            _report(one, findings)
    return {key: tuple(patches) for key, patches in sorted(found.items())}


def _in_order(filters: Iterable[EnvoyFilter]) -> list[EnvoyFilter]:
    return sorted(
        filters,
        key=lambda f: (
            f.namespace != ROOT_NAMESPACE,
            f.priority,
            f.created,
            f"{f.ref.name}.{f.namespace}",
            f.origin,
        ),
    )


def _takes(one: EnvoyFilter, workload: Workload) -> bool:
    in_scope = one.namespace in (ROOT_NAMESPACE, workload.name.namespace)
    return in_scope and any(not p.gateways and selects(p.selector, workload.labels) for p in one.patches)


def _for_gateway(one: EnvoyFilter) -> bool:
    if any(p.gateways for p in one.patches):
        return True
    return one.namespace in EDGE_NAMESPACES and any(takes_gateway(p.selector) for p in one.patches)


def _add(found: dict[str, list[EnvoyPatch]], namespace: str, one: EnvoyFilter) -> None:
    for patch in one.patches:
        found.setdefault(patch_key(namespace, area_of(patch.apply_to)), []).append(patch)


def _report(one: EnvoyFilter, findings: Findings) -> None:
    selector = one.patches[0].selector if one.patches else {}
    wanted = ", ".join(f"{k}={v}" for k, v in sorted(selector.items()))
    where = "any namespace" if one.namespace == ROOT_NAMESPACE else f"namespace {one.namespace}"
    having = f" with the pod labels {wanted}" if wanted else ""
    findings.warn(
        "MG3007",
        one.origin,
        one.ref,
        f"there is no meshed Deployment{having} in {where}, and the gateway is not meant; nothing is patched",
        "make the selector and the pod template's labels agree",
        ("spec", "workloadSelector") if wanted else (),
    )
