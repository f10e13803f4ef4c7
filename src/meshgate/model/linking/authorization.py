"""What stands before each workload and the gateway: AuthorizationPolicy, RequestAuthentication.

Policies of the workload, of its namespace and of the root namespace hold together, as in
Istio 1.27: none replaces another. What is broken closes what it would have guarded.
Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from meshgate.core.findings import Findings
from meshgate.model.authorization import (
    AuthorizationPolicy,
    Guard,
    JwtRule,
    RequestAuthentication,
    Target,
    TargetKind,
)
from meshgate.model.graph import workload_key
from meshgate.model.linking.authorizers import Authorizers
from meshgate.model.linking.gateway_hosts import takes_gateway
from meshgate.model.linking.input import Input
from meshgate.model.linking.trust_domains import with_aliases
from meshgate.model.linking.workloads import selects
from meshgate.model.names import (
    GATEWAY_NAMESPACE,
    ROOT_NAMESPACE,
    Name,
    requested_host,
    service_host,
)
from meshgate.model.workload import Inbound, Workload

KINDS = ("AuthorizationPolicy", "RequestAuthentication")
EDGE_NAMESPACES = frozenset({ROOT_NAMESPACE, GATEWAY_NAMESPACE, "istio-ingress"})
"""Where policies for the gateway are: with ours, or where Istio's manifests keep theirs."""

Policy = AuthorizationPolicy | RequestAuthentication
P = TypeVar("P", AuthorizationPolicy, RequestAuthentication)


def link_guards(
    given: Input,
    workloads: Mapping[str, Workload],
    backends: Mapping[str, tuple[str, ...]],
    inbound: Mapping[str, Inbound],
    findings: Findings,
) -> tuple[dict[str, Inbound], Guard, dict[str, Guard]]:
    """The inbound of every workload with its guard, the gateway's, and those of Gateways of the
    Gateway API that a policy names (`namespace/name`); MG3007, MG3031."""
    guards = _Guards(given, backends, findings)
    guarded = {
        key: replace(one, guard=guard) if (guard := guards.of(workloads[key])) != Guard() else one
        for key, one in inbound.items()
    }
    edge = guards.edge()
    named = {
        str(name): guard
        for one in given.declared.api_gateways
        for name in [Name(one.ref.namespace, one.ref.name)]
        if (guard := guards.named(name)) != edge
    }
    guards.report_idle(findings)
    return guarded, edge, named


class _Guards:
    def __init__(self, given: Input, backends: Mapping[str, tuple[str, ...]], findings: Findings) -> None:
        self._given, self._backends = given, backends
        self._authorizers = Authorizers(given, findings)
        self._authorization = _by_name(given.declared.authorization_policies)
        self._authentication = _by_name(given.declared.request_authentications)
        self._broken = tuple(b for kind in KINDS for b in given.broken_of(kind))
        self._used: set[int] = set()

    def of(self, workload: Workload) -> Guard:
        """What stands before a workload's own ports."""
        namespace = workload.name.namespace

        def covers(policy: Policy) -> bool:
            if policy.targets:
                return any(self._aims_at(t, policy.namespace, workload) for t in policy.targets)
            in_scope = policy.namespace in (namespace, ROOT_NAMESPACE)
            return in_scope and selects(policy.selector, workload.labels)

        return self._guard(covers, frozenset({namespace, ROOT_NAMESPACE}))

    def edge(self) -> Guard:
        """What stands before the gateway."""
        return self._guard(_is_for_the_edge, EDGE_NAMESPACES)

    def named(self, gateway: Name) -> Guard:
        """What stands before a Gateway of the Gateway API: the same, and what names it."""
        target = Target(kind=TargetKind.GATEWAY, name=gateway.name)

        def covers(policy: Policy) -> bool:
            named = policy.namespace == gateway.namespace and target in policy.targets
            return named or _is_for_the_edge(policy)

        return self._guard(covers, EDGE_NAMESPACES)

    def report_idle(self, findings: Findings) -> None:
        """MG3007 for every policy that selects by label and took nothing, MG3031 also for those."""
        self._authorizers.of(self._authorization)
        policies: tuple[Policy, ...] = (*self._authorization, *self._authentication)
        for policy in policies:
            if id(policy) not in self._used and policy.targets and not policy.closed:
                findings.warn(
                    "MG3007",
                    policy.origin,
                    policy.ref,
                    f"no Gateway of namespace {policy.namespace} has a name that it targets",
                    "name a Gateway of the Gateway API beside the policy",
                    ("spec",),
                )
            if id(policy) in self._used or not policy.selector or policy.targets:
                continue
            wanted = ", ".join(f"{k}={v}" for k, v in sorted(policy.selector.items()))
            where = "any namespace" if policy.namespace == ROOT_NAMESPACE else f"namespace {policy.namespace}"
            findings.warn(
                "MG3007",
                policy.origin,
                policy.ref,
                f"no meshed Deployment in {where} has the pod labels {wanted}",
                "make the selector and the pod template's labels agree",
                ("spec", "selector"),
            )

    def _guard(self, covers: Callable[[Policy], bool], namespaces: frozenset[str]) -> Guard:
        policies = tuple(p for p in self._authorization if covers(p))
        tokens = tuple(p for p in self._authentication if covers(p))
        self._used.update(id(p) for p in (*policies, *tokens))
        reasons = [p.closed for p in policies if p.closed] + [p.closed for p in tokens if p.closed]
        reasons += [f"{b.ref} is broken" for b in self._broken if b.ref.namespace in namespaces]
        aliases = self._given.mesh_config.trust_domain_aliases
        authorizers, problems = self._authorizers.of(policies)
        reasons += problems
        return Guard(
            policies=tuple(with_aliases(p, aliases) for p in policies if not p.closed),
            authorizers=authorizers,
            jwt=tuple(self._rule(r, p.namespace) for p in tokens for r in p.rules),
            closed="; ".join(dict.fromkeys(reasons)),
        )

    def _aims_at(self, target: Target, namespace: str, workload: Workload) -> bool:
        match target.kind:
            case TargetKind.GATEWAY:
                return False
            case TargetKind.SERVICE:
                keys = self._backends.get(service_host(Name(namespace, target.name)))
                if keys is not None:
                    return workload_key(workload.name) in keys
            case TargetKind.OTHER:
                pass
        return namespace in (workload.name.namespace, ROOT_NAMESPACE)

    def _rule(self, rule: JwtRule, namespace: str) -> JwtRule:
        """The rule with the service of ours that has its keys, if it is one."""
        remote = rule.remote
        if remote is None or remote.tls:
            return rule
        host = requested_host(remote.host, namespace)
        service = self._given.hosts.get(host)
        if service is None or service.port(remote.port) is None or service.external_name:
            return rule
        return replace(rule, remote=replace(remote, service=host))


def _is_for_the_edge(policy: Policy) -> bool:
    if any(t.kind is TargetKind.GATEWAY for t in policy.targets):
        return bool(policy.closed)
    if policy.namespace not in EDGE_NAMESPACES:
        return False
    if policy.targets:
        return any(t.kind is TargetKind.OTHER for t in policy.targets)
    return takes_gateway(policy.selector)


def _by_name(policies: Iterable[P]) -> tuple[P, ...]:
    return tuple(sorted(policies, key=lambda p: (p.namespace, p.ref.name, p.origin)))
