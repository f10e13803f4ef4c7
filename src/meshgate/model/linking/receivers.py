"""Receivers of log entries and spans that are services of ours get their full names. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from meshgate.model.declared import Plugin
from meshgate.model.names import requested_host
from meshgate.model.policies.receivers import with_hosts
from meshgate.model.policy import Log, Tracer
from meshgate.model.service import Service

K = TypeVar("K")


def with_receivers(plugins: Mapping[K, Plugin], hosts: Mapping[str, Service]) -> dict[K, Plugin]:
    """The plugins, with receivers named as clients in their namespace would name them.

    A KongClusterPlugin has no namespace: to it a name without a dot is none of ours.
    """
    return {key: _named(plugin, hosts) for key, plugin in plugins.items()}


def _named(plugin: Plugin, hosts: Mapping[str, Service]) -> Plugin:
    policy = plugin.policy
    if not isinstance(policy, Log | Tracer):
        return plugin

    def full(host: str) -> str:
        found = requested_host(host, plugin.name.namespace)
        service = hosts.get(found)
        if service is None:
            return host
        return service.external_name or found

    return replace(plugin, policy=with_hosts(policy, full))
