"""EnvoyFilter: patches resources on their way to the proxies that a patch selects.

A patch that would leave a proxy without a usable configuration is not applied; `Seen` says
so, and which patches found something to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from google.protobuf.message import Message

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.envoy_patch import (
    GATEWAY_PATCHES,
    ApplyTo,
    Area,
    Context,
    EnvoyPatch,
    Operation,
)
from meshgate.model.proxy import ISTIO_VERSION, Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.policies.envoy_rules import broken_rules
from meshgate.policies.envoy_values import MESSAGES
from meshgate.translate.proto_merge import merge

_CLUSTER_NAME = re.compile(rb"outbound\|[0-9]{1,5}\|[-A-Za-z0-9_.]*\|[-*A-Za-z0-9_.]+")
Key = tuple[ObjectRef, int]


@dataclass(slots=True)
class Seen:
    """What became of patches, for those who tell it."""

    applied: set[Key] = field(default_factory=set)
    refused: dict[Key, str] = field(default_factory=dict)
    """Why a patch was left out somewhere."""

    def hit(self, patch: EnvoyPatch) -> None:
        """The patch found what it is about."""
        self.applied.add(patch.key)

    def refuse(self, patch: EnvoyPatch, reason: str) -> None:
        """The patch would have broken the proxy."""
        self.applied.add(patch.key)
        self.refused.setdefault(patch.key, reason)


def patches(reader: Reader, proxy: Proxy, area: Area) -> tuple[EnvoyPatch, ...]:
    """Those that select the proxy, in order; empty for most."""
    if proxy.plain:
        return ()
    gate = proxy.kind is ProxyKind.GATEWAY
    found = reader.envoy_patches(GATEWAY_PATCHES if gate else proxy.namespace, area)
    return tuple(patch for patch in found if _selects(patch, proxy)) if found else ()


def scope(reader: Reader, proxy: Proxy, area: Area) -> tuple[Key, ...]:
    """Proxies with the same patches share resources."""
    return tuple(patch.key for patch in patches(reader, proxy, area))


def _selects(patch: EnvoyPatch, proxy: Proxy) -> bool:
    gate = proxy.kind is ProxyKind.GATEWAY
    if gate != (patch.context is Context.GATEWAY) and patch.context is not Context.ANY:
        return False
    # For the gateway `link` has chosen already, by customary labels too.
    if not gate and not patch.selector.items() <= proxy.labels.items():
        return False
    if patch.proxy_version and not is_version(patch.proxy_version):
        return False
    return all(proxy.described.get(k) == v for k, v in patch.proxy_metadata.items())


def is_version(pattern: str) -> bool:
    """Whether a `proxyVersion` is about proxies like these."""
    return re.search(pattern, ISTIO_VERSION) is not None


def in_context(patch: EnvoyPatch, context: Context) -> bool:
    """Whether the patch is about this side of a proxy."""
    return patch.context in (Context.ANY, context)


def value(patch: EnvoyPatch) -> Message:
    """The patch's message, a new one each time."""
    message = MESSAGES[patch.apply_to]()
    message.ParseFromString(patch.value)
    return message


def merged(target: Message, patch: EnvoyPatch, seen: Seen) -> None:
    """Merges the patch into the message, unless the result breaks a rule of Envoy's."""
    trial = type(target)()
    trial.CopyFrom(target)
    merge(trial, value(patch), replace_lists=patch.operation is Operation.MERGE_AND_REPLACE_LIST)
    before = {(f.path, f.message) for f in broken_rules(target)}
    for fault in broken_rules(trial):
        if (fault.path, fault.message) not in before:
            seen.refuse(patch, f"{'.'.join(map(str, fault.path))} {fault.message}")
            return
    seen.hit(patch)
    target.CopyFrom(trial)


def added_names(reader: Reader, proxy: Proxy, area: Area) -> frozenset[str]:
    """Names of the listeners or clusters that patches add, and of clusters that patches speak of.

    Envoy asks by itself only for clusters that it routes to; one that a filter calls must be there.
    """
    found: set[str] = set()
    for patch in patches(reader, proxy, Area.LISTENER if area is Area.CLUSTER else area):
        if area is Area.CLUSTER:
            found.update(name.decode() for name in _CLUSTER_NAME.findall(patch.value))
        elif patch.operation is Operation.ADD and patch.apply_to is ApplyTo.LISTENER:
            found.add(_name(patch))
    if area is Area.CLUSTER:
        for patch in patches(reader, proxy, Area.ROUTE):
            found.update(name.decode() for name in _CLUSTER_NAME.findall(patch.value))
        for patch in patches(reader, proxy, area):
            if patch.operation is Operation.ADD:
                found.add(_name(patch))
    return frozenset(found)


def added(found: Iterable[EnvoyPatch], apply_to: ApplyTo, name: str, seen: Seen) -> Message | None:
    """What patches add under that name, the last of them."""
    result: Message | None = None
    for patch in found:
        if patch.operation is Operation.ADD and patch.apply_to is apply_to and _name(patch) == name:
            seen.hit(patch)
            result = value(patch)
    return result


def _name(patch: EnvoyPatch) -> str:
    message = value(patch)
    assert isinstance(
        message,
        listener_pb2.Listener
        | cluster_pb2.Cluster
        | route_pb2.RouteConfiguration
        | route_components_pb2.VirtualHost,
    )
    return str(message.name)
