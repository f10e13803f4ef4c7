"""DestinationRules per host and namespace, merged as Istio merges them. Internal to `link`."""

from __future__ import annotations

from dataclasses import replace

from meshgate.model.declared import DestinationRules
from meshgate.model.destination import DestinationPolicy, Subset, TrafficPolicy
from meshgate.model.linking_input import Findings, Input, oldest_first
from meshgate.model.names import complete_host

_UNSET = TrafficPolicy()


def link_destinations(given: Input, findings: Findings) -> dict[str, tuple[DestinationPolicy, ...]]:
    """By full or wildcard host, one policy per namespace, sorted by namespace.

    Of several rules the oldest is the base; a later one adds subsets with new names, and
    its top-level policy counts only while there is none (Istio 1.27, `mergeDestinationRule`).
    What has no effect is MG3008.
    """
    merged: dict[tuple[str, str], DestinationPolicy] = {}
    bases: dict[tuple[str, str], DestinationRules] = {}
    for rules in oldest_first(given.declared.destination_rules):
        key = (complete_host(rules.host, rules.namespace), rules.namespace)
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
    for (host, _), entry in sorted(merged.items()):
        hosts[host] = (*hosts.get(host, ()), entry)
    return hosts


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
