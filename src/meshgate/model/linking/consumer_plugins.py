"""Plugins that KongConsumers and KongConsumerGroups name. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from meshgate.core.findings import Findings
from meshgate.model.declared import ConsumerGroupObject, ConsumerObject, Plugin
from meshgate.model.linking.plugin_names import OF_CONSUMER, PLUGINS_FIELD, PluginNames
from meshgate.model.names import Name
from meshgate.model.policy import (
    Acl,
    Acme,
    Authentication,
    BotDetection,
    Buffering,
    CorrelationId,
    CrossOrigin,
    ExternalAuth,
    GrpcGateway,
    GrpcWeb,
    HttpsOnly,
    IpRestriction,
    Log,
    OnlyVia,
    Opa,
    PostFunction,
    PreFunction,
    Prometheus,
    ProxyCache,
    RateLimit,
    Redirection,
    RequestSize,
    RequestTransformer,
    ResponseRateLimit,
    ResponseTransformer,
    Termination,
    Tracer,
)

SCOPABLE = (
    CorrelationId
    | IpRestriction
    | ProxyCache
    | RequestSize
    | RequestTransformer
    | ResponseRateLimit
    | ResponseTransformer
    | Redirection
    | Termination
    | GrpcGateway
    | GrpcWeb
    | Tracer
    | Prometheus
    | Log
)
"""Plugins that can be for one consumer: they run when it is known who asks, or once more then (see
`policies.late`). Limits can be too, in their own way."""

OF_EVERYBODY = (
    Authentication
    | Opa
    | Acl
    | Acme
    | BotDetection
    | CrossOrigin
    | ExternalAuth
    | HttpsOnly
    | OnlyVia
    | Buffering
    | PreFunction
    | PostFunction
)
"""What holds before it is known who asks, or decides that: nothing for one consumer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlugins:
    """What a consumer has beside what routes and services have."""

    own: tuple[Plugin, ...]
    of_groups: tuple[Plugin, ...]

    @property
    def limits(self) -> tuple[Plugin, ...]:
        """Its own limits; without any, those of its groups, as in Kong 3.9."""
        own = tuple(p for p in self.own if isinstance(p.policy, RateLimit))
        return own or tuple(p for p in self.of_groups if isinstance(p.policy, RateLimit))[:1]


class ConsumerPlugins:
    """Answers which plugins a consumer has of its own; `closed` must not get in without theirs."""

    def __init__(self, names: PluginNames, groups: Iterable[ConsumerGroupObject], findings: Findings) -> None:
        self._names, self._findings = names, findings
        self._groups: Mapping[Name, ConsumerGroupObject] = {
            group.name: group for group in sorted(groups, key=lambda g: (g.name, g.origin), reverse=True)
        }
        self.closed: set[Name] = set()

    def of(self, consumer: ConsumerObject) -> OwnPlugins:
        """Those that it names, and those of its groups."""
        own = self._named_by(consumer, consumer)
        of_groups: list[Plugin] = []
        for name in consumer.groups:
            group = self._groups.get(Name(consumer.name.namespace, name))
            if group is None:
                self.closed.add(consumer.name)
                self._findings.error(
                    "MG3010",
                    consumer.origin,
                    consumer.ref,
                    f"there is no KongConsumerGroup {consumer.name.namespace}/{name}; "
                    "the consumer cannot get in",
                    "add it, or take its name away",
                    ("consumerGroups",),
                )
                continue
            of_groups += self._named_by(consumer, group)
        return OwnPlugins(own=own, of_groups=tuple(of_groups))

    def _named_by(
        self, member: ConsumerObject, consumer: ConsumerObject | ConsumerGroupObject
    ) -> tuple[Plugin, ...]:
        """What a consumer or one of its groups names; what cannot be for a consumer is reported."""
        at = consumer.plugins_origin or consumer.origin
        scoped, problem = self._names.resolve(
            consumer.plugin_names,
            consumer.name.namespace,
            at,
            consumer.ref,
            OF_CONSUMER,
            closes="the consumer cannot get in",
        )
        if problem:
            self.closed.add(member.name)
        for entry in scoped:
            if isinstance(entry.policy, RateLimit | SCOPABLE):
                continue
            if not isinstance(entry.policy, OF_EVERYBODY):
                assert_never(entry.policy)
            self._findings.warn(
                "MG2006",
                at,
                consumer.ref,
                f"plugin {entry.plugin.plugin} cannot be set for a consumer; it has no effect",
                "name it on the Ingress or the Service",
                PLUGINS_FIELD,
            )
        return tuple(s.plugin for s in scoped if isinstance(s.policy, RateLimit | SCOPABLE))
