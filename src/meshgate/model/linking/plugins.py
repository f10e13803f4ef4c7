"""Which plugins apply to an edge route, by Kong's precedence. Internal to `link`.

Of one plugin's configurations the most specific counts: consumer with route, consumer with
service, consumer, route, service, global (Kong 3.9). A name on both an Ingress or Service
and a consumer means the combination alone, as Kong's ingress controller 3.5 reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from meshgate.core.findings import Findings
from meshgate.model.declared import ConsumerObject, EdgeRules, Plugin
from meshgate.model.linking.authorities import Authorities
from meshgate.model.linking.consumer_plugins import SCOPABLE, ConsumerPlugins
from meshgate.model.linking.consumers import consumer_id
from meshgate.model.linking.input import Input, service_ref
from meshgate.model.linking.opa import told_by_opa
from meshgate.model.linking.plugin_names import PluginNames, Scoped
from meshgate.model.linking.variants import Owners, variants
from meshgate.model.names import Name, requested_host
from meshgate.model.policies.openid import OpenidSession
from meshgate.model.policies.session_store import SessionsInRedis
from meshgate.model.policy import (
    AUTHENTICATION,
    ConsumerLimits,
    LdapAuth,
    Limits,
    MtlsAuth,
    OAuth2,
    Opa,
    OpenIdConnect,
    Policy,
    ProxyCache,
    RateLimit,
    RedisTarget,
    ResponseRateLimit,
)
from meshgate.model.route import ConsumerVariant
from meshgate.model.service import Service

_OF_ROUTES = tuple(k for k in dict.fromkeys((*AUTHENTICATION, *get_args(Policy))) if k is not RateLimit)
"""Kinds of which a route has at most one: the most specific; limits are more than that."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What the plugins make of one route."""

    policies: tuple[Policy, ...]
    variants: tuple[ConsumerVariant, ...] = ()
    problem: str = ""
    """Why the route must be closed; empty where it is open."""


class Plugins:
    """Answers which policies a route has; `consumers` in the order of their names."""

    def __init__(
        self,
        given: Input,
        consumers: Sequence[ConsumerObject],
        edges: Iterable[EdgeRules],
        findings: Findings,
    ) -> None:
        self._given = given
        self._findings = findings
        self._names = PluginNames(given, findings)
        self._global, self._global_problem = self._names.of_everybody()
        named = [(n, e.namespace) for e in edges for n in e.plugin_names]
        named += [(n, s.name.namespace) for s in given.services.values() for n in s.plugin_names]
        self._bound = frozenset(p.ref for n, namespace in named if (p := self._names.find(n, namespace)))
        self._names.bound = self._bound
        self._of_each = ConsumerPlugins(self._names, given.declared.consumer_groups, findings)
        self._known = frozenset(n for c in consumers for n in (c.username, consumer_id(c.name)) if n)
        self._authorities = Authorities(given)
        found = {c.name: self._of_each.of(c) for c in consumers if c.plugin_names or c.groups}
        self._of_consumer = {name: own for name, own in found.items() if own.own or own.of_groups}
        let_in = {n: own for n, own in self._of_consumer.items() if n not in self._of_each.closed}
        self._owners = Owners.collect(let_in, self._bound)
        everybody = Owners.collect(self._of_consumer, self._bound)
        self._names.members = everybody.members

    @property
    def closed_consumers(self) -> frozenset[Name]:
        """Consumers that refer to a plugin that cannot be had: they must not get in without it."""
        return frozenset(self._of_each.closed)

    def apply(
        self, rules: EdgeRules, service: Service | None, route_label: str, service_label: str
    ) -> Applied:
        """The policies of one route to one service, or why it is closed (MG3004)."""
        route, problem = self._names.resolve(
            rules.plugin_names,
            rules.namespace,
            rules.plugins_origin or rules.origin,
            rules.ref,
            f"route/{route_label}",
        )
        scopes = [route, (), self._global]
        if service is not None:
            scopes[1], of_service = self._names.resolve(
                service.plugin_names,
                service.name.namespace,
                service.plugins_origin or service.origin,
                service_ref(service.name),
                f"service/{service_label}",
            )
            problem = problem or of_service
        problem = problem or self._global_problem
        if problem:
            return Applied((), problem=problem)
        policies: list[Policy] = [
            p for p in (rules.https_only, rules.only_via, rules.buffering) if p is not None
        ]
        for kind in _OF_ROUTES:
            found = (s for scope in scopes for s in scope if isinstance(s.policy, kind))
            first = next((s for s in found if not self._for_consumers_alone(s)), None)
            if first is not None:
                policy = self._counting(first, rules.namespace)
                policies.append(_of_route(policy, route_label, service_label))
        stranger = next((p for p in policies if isinstance(p, AUTHENTICATION) and p.anonymous), None)
        if stranger is not None and stranger.anonymous not in self._known:
            problem = f"there is no KongConsumer {stranger.anonymous!r} for strangers"
            self._findings.error(
                "MG3010",
                stranger.origin,
                rules.ref,
                f"{problem}; the route answers 503",
                "add it, or take anonymous out of the plugin",
            )
            return Applied((), problem=problem)
        if problem := self._complete(policies, rules, route_label, service_label):
            return Applied((), problem=problem)
        authenticated = any(isinstance(p, AUTHENTICATION) for p in policies)
        limit = self._limit(scopes, authenticated, route_label)
        if limit is not None:
            redis = self._reachable(limit.redis, rules.namespace)
            policies.append(replace(limit, service_id=service_label, redis=redis))
        different = variants(policies, route, scopes[1], self._owners) if authenticated else ()
        return Applied(
            tuple(policies),
            variants=tuple(
                replace(
                    v,
                    policies=tuple(
                        _of_route(self._in_reach(p, rules.namespace), route_label, service_label)
                        for p in v.policies
                    ),
                )
                for v in different
            ),
        )

    def _for_consumers_alone(self, scoped: Scoped) -> bool:
        """Whether a plugin is for the combination of a route or service with consumers."""
        named = scoped.plugin.ref in self._names.members and not scoped.plugin.is_global
        return named and isinstance(scoped.policy, SCOPABLE)

    def _counting(self, scoped: Scoped, namespace: str) -> Policy:
        """The policy, with the name of its counters where it has any."""
        policy = scoped.policy
        if not isinstance(policy, ResponseRateLimit):
            return policy
        rule_id = f"{scoped.counter}/response-ratelimiting"
        return self._in_reach(replace(policy, rule_id=rule_id), namespace)

    def _in_reach(self, policy: Policy, namespace: str) -> Policy:
        """The policy, with the full name of where its answers' costs are counted."""
        if not isinstance(policy, ResponseRateLimit):
            return policy
        return replace(policy, redis=self._reachable(policy.redis, namespace))

    def _complete(
        self, policies: list[Policy], rules: EdgeRules, route_label: str, service_label: str
    ) -> str:
        """Puts into policies what other objects hold; why that cannot be had (empty: it can)."""
        for i, policy in enumerate(policies):
            match policy:
                case MtlsAuth():
                    policies[i], problem = self._authorities.fill(policy)
                    code = "MG3005"
                    if not problem and policy.default_consumer not in self._known | {""}:
                        code, problem = "MG3010", f"there is no KongConsumer {policy.default_consumer!r}"
                    if problem:
                        message = f"mtls-auth: {problem}; the route answers 503"
                        self._findings.error(code, policy.origin, rules.ref, message)
                        return problem
                case Opa():
                    told = told_by_opa(policy, rules, route_label, service_label)
                    policies[i] = replace(told, host=self._full(policy.host, rules.namespace))
                case LdapAuth():
                    policies[i] = replace(policy, host=self._full(policy.host, rules.namespace))
                case OpenIdConnect(session=OpenidSession(store=SessionsInRedis() as store) as session):
                    full = store.at(lambda node: (self._full(node[0], rules.namespace), node[1]))
                    kept = replace(session, store=full)
                    policies[i] = replace(policy, session=kept)
                case _:
                    pass
        return ""

    def _full(self, host: str, namespace: str) -> str:
        """A short host that is a service of ours gets its full name; any other stays as written."""
        full = requested_host(host, namespace)
        return full if full in self._given.hosts else host

    def _reachable(self, target: RedisTarget | None, namespace: str) -> RedisTarget | None:
        """The same Redis by its full name."""
        return replace(target, host=self._full(target.host, namespace)) if target is not None else None

    def _limit(
        self, scopes: Sequence[Sequence[Scoped]], authenticated: bool, route_label: str
    ) -> RateLimit | None:
        limits = [(s, s.policy) for scope in scopes for s in scope if isinstance(s.policy, RateLimit)]
        base: RateLimit | None = None
        shared: list[tuple[Plugin, RateLimit]] = []
        for scoped, policy in limits:
            policy = replace(policy, rule_id=f"{scoped.counter}/rate-limiting")
            members = any(scoped.plugin in own.limits for own in self._of_consumer.values())
            if members and not scoped.plugin.is_global:
                shared.append((scoped.plugin, policy))
            elif base is None:
                base = policy
        own: list[ConsumerLimits] = []
        template = base
        for name, of_one in self._owners.of_consumer.items() if authenticated else ():
            plugins = of_one.limits
            chosen = next(((p, r) for p, r in shared if p in plugins), None) or next(
                (
                    (p, p.policy)
                    for p in plugins
                    if isinstance(p.policy, RateLimit) and p.ref not in self._bound
                ),
                None,
            )
            if chosen is None:
                continue
            plugin, policy = chosen
            if template is None:
                rule_id = policy.rule_id or f"route/{route_label}/rate-limiting"
                template = replace(policy, limits=Limits(), rule_id=rule_id)
            own.append(ConsumerLimits(consumer_id=consumer_id(name), limits=policy.limits))
            self._compare(plugin, policy, template)
        return replace(template, consumer_limits=tuple(own)) if template is not None else None

    def _compare(self, plugin: Plugin, policy: RateLimit, template: RateLimit) -> None:
        """A route counts in one way for all: a consumer's plugin changes its numbers only."""
        alike = replace(
            policy, limits=template.limits, rule_id=template.rule_id, origin=template.origin, service_id=""
        )
        if alike != replace(template, service_id=""):
            self._findings.warn(
                "MG1103",
                plugin.origin,
                plugin.ref,
                f"for a consumer only its limits count; all else is as at {template.origin}",
                "give both plugins the same settings but the limits",
            )


def _of_route(policy: Policy, route_label: str, service_label: str) -> Policy:
    """The policy as the route has it: what a route keeps is not given on others."""
    if isinstance(policy, ProxyCache):
        return replace(policy, route=route_label, service=service_label)
    if isinstance(policy, OAuth2):
        return replace(policy, service=service_label)
    return policy
