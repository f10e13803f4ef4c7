"""What a route's plugins are for consumers who have plugins of their own. Internal to `link`.

Of one plugin's configurations the most specific counts: consumer with route, group with route,
consumer with service, group with service, consumer, group, route, service, global (Kong 3.9).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.declared import Plugin
from meshgate.model.linking.consumer_plugins import SCOPABLE, OwnPlugins
from meshgate.model.linking.consumers import consumer_id
from meshgate.model.linking.plugin_names import OF_CONSUMER, Scoped
from meshgate.model.names import Name
from meshgate.model.policy import Policy, ResponseRateLimit
from meshgate.model.route import ConsumerClass, ConsumerVariant


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Who has plugins of his own, and which of these are for combinations alone."""

    of_consumer: Mapping[Name, OwnPlugins]
    bound: frozenset[ObjectRef]
    """Plugins that an Ingress, a route or a Service names: with a consumer, for the combination."""
    classes: tuple[tuple[OwnPlugins, ConsumerClass], ...]
    """Those that can make variants, each once with its consumers."""

    @classmethod
    def collect(cls, of_consumer: Mapping[Name, OwnPlugins], bound: frozenset[ObjectRef]) -> Owners:
        """Thousands of consumers of one group count once for each route."""
        found: dict[tuple[tuple[ObjectRef, ...], ...], tuple[OwnPlugins, list[str]]] = {}
        for name, own in of_consumer.items():
            if any(isinstance(p.policy, SCOPABLE) for p in (*own.own, *own.of_groups)):
                key = (tuple(p.ref for p in own.own), tuple(p.ref for p in own.of_groups))
                found.setdefault(key, (own, []))[1].append(consumer_id(name))
        classes = tuple(
            (own, ConsumerClass(name=_class_name(key), consumers=tuple(sorted(ids))))
            for key, (own, ids) in found.items()
        )
        return cls(of_consumer=of_consumer, bound=bound, classes=classes)

    @property
    def members(self) -> frozenset[ObjectRef]:
        """Plugins that a consumer or group names."""
        return frozenset(p.ref for own in self.of_consumer.values() for p in (*own.own, *own.of_groups))


def variants(
    base: Sequence[Policy], route: Sequence[Scoped], service: Sequence[Scoped], owners: Owners
) -> tuple[ConsumerVariant, ...]:
    """The policies that stand in the place of `base` for some consumers; alike ones together."""
    found: dict[tuple[Policy, ...], list[ConsumerClass]] = {}
    for own, members in owners.classes:
        chosen = _chosen(route, service, own, owners.bound)
        if not chosen:
            continue
        kept = [chosen.pop(type(policy), policy) for policy in base]
        policies = (*kept, *chosen.values())
        found.setdefault(policies, []).append(members)
    return tuple(ConsumerVariant(classes=tuple(c), policies=p) for p, c in found.items())


def _class_name(key: tuple[tuple[ObjectRef, ...], ...]) -> str:
    """Says nothing about the plugins but whether they are the same."""
    text = "|".join(",".join(map(str, refs)) for refs in key)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _chosen(
    route: Sequence[Scoped], service: Sequence[Scoped], own: OwnPlugins, bound: frozenset[ObjectRef]
) -> dict[type[Policy], Policy]:
    """Kind of plugin -> the consumer's own configuration of it."""
    levels = (
        _among(route, own.own),
        _among(route, own.of_groups),
        _among(service, own.own),
        _among(service, own.of_groups),
        _alone(own.own, bound),
        _alone(own.of_groups, bound),
    )
    chosen: dict[type[Policy], Policy] = {}
    for policy in (p for level in levels for p in level):
        chosen.setdefault(type(policy), policy)
    return chosen


def _among(scope: Sequence[Scoped], plugins: Sequence[Plugin]) -> Iterable[Policy]:
    return (
        _counted(s.policy, s.plugin, s.counter)
        for s in scope
        if s.plugin in plugins and isinstance(s.policy, SCOPABLE)
    )


def _alone(plugins: Sequence[Plugin], bound: frozenset[ObjectRef]) -> Iterable[Policy]:
    return (
        _counted(p.policy, p, OF_CONSUMER)
        for p in plugins
        if isinstance(p.policy, SCOPABLE) and p.ref not in bound
    )


def _counted(policy: Policy, plugin: Plugin, scope: str) -> Policy:
    """With a name of its own for its counters: for a consumer alone they are those of all routes."""
    if not isinstance(policy, ResponseRateLimit):
        return policy
    return replace(policy, rule_id=f"{scope}/{plugin.name}/response-ratelimiting")
