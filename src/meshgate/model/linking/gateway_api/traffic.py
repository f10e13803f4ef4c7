"""XBackendTrafficPolicies: which Service has which, and what DestinationRules become. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from meshgate.core.findings import Findings
from meshgate.model.destination import DestinationPolicy, RetryBudget, TrafficPolicy
from meshgate.model.gateway_api import ApiGateway, BackendTrafficPolicyObject, ParentRef, Reference
from meshgate.model.graph import status_key
from meshgate.model.linking.gateway_api.status import report
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.names import ROOT_NAMESPACE, Name
from meshgate.model.service import Service
from meshgate.model.status import Condition, ObjectStatus, ParentStatus

UsedBy = Mapping[tuple[Name, int], tuple[ApiGateway, ...]]


@dataclass(slots=True)
class BackendTraffic:
    """Whose policy each Service has; of several the oldest counts."""

    of_service: dict[Name, BackendTrafficPolicyObject] = field(default_factory=dict)
    _verdicts: list[tuple[BackendTrafficPolicyObject, tuple[Condition, ...]]] = field(default_factory=list)

    @classmethod
    def collect(cls, given: Input) -> BackendTraffic:
        """All of them."""
        found = cls()
        for policy in oldest_first(given.declared.backend_traffic_policies):
            verdicts = tuple(found._take(policy, target, given) for target in policy.targets)
            found._verdicts.append((policy, verdicts))
        return found

    def _take(self, policy: BackendTrafficPolicyObject, target: Reference, given: Input) -> Condition:
        if (target.group, target.kind) != ("", "Service") or target.name not in given.services:
            message = f"there is no {target.kind} {target.name}"
            return Condition(type="Accepted", holds=False, reason="TargetNotFound", message=message)
        older = self.of_service.setdefault(target.name, policy)
        if older is not policy:
            message = f"{older.ref} is older and for the same Service"
            return Condition(type="Accepted", holds=False, reason="Conflicted", message=message)
        return Condition(type="Accepted", holds=True, reason="Accepted")

    def statuses(self, given: Input, used_by: UsedBy, findings: Findings) -> dict[str, ObjectStatus]:
        """What each policy's ancestors make of it: the Gateways that lead to its Services, else these."""
        found = {}
        for policy, verdicts in self._verdicts:
            report(verdicts, policy.origin, policy.ref, findings)
            ancestors: dict[Name, ParentStatus] = {}
            for target, verdict in zip(policy.targets, verdicts, strict=True):
                for parent in _parents(target, given, used_by):
                    known = ancestors.get(parent.name)
                    if known is None or known.conditions[0].holds:
                        ancestors[parent.name] = ParentStatus(parent=parent, conditions=(verdict,))
            status = ObjectStatus(generation=policy.generation, ancestors=tuple(ancestors.values()))
            found[status_key(policy.ref)] = status
        return found

    def join(
        self, given: Input, destinations: Mapping[str, tuple[DestinationPolicy, ...]]
    ) -> dict[str, tuple[DestinationPolicy, ...]]:
        """The DestinationRules, with the budgets of retries; their own count before these."""
        found = dict(destinations)
        for name, policy in self.of_service.items():
            if policy.retry_budget is not None:
                service = given.services[name]
                existing = found.get(service.host, ())
                found[service.host] = _with_budget(service, existing, policy.retry_budget)
        return found


def _parents(target: Reference, given: Input, used_by: UsedBy) -> list[ParentRef]:
    """The Gateways that lead to the target; itself where none does."""
    service = given.services.get(target.name)
    ports = service.ports if service else ()
    gateways = {g.name: g for p in ports for g in used_by.get((target.name, p.number), ())}
    if not gateways:
        return [ParentRef(group=target.group, kind=target.kind, name=target.name)]
    return [
        ParentRef(group=g.ref.group, kind=g.ref.kind, name=g.name, namespace_given=True)
        for g in gateways.values()
    ]


def _with_budget(
    service: Service, existing: tuple[DestinationPolicy, ...], budget: RetryBudget
) -> tuple[DestinationPolicy, ...]:
    own = service.name.namespace
    if not any(p.namespace == own and p.selector is None for p in existing):
        wide = (p for p in existing if p.namespace == ROOT_NAMESPACE and p.selector is None)
        base = next(wide, DestinationPolicy(host=service.host, namespace=own))
        existing = (*existing, replace(base, namespace=own, export_to=("*",)))
    return tuple(replace(p, policy=_budgeted(p.policy, budget)) for p in existing)


def _budgeted(policy: TrafficPolicy, budget: RetryBudget) -> TrafficPolicy:
    ports = tuple((number, _budgeted(of_port, budget)) for number, of_port in policy.ports)
    return replace(policy, retry_budget=policy.retry_budget or budget, ports=ports)
