"""The linked model: facets, each a mapping whose entries are compared one by one.

A translator never sees this directly but through `reader.Reader`, which writes down what
it read; so a change re-translates only what read something that changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.authorization import Guard
from meshgate.model.consumer import Consumer
from meshgate.model.destination import DestinationPolicy
from meshgate.model.edge import Certificate, EdgeHost
from meshgate.model.envoy_patch import EnvoyPatch
from meshgate.model.external import ExternalEndpoint
from meshgate.model.gateway import EdgeServer, StreamRule
from meshgate.model.mesh_config import MeshConfig
from meshgate.model.names import Name
from meshgate.model.policies.grpc import ProtoDescriptor
from meshgate.model.route import Rule
from meshgate.model.service import Service
from meshgate.model.sidecar import Sidecar
from meshgate.model.status import ObjectStatus
from meshgate.model.telemetry import Observation
from meshgate.model.workload import Inbound, Instance, Svid, Workload

Read = tuple[str, str]
"""(facet, key) that a translation depends on; key `*` stands for the facet's set of keys."""

EDGE = "gateway"
"""The only key of facets about the gateway itself."""

MESH = "mesh"
"""The only key of facets about the whole mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshHost:
    """The rules of a host inside the mesh (VirtualService with gateway `mesh`)."""

    host: str
    """Full name or wildcard."""
    namespace: str
    """Of the VirtualService; decides with `export_to` who sees it."""
    export_to: tuple[str, ...]
    """`*`, `.` or namespaces."""
    rules: tuple[Rule, ...]

    def visible_from(self, namespace: str) -> bool:
        """Whether clients in this namespace follow these rules."""
        return (
            "*" in self.export_to
            or namespace in self.export_to
            or ("." in self.export_to and namespace == self.namespace)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshStreams:
    """The `tls` and `tcp` routes of a host inside the mesh."""

    namespace: str
    """Of the VirtualService."""
    export_to: tuple[str, ...]
    rules: tuple[StreamRule, ...]
    """`tcp`."""
    tls: tuple[StreamRule, ...] = ()

    def visible_from(self, namespace: str) -> bool:
        """Whether clients in this namespace follow these rules."""
        seen = "*" in self.export_to or namespace in self.export_to
        return seen or ("." in self.export_to and namespace == self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Everything that decides what proxies do."""

    services: Mapping[str, Service]
    """By full host."""
    backends: Mapping[str, tuple[str, ...]]
    """Full host -> keys of the workloads that its selector takes, sorted."""
    mesh_hosts: Mapping[str, tuple[MeshHost, ...]]
    """By full or wildcard host; oldest first."""
    destinations: Mapping[str, tuple[DestinationPolicy, ...]]
    """By full or wildcard host."""
    workloads: Mapping[str, Workload]
    """By `namespace/name`."""
    inbound: Mapping[str, Inbound]
    """By workload key."""
    edge_hosts: Mapping[str, EdgeHost]
    """By host; hosts of other route configurations than `edge` by `<routes>/<host>`."""
    certificates: Mapping[str, Certificate]
    """By name."""
    consumers: Mapping[str, Consumer]
    """By consumer id."""
    edge_servers: Mapping[str, EdgeServer] = field(default_factory=dict)
    """By the filter chain's name."""
    edge_guard: Mapping[str, Guard] = field(default_factory=dict)
    """`gateway` -> what stands before the edge; empty where nothing does. By their addresses, the
    Gateways of the Gateway API that policies name."""
    mesh_streams: Mapping[str, tuple[MeshStreams, ...]] = field(default_factory=dict)
    """By full or wildcard host; oldest first."""
    entries: Mapping[str, Service] = field(default_factory=dict)
    """ServiceEntries by host; `*.x` for wildcards."""
    endpoints: Mapping[str, tuple[ExternalEndpoint, ...]] = field(default_factory=dict)
    """By full host: what answers for it beside the pods of `backends`."""
    client_credentials: Mapping[str, Certificate] = field(default_factory=dict)
    """By `namespace/name`: what proxies show to, and trust of, servers outside of the mesh."""
    mesh_config: Mapping[str, MeshConfig] = field(default_factory=dict)
    """`mesh` -> the mesh-wide settings; empty where nobody set any."""
    telemetry: Mapping[str, Observation] = field(default_factory=dict)
    """By `*` (the mesh), `<namespace>/*`, workload key and `gateway`; the narrowest counts, whole."""
    sidecars: Mapping[str, Sidecar] = field(default_factory=dict)
    """By workload key; workloads without a Sidecar know every host that is exported to them."""
    envoy_patches: Mapping[str, tuple[EnvoyPatch, ...]] = field(default_factory=dict)
    """By `envoy_patch.patch_key`: in the order in which they are applied."""
    statuses: Mapping[str, ObjectStatus] = field(default_factory=dict)
    """Of Gateway API objects, by `status_key`; nothing is translated from it."""
    instances: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    """By workload key, sorted by pod. Changes in a lane of its own."""
    svids: Mapping[str, Svid] = field(default_factory=dict)
    """By SPIFFE ID. Changes in a lane of its own."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Full host -> virtual address (netns isolation)."""
    trust_bundle_pem: Mapping[str, bytes] = field(default_factory=dict)
    """Trust domain -> roots."""
    descriptors: Mapping[str, ProtoDescriptor] = field(default_factory=dict)
    """By `Transcoding.key`: descriptions of gRPC services that could be had. Changes in a lane of its own."""
    acme_challenges: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Host of the edge -> (path, answer) that an authority asks for. Changes in a lane of its own."""
    local_ports: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Proxy id -> `host:port` of a service -> its local port (ports isolation)."""


FACETS = tuple(f.name for f in fields(Model))


def diff(old: Model, new: Model) -> frozenset[Read]:
    """What differs: every changed, added or removed entry, and `(facet, "*")` where keys differ."""
    changed: set[Read] = set()
    for facet in FACETS:
        before: Mapping[str, object] = getattr(old, facet)
        after: Mapping[str, object] = getattr(new, facet)
        if before is after:
            continue
        if before.keys() != after.keys():
            changed.add((facet, "*"))
        for key in before.keys() | after.keys():
            one, two = before.get(key), after.get(key)
            if one is not two and one != two:
                changed.add((facet, key))
    return frozenset(changed)


def status_key(ref: ObjectRef) -> str:
    """`group/Kind/namespace/name`."""
    return f"{ref.group}/{ref.kind}/{ref.namespace}/{ref.name}"


def workload_key(name: Name) -> str:
    """The key of a workload in every facet that has one."""
    return str(name)
