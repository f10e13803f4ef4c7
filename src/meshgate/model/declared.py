"""What the dialects give: lowered objects whose references are still names as written."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.authorization import AuthorizationPolicy, RequestAuthentication
from meshgate.model.destination import Subset, TrafficPolicy
from meshgate.model.envoy_patch import EnvoyFilter
from meshgate.model.external import EndpointList, Machine, MachineGroup
from meshgate.model.gateway import GatewayObject, StreamRule
from meshgate.model.gateway_api import (
    ApiGateway,
    BackendTlsPolicyObject,
    BackendTrafficPolicyObject,
    GatewayClassObject,
    ListenerSetObject,
    ReferenceGrantObject,
)
from meshgate.model.gateway_api_routes import ApiRoute
from meshgate.model.mesh_config import MeshConfig, ProxySettings
from meshgate.model.names import Name
from meshgate.model.policy import Buffering, HttpsOnly, OnlyVia, Policy
from meshgate.model.route import PathMatch, Rule, StringMatch
from meshgate.model.service import EMPTY, Service
from meshgate.model.sidecar import Sidecar
from meshgate.model.stream_ingress import StreamIngress
from meshgate.model.telemetry import TelemetryObject
from meshgate.model.upstream import UpstreamPolicy
from meshgate.model.workload import MtlsMode, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    name: str
    labels: Mapping[str, str] = EMPTY
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    name: Name
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretObject:
    """A v1 Secret; values stay hidden until something uses them."""

    name: Name
    type: str
    labels: Mapping[str, str]
    data: Mapping[str, Secret]
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapObject:
    name: Name
    data: Mapping[str, str]
    binary: Mapping[str, bytes] = field(default_factory=dict)
    """`binaryData`."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A rule whose inside is in another VirtualService."""

    rule: int
    """Its place in `rules`, where it is a `Forward` without destinations."""
    to: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshRules:
    """A VirtualService. Hosts in `rules` are as written; `link` completes them."""

    ref: ObjectRef
    namespace: str
    hosts: tuple[str, ...]
    """As written: short, full or wildcard. None: other VirtualServices delegate to it."""
    gateways: tuple[str, ...]
    """`mesh` or names of Gateways; empty means `mesh`."""
    rules: tuple[Rule, ...]
    tls: tuple[StreamRule, ...] = ()
    """Connections with TLS that is not ended here, by server name."""
    tcp: tuple[StreamRule, ...] = ()
    export_to: tuple[str, ...] = ("*",)
    delegations: tuple[Delegation, ...] = ()
    """Empty after `link` has begun."""
    written: tuple[frozenset[str], ...] = ()
    """Of each rule, its optional parts that are written (`timeout`, `headers`, ...); only where
    something delegates."""
    created: str = ""
    """RFC 3339 creation time, then name: older rules win."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRules:
    """One DestinationRule as written."""

    ref: ObjectRef
    namespace: str
    host: str
    """As written."""
    policy: TrafficPolicy
    subsets: tuple[Subset, ...]
    export_to: tuple[str, ...] = ("*",)
    selector: tuple[tuple[str, str], ...] | None = None
    """`workloadSelector`; None without one."""
    created: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPolicy:
    """One PeerAuthentication; `None` modes inherit (UNSET)."""

    ref: ObjectRef
    namespace: str
    selector: Mapping[str, str]
    """Empty: the whole namespace, or the mesh in the root namespace."""
    mode: MtlsMode | None
    ports: Mapping[int, MtlsMode | None]
    created: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRef:
    """The service that an edge rule names, as written."""

    service: str
    port: int | str
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePath:
    """One path of one Ingress rule."""

    host: str
    """`*` where the rule names none."""
    path: PathMatch
    backend: BackendRef
    index: tuple[int, int]
    """(rule, path) in the object."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTls:
    hosts: tuple[str, ...]
    secret_name: str
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRules:
    """One Ingress with what its annotations say."""

    ref: ObjectRef
    namespace: str
    class_name: str
    """`spec.ingressClassName` or the old annotation; empty for none."""
    paths: tuple[EdgePath, ...]
    default_backend: BackendRef | None = None
    tls: tuple[EdgeTls, ...] = ()
    plugin_names: tuple[str, ...] = ()
    plugins_origin: Origin | None = None
    """Place of the annotation `konghq.com/plugins`; None: `origin`."""
    strip_path: bool = False
    preserve_host: bool = True
    methods: tuple[str, ...] = ()
    """Empty: all."""
    headers: tuple[tuple[str, tuple[StringMatch, ...]], ...] = ()
    https_only: HttpsOnly | None = None
    """What plain HTTP gets; None: the same as HTTPS."""
    plain_only: bool = False
    """Requests over TLS are not for it."""
    only_via: OnlyVia | None = None
    buffering: Buffering | None = None
    joins_paths: bool = False
    """Kong's `path-handling: v1`: the Service's path and the request's are joined without a slash of ours."""
    rewrite: str = ""
    """Whole path for the service; `\\1` stands for what the first group of a regex path took."""
    regex_priority: int = 0
    """Regex paths with a higher one are tried first."""
    closed: str = ""
    """Why every path of it must answer 503 (an unsupported security setting); empty: open."""
    created: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressClass:
    name: str
    controller: str
    default: bool = False
    origin: Origin = BUILT_IN


class PluginScope(enum.Enum):
    NAMESPACED = "KongPlugin"
    CLUSTER = "KongClusterPlugin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A KongPlugin or KongClusterPlugin whose config was understood (or not)."""

    ref: ObjectRef
    scope: PluginScope
    name: Name
    """Namespace is empty for cluster plugins."""
    plugin: str
    """`jwt`, `rate-limiting`, ...; empty where it could not be told."""
    policy: Policy | None
    """None: broken or unsupported; what refers to it is closed, see `problem`."""
    problem: str = ""
    disabled: bool = False
    is_global: bool = False
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerObject:
    """A KongConsumer; its credentials are names of Secrets in its namespace."""

    ref: ObjectRef
    name: Name
    username: str
    custom_id: str
    credentials: tuple[str, ...]
    groups: tuple[str, ...] = ()
    """Names of KongConsumerGroups in its namespace."""
    plugin_names: tuple[str, ...] = ()
    plugins_origin: Origin | None = None
    """Place of the annotation `konghq.com/plugins`; None: `origin`."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerGroupObject:
    """A KongConsumerGroup; who is in it, says each consumer."""

    ref: ObjectRef
    name: Name
    plugin_names: tuple[str, ...] = ()
    plugins_origin: Origin | None = None
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfigObject:
    """One ProxyConfig."""

    ref: ObjectRef
    namespace: str
    selector: Mapping[str, str]
    """Empty: the whole namespace, or the mesh in the root namespace."""
    settings: ProxySettings
    created: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An object that is there but has errors: what refers to it must not work without it."""

    ref: ObjectRef
    problem: str
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Everything that all documents said, sorted by nothing: link must not depend on order."""

    namespaces: tuple[Namespace, ...] = ()
    services: tuple[Service, ...] = ()
    service_accounts: tuple[ServiceAccount, ...] = ()
    secrets: tuple[SecretObject, ...] = ()
    config_maps: tuple[ConfigMapObject, ...] = ()
    workloads: tuple[Workload, ...] = ()
    mesh_rules: tuple[MeshRules, ...] = ()
    destination_rules: tuple[DestinationRules, ...] = ()
    peer_policies: tuple[PeerPolicy, ...] = ()
    authorization_policies: tuple[AuthorizationPolicy, ...] = ()
    request_authentications: tuple[RequestAuthentication, ...] = ()
    edge_rules: tuple[EdgeRules, ...] = ()
    gateways: tuple[GatewayObject, ...] = ()
    service_entries: tuple[Service, ...] = ()
    """One for each host of each ServiceEntry."""
    machines: tuple[Machine, ...] = ()
    machine_groups: tuple[MachineGroup, ...] = ()
    endpoint_lists: tuple[EndpointList, ...] = ()
    ingress_classes: tuple[IngressClass, ...] = ()
    stream_ingresses: tuple[StreamIngress, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    consumers: tuple[ConsumerObject, ...] = ()
    consumer_groups: tuple[ConsumerGroupObject, ...] = ()
    mesh_configs: tuple[MeshConfig, ...] = ()
    """At most one: that of the ConfigMap `istio` in the root namespace."""
    telemetries: tuple[TelemetryObject, ...] = ()
    proxy_configs: tuple[ProxyConfigObject, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    envoy_filters: tuple[EnvoyFilter, ...] = ()
    gateway_classes: tuple[GatewayClassObject, ...] = ()
    api_gateways: tuple[ApiGateway, ...] = ()
    listener_sets: tuple[ListenerSetObject, ...] = ()
    api_routes: tuple[ApiRoute, ...] = ()
    reference_grants: tuple[ReferenceGrantObject, ...] = ()
    backend_tls_policies: tuple[BackendTlsPolicyObject, ...] = ()
    backend_traffic_policies: tuple[BackendTrafficPolicyObject, ...] = ()
    upstream_policies: tuple[UpstreamPolicy, ...] = ()
    broken: tuple[Broken, ...] = field(default=())
