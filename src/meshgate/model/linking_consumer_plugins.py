"""Plugins that KongConsumers and KongConsumerGroups name. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from meshgate.model.declared import ConsumerGroupObject, ConsumerObject, Plugin
from meshgate.model.linking_input import Findings
from meshgate.model.linking_plugin_names import OF_CONSUMER, PLUGINS_FIELD, PluginNames
from meshgate.model.names import Name
from meshgate.model.policy import (
    Acl,
    BasicAuth,
    BotDetection,
    CorrelationId,
    CrossOrigin,
    GrpcGateway,
    GrpcWeb,
    HmacAuth,
    HttpsOnly,
    IpRestriction,
    JwtAuth,
    KeyAuth,
    LdapAuth,
    MtlsAuth,
    Opa,
    OpenIdConnect,
    PostFunction,
    PreFunction,
    ProxyCache,
    RateLimit,
    Redirection,
    RequestSize,
    RequestTransformer,
    ResponseTransformer,
    Termination,
)


class ConsumerPlugins:
    """Answers which limits a consumer has of its own; `closed` must not get in without theirs."""

    def __init__(self, names: PluginNames, groups: Iterable[ConsumerGroupObject], findings: Findings) -> None:
        self._names, self._findings = names, findings
        self._groups: Mapping[Name, ConsumerGroupObject] = {
            group.name: group for group in sorted(groups, key=lambda g: (g.name, g.origin), reverse=True)
        }
        self.closed: set[Name] = set()

    def of(self, consumer: ConsumerObject) -> tuple[Plugin, ...]:
        """Its own, then those of its groups whose kind it has none of, as in Kong 3.9."""
        found = list(self._named_by(consumer, consumer))
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
            known = {type(p.policy) for p in found}
            found += [p for p in self._named_by(consumer, group) if type(p.policy) not in known]
        return tuple(found)

    def _named_by(
        self, member: ConsumerObject, consumer: ConsumerObject | ConsumerGroupObject
    ) -> tuple[Plugin, ...]:
        """The limits that a consumer or one of its groups names; what else it names is reported."""
        at = consumer.plugins_origin or consumer.origin
        scoped, problem = self._names.resolve(
            consumer.plugin_names, consumer.name.namespace, at, consumer.ref, OF_CONSUMER
        )
        if problem:
            self.closed.add(member.name)
        for entry in scoped:
            match entry.policy:
                case (
                    JwtAuth()
                    | KeyAuth()
                    | BasicAuth()
                    | HmacAuth()
                    | LdapAuth()
                    | MtlsAuth()
                    | Opa()
                    | OpenIdConnect()
                    | Acl()
                    | BotDetection()
                    | CrossOrigin()
                    | HttpsOnly()
                    | PreFunction()
                    | PostFunction()
                ):
                    self._findings.warn(
                        "MG2006",
                        at,
                        consumer.ref,
                        f"plugin {entry.plugin.plugin} cannot be set for a consumer; it has no effect",
                        "name it on the Ingress or the Service",
                        PLUGINS_FIELD,
                    )
                case RateLimit():
                    pass
                case IpRestriction() | RequestSize() | Termination() | Redirection():
                    self.closed.add(member.name)
                    self._findings.error(
                        "MG1104",
                        at,
                        consumer.ref,
                        f"plugin {entry.plugin.plugin} for one consumer is not supported; "
                        "the consumer cannot get in",
                        "name it on the Ingress or the Service",
                        PLUGINS_FIELD,
                    )
                case (
                    CorrelationId()
                    | GrpcGateway()
                    | GrpcWeb()
                    | ProxyCache()
                    | RequestTransformer()
                    | ResponseTransformer()
                ):
                    self._findings.warn(
                        "MG1103",
                        at,
                        consumer.ref,
                        f"plugin {entry.plugin.plugin} for one consumer is not supported; it has no effect",
                        "name it on the Ingress or the Service",
                        PLUGINS_FIELD,
                    )
                case _:
                    assert_never(entry.policy)
        return tuple(s.plugin for s in scoped if isinstance(s.policy, RateLimit))
