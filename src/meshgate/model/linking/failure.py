"""Whether traffic may go on without a sidecar that is down: `meshgate.dev/on-sidecar-failure: bypass`.

A sidecar that guards something must not be opened by ending it, so `bypass` counts only where
anybody may come in without it as well. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.core.findings import Findings
from meshgate.model.authorization import Action, Guard
from meshgate.model.workload import Inbound, MtlsMode, Workload

_ANNOTATION = "meshgate.dev/on-sidecar-failure"
_FIELD = ("spec", "template", "metadata", "annotations", _ANNOTATION)


def link_failure(
    workloads: Mapping[str, Workload], inbound: Mapping[str, Inbound], findings: Findings
) -> dict[str, Workload]:
    """The workloads; `bypass` is taken back, with MG3071, where the sidecar guards something."""
    linked = dict(workloads)
    for key, workload in workloads.items():
        guarded = _guarded(inbound[key]) if workload.meshed and workload.bypass else ""
        if not guarded:
            continue
        linked[key] = replace(workload, bypass=False)
        findings.error(
            "MG3071",
            workload.origin,
            workload.ref,
            f"its sidecar is not bypassed when it is down: {guarded}",
            f"take that away, or set {_ANNOTATION}: block",
            _FIELD,
        )
    return linked


def _guarded(inbound: Inbound) -> str:
    """What the sidecar keeps out; empty where it keeps out nothing."""
    if inbound.default_mtls is MtlsMode.STRICT:
        return "it accepts mutual TLS only (PeerAuthentication STRICT)"
    strict = [str(port.port) for port in inbound.ports if port.mtls is MtlsMode.STRICT]
    if strict:
        return f"port {strict[0]} accepts mutual TLS only (PeerAuthentication STRICT)"
    if _decides(inbound.guard):
        return "an AuthorizationPolicy or RequestAuthentication decides who may call it"
    return ""


def _decides(guard: Guard) -> bool:
    enforced = (action for action in Action if action is not Action.AUDIT)
    return bool(guard.closed or guard.jwt or guard.authorizers or any(guard.of(a) for a in enforced))
