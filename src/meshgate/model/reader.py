"""Reads the model for a translation and writes down what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from meshgate.model.authorization import OPEN, Guard
from meshgate.model.consumer import Consumer
from meshgate.model.destination import DestinationPolicy
from meshgate.model.edge import Certificate, EdgeHost
from meshgate.model.envoy_patch import Area, EnvoyPatch, patch_key
from meshgate.model.external import ExternalEndpoint
from meshgate.model.gateway import EdgeServer
from meshgate.model.graph import EDGE, MESH, MeshHost, MeshStreams, Model, Read
from meshgate.model.mesh_config import MeshConfig
from meshgate.model.policies.grpc import ProtoDescriptor
from meshgate.model.service import Service
from meshgate.model.sidecar import Sidecar
from meshgate.model.telemetry import MESH_KEY, STANDARD, Observation
from meshgate.model.workload import Inbound, Instance, Svid, Workload

T = TypeVar("T")


class Reader:
    """Answers from one model; `reads` holds every question, also those without an answer."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.reads: set[Read] = set()

    def service(self, host: str) -> Service | None:
        return self._one("services", host, self._model.services) or self.entry(host)

    def mesh_streams(self, host: str) -> tuple[MeshStreams, ...]:
        return self._one("mesh_streams", host, self._model.mesh_streams) or ()

    def mesh_stream_names(self) -> frozenset[str]:
        """The keys alone."""
        self.reads.add(("mesh_streams", "*"))
        return frozenset(self._model.mesh_streams)

    def entry(self, host: str) -> Service | None:
        """The ServiceEntry of exactly that host or wildcard."""
        return self._one("entries", host, self._model.entries)

    def all_entries(self) -> Mapping[str, Service]:
        return self._all("entries", self._model.entries)

    def client_credential(self, name: str) -> Certificate | None:
        return self._one("client_credentials", name, self._model.client_credentials)

    def backends(self, host: str) -> tuple[str, ...]:
        return self._one("backends", host, self._model.backends) or ()

    def endpoints(self, host: str) -> tuple[ExternalEndpoint, ...]:
        """What answers for a host beside pods."""
        return self._one("endpoints", host, self._model.endpoints) or ()

    def mesh_hosts(self, host: str) -> tuple[MeshHost, ...]:
        return self._one("mesh_hosts", host, self._model.mesh_hosts) or ()

    def destinations(self, host: str) -> tuple[DestinationPolicy, ...]:
        return self._one("destinations", host, self._model.destinations) or ()

    def workload(self, key: str) -> Workload | None:
        return self._one("workloads", key, self._model.workloads)

    def inbound(self, key: str) -> Inbound | None:
        return self._one("inbound", key, self._model.inbound)

    def edge_host(self, host: str) -> EdgeHost | None:
        return self._one("edge_hosts", host, self._model.edge_hosts)

    def edge_guard(self, address: str = "") -> Guard:
        """What stands before the gateway, or before the Gateway at an address of its own."""
        own = self._one("edge_guard", address, self._model.edge_guard) if address else None
        return own or self._one("edge_guard", EDGE, self._model.edge_guard) or OPEN

    def all_edge_guards(self) -> Mapping[str, Guard]:
        return self._all("edge_guard", self._model.edge_guard)

    def certificate(self, name: str) -> Certificate | None:
        return self._one("certificates", name, self._model.certificates)

    def acme_challenges(self, host: str) -> tuple[tuple[str, str], ...]:
        """(path, answer) that an authority asks for at a host of the edge."""
        return self._one("acme_challenges", host, self._model.acme_challenges) or ()

    def instances(self, key: str) -> tuple[Instance, ...]:
        return self._one("instances", key, self._model.instances) or ()

    def svid(self, spiffe_id: str) -> Svid | None:
        return self._one("svids", spiffe_id, self._model.svids)

    def address(self, host: str) -> str | None:
        return self._one("addresses", host, self._model.addresses)

    def trust_bundle(self, trust_domain: str) -> bytes:
        return self._one("trust_bundle_pem", trust_domain, self._model.trust_bundle_pem) or b""

    def local_ports(self, proxy_id: str) -> Mapping[str, int]:
        return self._one("local_ports", proxy_id, self._model.local_ports) or {}

    def descriptor(self, key: str) -> ProtoDescriptor | None:
        """What a service speaks; None where it cannot be had."""
        return self._one("descriptors", key, self._model.descriptors)

    def mesh_config(self) -> MeshConfig:
        """The mesh-wide settings; Istio's defaults where nobody set any."""
        return self._one("mesh_config", MESH, self._model.mesh_config) or MeshConfig()

    def telemetry(self, *keys: str) -> Observation:
        """What is told of a proxy: that of the first key with an entry, else the mesh's."""
        for key in keys:
            found = self._one("telemetry", key, self._model.telemetry)
            if found is not None:
                return found
        return self._one("telemetry", MESH_KEY, self._model.telemetry) or STANDARD

    def sidecar(self, key: str) -> Sidecar | None:
        """The Sidecar of a workload."""
        return self._one("sidecars", key, self._model.sidecars)

    def envoy_patches(self, namespace: str, area: Area) -> tuple[EnvoyPatch, ...]:
        """Patches for proxies of a namespace (the gateway's: none), selectors not looked at."""
        return self._one("envoy_patches", patch_key(namespace, area), self._model.envoy_patches) or ()

    def all_services(self) -> Mapping[str, Service]:
        return self._all("services", self._model.services)

    def all_mesh_hosts(self) -> Mapping[str, tuple[MeshHost, ...]]:
        return self._all("mesh_hosts", self._model.mesh_hosts)

    def all_edge_hosts(self) -> Mapping[str, EdgeHost]:
        return self._all("edge_hosts", self._model.edge_hosts)

    def all_certificates(self) -> Mapping[str, Certificate]:
        return self._all("certificates", self._model.certificates)

    def all_edge_servers(self) -> Mapping[str, EdgeServer]:
        return self._all("edge_servers", self._model.edge_servers)

    def all_consumers(self) -> Mapping[str, Consumer]:
        return self._all("consumers", self._model.consumers)

    def has_edge_server(self, name: str) -> bool:
        """Whether there is a filter chain of that name, whatever it says."""
        self.reads.add(("edge_servers", "*"))
        return name in self._model.edge_servers

    def mesh_host_names(self) -> frozenset[str]:
        """The keys alone: does not depend on what the entries say."""
        self.reads.add(("mesh_hosts", "*"))
        return frozenset(self._model.mesh_hosts)

    def edge_host_names(self) -> frozenset[str]:
        """The keys alone."""
        self.reads.add(("edge_hosts", "*"))
        return frozenset(self._model.edge_hosts)

    def destination_names(self) -> frozenset[str]:
        """The keys alone."""
        self.reads.add(("destinations", "*"))
        return frozenset(self._model.destinations)

    def _one(self, facet: str, key: str, entries: Mapping[str, T]) -> T | None:
        self.reads.add((facet, key))
        return entries.get(key)

    def _all(self, facet: str, entries: Mapping[str, T]) -> Mapping[str, T]:
        self.reads.add((facet, "*"))
        self.reads.update((facet, key) for key in entries)
        return entries
