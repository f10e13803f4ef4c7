"""The way in: which resources a proxy has, and each of them on request."""

from __future__ import annotations

from collections.abc import Hashable

from envoy.config.route.v3 import route_pb2
from google.protobuf.message import Message

from meshgate.model.envoy_patch import Area
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.translate import (
    cluster,
    endpoint,
    gateway,
    inbound,
    locality,
    observe,
    outbound,
    patching,
    secret,
    virtual_host,
    visibility,
)
from meshgate.translate.names import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    SECRET,
    VIRTUAL_HOST,
)
from meshgate.translate.patched import added_gateway_hosts, patched
from meshgate.translate.patching import Seen, added_names

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES, VIRTUAL_HOST, SECRET)
"""In the order in which Envoy should learn of them: make before break."""


class EnvoyTranslator:
    """Turns names into resources; pure, holds nothing."""

    def wildcard(self, reader: Reader, proxy: Proxy, type_url: str) -> frozenset[str]:
        """The names that a proxy has without asking for them one by one."""
        own = self._own_names(reader, proxy, type_url)
        match type_url:
            case t if t == LISTENER:
                return own | added_names(reader, proxy, Area.LISTENER)
            case t if t == CLUSTER:
                return own | added_names(reader, proxy, Area.CLUSTER)
            case t if t == VIRTUAL_HOST and proxy.kind is ProxyKind.GATEWAY:
                return own | added_gateway_hosts(reader, proxy)
            case _:
                return own

    def _own_names(self, reader: Reader, proxy: Proxy, type_url: str) -> frozenset[str]:
        gate = proxy.kind is ProxyKind.GATEWAY
        match type_url:
            case t if t == LISTENER:
                if gate:
                    return frozenset(gateway.listener_names(reader, proxy))
                names = inbound.listener_names(reader, proxy) + outbound.listener_names(reader, proxy)
                return frozenset(names)
            case t if t == CLUSTER:
                if gate:
                    return frozenset(gateway.clusters(reader) + observe.clusters(reader, proxy))
                names = inbound.clusters(reader, proxy) + outbound.clusters(reader, proxy)
                return frozenset(names + observe.clusters(reader, proxy))
            case t if t == VIRTUAL_HOST and gate:
                return gateway.virtual_host_names(reader)
            case _:
                return frozenset()

    def scope(self, reader: Reader, proxy: Proxy, type_url: str, name: str) -> Hashable:
        """What of a proxy a resource depends on: equal scopes share its bytes."""
        outbound_cluster = name.startswith("outbound|")
        if type_url in (CLUSTER, ENDPOINTS) and outbound_cluster:
            chosen = locality.scope(reader, proxy, name)
            shared = proxy.namespace, proxy.kind, proxy.isolation, proxy.plain, chosen
            return (*shared, patching.scope(reader, proxy, Area.CLUSTER)) if type_url == CLUSTER else shared
        if type_url == VIRTUAL_HOST and proxy.kind is ProxyKind.SIDECAR:
            # `default` rules of the same namespace differ only by who the client is.
            # Patches are chosen by labels and by settings of the pod.
            patches = patching.scope(reader, proxy, Area.ROUTE)
            known = visibility.scope(reader, proxy)
            who = proxy.namespace, proxy.isolation, proxy.plain, frozenset(proxy.labels.items())
            return (*who, patches, known)
        return proxy.id

    def translate(
        self, reader: Reader, proxy: Proxy, type_url: str, name: str, seen: Seen | None = None
    ) -> Message | None:
        """The resource of that type and name for this proxy; None where there is none.

        `seen` is told what became of the patches of EnvoyFilters.
        """
        made = self._own(reader, proxy, type_url, name)
        return patched(reader, proxy, type_url, name, made, seen)

    def _own(self, reader: Reader, proxy: Proxy, type_url: str, name: str) -> Message | None:
        gate = proxy.kind is ProxyKind.GATEWAY
        match type_url:
            case t if t == LISTENER:
                return _listener(reader, proxy, name, gate=gate)
            case t if t == CLUSTER:
                return cluster.translate(reader, proxy, name)
            case t if t == ENDPOINTS:
                return endpoint.translate(reader, proxy, name)
            case t if t == ROUTES:
                return _routes(reader, proxy, name, gate=gate)
            case t if t == VIRTUAL_HOST:
                make = virtual_host.edge if gate else virtual_host.outbound
                return make(reader, proxy, name)
            case t if t == SECRET:
                return secret.translate(reader, proxy, name)
            case _:
                return None


def _listener(reader: Reader, proxy: Proxy, name: str, *, gate: bool) -> Message | None:
    if gate:
        found = gateway.listener(reader, proxy, name)
    else:
        found = inbound.listener(reader, proxy, name) or outbound.listener(reader, proxy, name)
    if found is not None:
        observe.observe(reader, proxy, found)
    return found


def _routes(reader: Reader, proxy: Proxy, name: str, *, gate: bool) -> route_pb2.RouteConfiguration | None:
    if gate:
        # A virtual host's own configuration is part of its name, so any other has no hosts.
        return gateway.route_configuration(name)
    return outbound.routes(reader, proxy, name)


__all__ = ["TYPES", "EnvoyTranslator"]
