"""DestinationRules per host and namespace, merged as Istio merges them. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.model.declared import DestinationRules
from meshgate.model.destination import DestinationPolicy, Subset, TrafficPolicy
from meshgate.model.graph import workload_key
from meshgate.model.linking.endpoints import selected_machines
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.workloads import selects
from meshgate.model.names import complete_host
from meshgate.model.workload import Workload

_UNSET = TrafficPolicy()
_Key = tuple[str, str, bool, tuple[tuple[str, str], ...]]
"""(host, namespace, whether it is for every client, selector)."""


def link_destinations(given: Input, findings: Findings) -> dict[str, tuple[DestinationPolicy, ...]]:
    """By full or wildcard host, one policy per namespace and workload selector, sorted by both.

    Of several rules with the same selector the oldest is the base; a later one adds subsets with
    new names, and its top-level policy counts only while there is none (Istio 1.27,
    `mergeDestinationRule`).
    What has no effect is MG3008.
    """
    merged: dict[_Key, DestinationPolicy] = {}
    bases: dict[_Key, DestinationRules] = {}
    for rules in oldest_first(given.declared.destination_rules):
        host = complete_host(rules.host, rules.namespace)
        # Rules for chosen pods come before the one for all, and stay by themselves.
        key = (host, rules.namespace, rules.selector is None, rules.selector or ())
        given.report_host(rules.host, key[0], rules.origin, rules.ref, ("spec", "host"))
        base = bases.setdefault(key, rules)
        if base is rules:
            subsets = _added((), rules, rules, findings)
            merged[key] = DestinationPolicy(
                host=key[0],
                namespace=rules.namespace,
                policy=rules.policy,
                subsets=subsets,
                export_to=rules.export_to,
                selector=rules.selector,
                origin=rules.origin,
            )
            continue
        known = merged[key]
        policy = known.policy
        if policy == _UNSET:
            policy = rules.policy
        elif rules.policy != _UNSET:
            _ignored(rules, base, "its trafficPolicy has no effect", findings)
        if rules.export_to not in (known.export_to, ("*",)):
            _ignored(rules, base, "its exportTo has no effect", findings)
        merged[key] = replace(
            known, policy=policy, subsets=known.subsets + _added(known.subsets, rules, base, findings)
        )
    hosts: dict[str, tuple[DestinationPolicy, ...]] = {}
    for (host, *_), entry in sorted(merged.items(), key=lambda item: item[0]):
        hosts[host] = (*hosts.get(host, ()), entry)
    return hosts


def report_upgrades(
    destinations: Mapping[str, tuple[DestinationPolicy, ...]],
    backends: Mapping[str, tuple[str, ...]],
    workloads: Mapping[str, Workload],
    findings: Findings,
) -> None:
    """MG1103 where `h2UpgradePolicy: UPGRADE` meets pods without a sidecar: they keep HTTP/1.1.

    Whether their program speaks HTTP/2 cannot be told; if it does, the port's name says so.
    """
    for host, policies in destinations.items():
        bare = [k for k in backends.get(host, ()) if not workloads[k].meshed]
        for policy in policies if bare else ():
            parts = (policy.policy, *(s.policy for s in policy.subsets))
            every = [p for part in parts for p in (part, *(own for _, own in part.ports))]
            if any(p.pool is not None and p.pool.h2_upgrade for p in every):
                name = host.partition(".")[0]
                findings.warn(
                    "MG1103",
                    policy.origin,
                    ObjectRef("DestinationRule", policy.namespace, name, "networking.istio.io"),
                    f"h2UpgradePolicy has no effect on pods without a sidecar ({bare[0]})",
                    remedy="name the port http2, or give them a sidecar",
                )


def report_empty_subsets(
    given: Input,
    destinations: Mapping[str, tuple[DestinationPolicy, ...]],
    backends: Mapping[str, tuple[str, ...]],
    findings: Findings,
) -> None:
    """MG3007 for subsets of a service with pods of which none has the subset's labels."""
    workloads = {workload_key(name): workload for name, workload in given.workloads.items()}
    for rules in given.declared.destination_rules:
        host = complete_host(rules.host, rules.namespace)
        service = given.hosts.get(host)
        pods = [workloads[key].labels for key in backends.get(host, ())]
        if service is None or not pods or selected_machines(service, given):
            continue
        in_force = {s.origin for policy in destinations[host] for s in policy.subsets}
        for index, subset in enumerate(rules.subsets):
            if subset.origin in in_force and not any(selects(subset.labels, labels) for labels in pods):
                wanted = ", ".join(f"{k}={v}" for k, v in sorted(subset.labels.items()))
                findings.warn(
                    "MG3007",
                    subset.origin,
                    rules.ref,
                    f"no Deployment of {service.name} has the pod labels {wanted}; "
                    f"requests to subset {subset.name!r} get 503",
                    "make the subset's labels and the pod template's agree",
                    ("spec", "subsets", index, "labels"),
                )


def _added(
    known: tuple[Subset, ...], rules: DestinationRules, base: DestinationRules, findings: Findings
) -> tuple[Subset, ...]:
    names = {s.name for s in known}
    added: list[Subset] = []
    for subset in rules.subsets:
        if subset.name in names:
            _ignored(
                rules, base, f"subset {subset.name!r} is already defined; this one has no effect", findings
            )
            continue
        names.add(subset.name)
        added.append(subset)
    return tuple(added)


def _ignored(rules: DestinationRules, base: DestinationRules, what: str, findings: Findings) -> None:
    findings.warn(
        "MG3008",
        rules.origin,
        rules.ref,
        f"{base.ref} at {base.origin} is older and for the same host: {what}",
        "merge the two",
    )
