"""Patches of Envoy's own configuration (EnvoyFilter): what is changed, where, and for which proxies."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.service import EMPTY


class ApplyTo(enum.Enum):
    """The part of a proxy's configuration that a patch is about."""

    LISTENER = "LISTENER"
    LISTENER_FILTER = "LISTENER_FILTER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"


class Area(enum.Enum):
    """Patches that change the same kind of resource."""

    LISTENER = "listener"
    ROUTE = "route"
    CLUSTER = "cluster"


_ROUTES = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)


def area_of(apply_to: ApplyTo) -> Area:
    """Which kind of resource a patch changes."""
    if apply_to in _ROUTES:
        return Area.ROUTE
    return Area.CLUSTER if apply_to is ApplyTo.CLUSTER else Area.LISTENER


GATEWAY_PATCHES = ""
"""Stands for the gateway where patches are asked for by namespace."""


def patch_key(namespace: str, area: Area) -> str:
    """The key of the model's facet: `namespace/area`; the gateway has an empty namespace."""
    return f"{namespace}/{area.value}"


class Operation(enum.Enum):
    MERGE = "MERGE"
    MERGE_AND_REPLACE_LIST = "MERGE_AND_REPLACE_LIST"
    """As MERGE, but lists of the patch replace lists instead of being added to them."""
    ADD = "ADD"
    REMOVE = "REMOVE"
    REPLACE = "REPLACE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"


class Context(enum.Enum):
    """The side of which kind of proxy."""

    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"


class FilterClass(enum.Enum):
    """Where a filter that is added stands."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    """After those that authenticate."""
    AUTHZ = "AUTHZ"
    """After those that authorize."""
    STATS = "STATS"
    """Last before the router."""


class RouteAction(enum.Enum):
    ANY = "ANY"
    ROUTE = "ROUTE"
    REDIRECT = "REDIRECT"
    DIRECT_RESPONSE = "DIRECT_RESPONSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerMatch:
    """Empty and 0: any."""

    port: int = 0
    name: str = ""
    listener_filter: str = ""
    chain_name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    """All of which the chain must have."""
    destination_port: int = 0
    filter_name: str = ""
    sub_filter_name: str = ""
    """An HTTP filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    """Empty and 0: any."""

    port: int = 0
    name: str = ""
    gateway: str = ""
    host_name: str = ""
    """Of the virtual host, as Istio names them: `reviews.default.svc.cluster.local:80`."""
    domain: str = ""
    route_name: str = ""
    action: RouteAction = RouteAction.ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMatch:
    """Empty and 0: any."""

    name: str = ""
    """Where it is set nothing else counts."""
    service: str = ""
    subset: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyPatch:
    """One entry of `configPatches`."""

    ref: ObjectRef
    """The EnvoyFilter."""
    index: int
    """Its place in the EnvoyFilter."""
    apply_to: ApplyTo
    operation: Operation
    context: Context = Context.ANY
    selector: Mapping[str, str] = EMPTY
    """Labels of the pods whose proxies are meant; empty: all of the namespace."""
    gateways: tuple[str, ...] = ()
    """Names of Gateways (`targetRefs`); then only the gateway is meant."""
    proxy_version: str = ""
    """Regular expression; empty: any."""
    proxy_metadata: Mapping[str, str] = EMPTY
    listener: ListenerMatch | None = None
    routes: RouteMatch | None = None
    cluster: ClusterMatch | None = None
    filter_class: FilterClass = FilterClass.UNSPECIFIED
    value: bytes = b""
    """The Envoy message, serialised; which one `apply_to` says."""
    origin: Origin = BUILT_IN

    @property
    def key(self) -> tuple[ObjectRef, int]:
        """Which patch it is."""
        return self.ref, self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyFilter:
    """One EnvoyFilter as declared."""

    ref: ObjectRef
    namespace: str
    priority: int
    patches: tuple[EnvoyPatch, ...]
    created: str = ""
    origin: Origin = BUILT_IN
