"""Plugins of connections and datagrams: TCPIngresses, UDPIngresses and the Services behind them.

Kong runs few plugins for what is not HTTP. `ip-restriction` is one of them; of the most specific scope,
as for requests: TCPIngress, Service, everybody's. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshgate.core.findings import Findings
from meshgate.model.linking.input import Input, service_ref
from meshgate.model.linking.plugin_names import PLUGINS_FIELD, PluginNames, connection_guards
from meshgate.model.policy import (
    AUTHENTICATION,
    Acl,
    BotDetection,
    ExternalAuth,
    IpRestriction,
    Opa,
    PostFunction,
    PreFunction,
    RateLimit,
    RequestSize,
    ResponseRateLimit,
    Termination,
)
from meshgate.model.service import Service
from meshgate.model.stream_ingress import StreamIngress, StreamIngressRule

_GUARDS = (
    *AUTHENTICATION,
    Acl,
    BotDetection,
    ExternalAuth,
    Opa,
    PostFunction,
    PreFunction,
    RateLimit,
    RequestSize,
    ResponseRateLimit,
    Termination,
)
"""What lets not all requests in, and cannot be asked of connections."""
_CLOSES = "its rules open nothing"


@dataclass(frozen=True, slots=True)
class StreamPolicies:
    """What holds for a rule's connections."""

    restriction: IpRestriction | None = None
    closed: bool = False
    """A plugin that guards cannot be had: nothing is opened."""


class StreamPlugins:
    """Answers what a rule's plugins are (MG3004, MG1104, MG1103)."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._given, self._findings = given, findings
        self._names = PluginNames(given, findings)

    def of_ingress(self, ingress: StreamIngress) -> StreamPolicies:
        """Those that the object itself names; reported once for all of its rules."""
        at = ingress.plugins_origin or ingress.origin
        scoped, problem = self._names.resolve(
            ingress.plugin_names, ingress.ref.namespace, at, ingress.ref, "stream", closes=_CLOSES
        )
        found = StreamPolicies(closed=bool(problem))
        for one in scoped:
            name = f"plugin {one.plugin.plugin}"
            if isinstance(one.policy, IpRestriction):
                found = StreamPolicies(restriction=one.policy, closed=found.closed)
            elif isinstance(one.policy, _GUARDS):
                message = f"{name} is for requests, and what it guards would be open; {_CLOSES}"
                self._findings.error("MG1104", at, ingress.ref, message, "take it out", PLUGINS_FIELD)
                found = StreamPolicies(restriction=found.restriction, closed=True)
            else:
                message = f"{name} is not run for connections; it has no effect"
                self._findings.warn("MG1103", at, ingress.ref, message, "take it out", PLUGINS_FIELD)
        return found

    def of_rule(
        self, own: StreamPolicies, ingress: StreamIngress, rule: StreamIngressRule, service: Service
    ) -> StreamPolicies:
        """What holds for connections to the Service; `own` are the object's."""
        scoped, problem = self._names.resolve(
            connection_guards(service, self._given),
            service.name.namespace,
            service.plugins_origin or service.origin,
            service_ref(service.name),
            "stream",
            closes=f"no rule of {ingress.ref} opens it",
        )
        closed = own.closed or bool(problem)
        restrictions = [own.restriction, *(s.policy for s in scoped if isinstance(s.policy, IpRestriction))]
        for policy in self._of_everybody():
            if policy is None and not closed:
                message = (
                    "a global plugin is broken, and what it may guard would be open; the rule opens nothing"
                )
                self._findings.error("MG3004", rule.origin, ingress.ref, message, "mend it")
                closed = True
            restrictions.append(policy)
        return StreamPolicies(restriction=next((r for r in restrictions if r), None), closed=closed)

    def _of_everybody(self) -> Iterator[IpRestriction | None]:
        """Global ones, the first that counts for requests too; None: one that may be it is broken."""
        for _, plugin in sorted(self._given.plugins.items(), key=lambda item: str(item[1].ref)):
            if not plugin.is_global or plugin.disabled:
                continue
            if isinstance(plugin.policy, IpRestriction):
                yield plugin.policy
            elif plugin.policy is None and plugin.plugin in ("", "ip-restriction"):
                yield None
