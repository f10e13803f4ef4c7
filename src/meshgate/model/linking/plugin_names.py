"""Plugins by the names that objects refer to them by. Internal to `link`.

A KongPlugin of the namespace comes before a KongClusterPlugin; one that cannot be had closes
what refers to it (MG3004), unless it only watches.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.declared import Plugin, PluginScope
from meshgate.model.linking.input import Input
from meshgate.model.names import Name
from meshgate.model.policy import Policy
from meshgate.model.service import Service

PLUGINS_FIELD = ("metadata", "annotations", "konghq.com/plugins")
_GROUP = "configuration.konghq.com"
OF_CONSUMER = "consumer"
"""The counter of plugins that consumers name; they have none of their own."""

_OBSERVERS = frozenset(
    [
        "prometheus",
        "file-log",
        "http-log",
        "tcp-log",
        "udp-log",
        "syslog",
        "statsd",
        "datadog",
        "loggly",
        "opentelemetry",
        "zipkin",
    ]
)
"""Plugins that only watch: where one is broken, or not supported, requests pass without it."""


@dataclass(frozen=True, slots=True)
class Scoped:
    """A plugin, and the scope that it was set for; the scope names its counters."""

    plugin: Plugin
    policy: Policy
    counter: str


def _elsewhere(name: str) -> Name | None:
    """The plugin that `NAMESPACE:NAME` is; None for a plain name."""
    namespace, colon, plain = name.partition(":")
    return Name(namespace, plain) if colon else None


def only_watches(plugin: Plugin) -> bool:
    return plugin.policy is None and plugin.plugin in _OBSERVERS


def connection_guards(service: Service, given: Input) -> tuple[str, ...]:
    """The Service's plugins that Kong would run for connections, and that let not all of them in."""
    return tuple(name for name in service.plugin_names if _guards_connections(name, service, given))


def _guards_connections(name: str, service: Service, given: Input) -> bool:
    own = _elsewhere(name) or Name(service.name.namespace, name)
    found = given.plugins.get((PluginScope.NAMESPACED, own)) or given.plugins.get(
        (PluginScope.CLUSTER, Name("", name))
    )
    return found is None or (found.plugin in ("", "ip-restriction") and not found.disabled)


class PluginNames:
    """Finds plugins, and reports those that cannot be had."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._given, self._findings = given, findings
        self.bound: frozenset[ObjectRef] = frozenset()
        """Plugins that edge objects name: to a consumer they are for the combination."""
        self.members: frozenset[ObjectRef] = frozenset()
        """Plugins that consumers name: to an edge object they are for the combination."""

    def of_everybody(self) -> tuple[tuple[Scoped, ...], str]:
        """The global plugins, and why every route must be closed (empty: need not)."""
        scoped: list[Scoped] = []
        problem = ""
        for _, plugin in sorted(self._given.plugins.items(), key=lambda item: str(item[1].ref)):
            if not plugin.is_global or plugin.disabled:
                continue
            if plugin.policy is None:
                if not only_watches(plugin):
                    problem = problem or f"global {plugin.ref} is broken: {plugin.problem}"
            elif any(type(s.policy) is type(plugin.policy) for s in scoped):
                self._collision(plugin, "another global plugin of its type comes first")
            else:
                scoped.append(Scoped(plugin, plugin.policy, "global"))
        return tuple(scoped), problem

    def resolve(
        self,
        names: tuple[str, ...],
        namespace: str,
        at: Origin,
        ref: ObjectRef,
        counter: str,
        *,
        closes: str = "the route answers 503",
    ) -> tuple[tuple[Scoped, ...], str]:
        """The plugins that an object names, and why it must be closed (MG3004)."""
        scoped: list[Scoped] = []
        problem = ""
        for name in dict.fromkeys(names):
            plugin = self.find(name, namespace) if self._permitted(name, ref, namespace) else None
            if plugin is not None and (plugin.disabled or only_watches(plugin)):
                continue
            if plugin is None or plugin.policy is None:
                trouble = self._trouble(name, namespace, plugin, ref)
                self._findings.error(
                    "MG3004",
                    at,
                    ref,
                    f"{trouble}; {closes}",
                    "add or mend it, or take its name away",
                    PLUGINS_FIELD,
                )
                problem = problem or trouble
            elif self._rivals(plugin, scoped, counter):
                self._collision(plugin, f"{ref} names another {plugin.plugin} plugin before it")
            else:
                scoped.append(Scoped(plugin, plugin.policy, counter))
        return tuple(scoped), problem

    def _rivals(self, plugin: Plugin, scoped: list[Scoped], counter: str) -> bool:
        """Whether another plugin of its type is there for the same requests."""
        combined = self.bound if counter == OF_CONSUMER else self.members
        others = (s for s in scoped if type(s.policy) is type(plugin.policy))
        return plugin.ref not in combined and any(s.plugin.ref not in combined for s in others)

    def find(self, name: str, namespace: str) -> Plugin | None:
        """The KongPlugin of the namespace, else the KongClusterPlugin.

        One that is broken beyond reading hides the cluster's: it may have been meant to be stricter.
        `NAMESPACE:NAME` is a KongPlugin of another namespace.
        """
        elsewhere = _elsewhere(name)
        if elsewhere is not None:
            return self._given.plugins.get((PluginScope.NAMESPACED, elsewhere))
        own = Name(namespace, name)
        plugin = self._given.plugins.get((PluginScope.NAMESPACED, own))
        if plugin is not None or self._given.broken(PluginScope.NAMESPACED.value, own):
            return plugin
        return self._given.plugins.get((PluginScope.CLUSTER, Name("", name)))

    def _permitted(self, name: str, ref: ObjectRef, namespace: str) -> bool:
        """Whether an object may name that plugin: one of another namespace needs a ReferenceGrant there."""
        target = _elsewhere(name)
        if target is None or target.namespace == namespace:
            return True
        source = (ref.group, ref.kind, namespace)
        named = {(_GROUP, PluginScope.NAMESPACED.value, name) for name in ("", target.name)}
        return any(
            grant.namespace == target.namespace
            and source in grant.sources
            and not named.isdisjoint(grant.targets)
            for grant in self._given.declared.reference_grants
        )

    def _trouble(self, name: str, namespace: str, plugin: Plugin | None, ref: ObjectRef) -> str:
        if plugin is not None:
            return f"{plugin.ref} is broken: {plugin.problem or 'its config is not understood'}"
        elsewhere = _elsewhere(name)
        if elsewhere is not None:
            if not self._permitted(name, ref, namespace):
                lets = f"lets objects of kind {ref.kind} in {namespace} refer to KongPlugin {elsewhere}"
                return f"no ReferenceGrant in {elsewhere.namespace} {lets}"
            return f"KongPlugin {elsewhere} {self._given.absence(PluginScope.NAMESPACED.value, elsewhere)}"
        own, cluster = Name(namespace, name), Name("", name)
        if self._given.broken(PluginScope.NAMESPACED.value, own):
            return f"KongPlugin {own} {self._given.absence(PluginScope.NAMESPACED.value, own)}"
        if self._given.broken(PluginScope.CLUSTER.value, cluster):
            return f"KongClusterPlugin {name} {self._given.absence(PluginScope.CLUSTER.value, cluster)}"
        return f"there is no KongPlugin {own} and no KongClusterPlugin {name}"

    def _collision(self, plugin: Plugin, why: str) -> None:
        self._findings.warn(
            "MG3008", plugin.origin, plugin.ref, f"{why}; this one has no effect there", "name one of them"
        )
