"""Receivers of log entries that are services of ours get their full names. Internal to `link`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import TypeVar

from meshgate.model.declared import Plugin
from meshgate.model.names import requested_host
from meshgate.model.policies.receivers import with_hosts
from meshgate.model.policy import Log, Tracer

K = TypeVar("K")


def with_receivers(plugins: Mapping[K, Plugin], hosts: Container[str]) -> dict[K, Plugin]:
    """The plugins, with receivers named as clients in their namespace would name them.

    A KongClusterPlugin has no namespace: to it a name without a dot is none of ours.
    """
    return {key: _named(plugin, hosts) for key, plugin in plugins.items()}


def _named(plugin: Plugin, hosts: Container[str]) -> Plugin:
    policy = plugin.policy
    if not isinstance(policy, Log | Tracer):
        return plugin

    def full(host: str) -> str:
        found = requested_host(host, plugin.name.namespace)
        return found if found in hosts else host

    return replace(plugin, policy=with_hosts(policy, full))
