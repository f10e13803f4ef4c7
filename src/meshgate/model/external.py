"""Hosts that a ServiceEntry adds to the mesh, and endpoints that are addresses and not pods of ours."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.health import HealthCheck
from meshgate.model.names import Name

MTLS_LABEL = "security.istio.io/tlsMode"
"""`istio`: the endpoint has a sidecar of its own and is spoken to by mutual TLS."""
NETWORK_LABEL = "topology.istio.io/network"
UNIX = "unix://"


class Resolution(enum.Enum):
    """How the addresses behind a host are found."""

    NONE = "NONE"
    """Wherever the client was going."""
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"
    """For wildcards: what the name that a request or TLS asks for resolves to."""


def is_address(text: str) -> bool:
    """Whether it is one IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEndpoint:
    """One address, of a ServiceEntry, a WorkloadEntry, an EndpointSlice or Endpoints."""

    address: str
    """An IP address, with DNS also a name; `unix:///path` for a socket of this machine."""
    ports: tuple[tuple[str, int], ...] = ()
    """Port name -> port there. As declared a port that is not named is the service's own; after
    `link` every port of the service is there, 0 where the endpoint does not serve it."""
    labels: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    """0: gets nothing."""
    locality: str = ""
    """`region/zone/sub-zone`, from the left as far as it is known."""
    service_account: Name | None = None
    """Whose certificate it shows, where it has a sidecar."""
    check: HealthCheck | None = None
    """How it is asked for its health; None: it counts as healthy."""

    @property
    def meshed(self) -> bool:
        """Whether it has a sidecar of its own."""
        return (MTLS_LABEL, "istio") in self.labels

    @property
    def is_name(self) -> bool:
        """Whether it must be looked up."""
        return not self.address.startswith(UNIX) and not is_address(self.address)

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether it has all of the labels."""
        return set(labels.items()) <= set(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """What a `Service` made of a ServiceEntry has beside its ports."""

    host: str
    """Lower case; may begin with `*.`."""
    resolution: Resolution
    endpoints: tuple[ExternalEndpoint, ...] = ()
    """As declared; the `endpoints` facet has what counts."""
    addresses: tuple[str, ...] = ()
    """By which clients may also reach it (netns isolation): addresses or ranges like `10.0.0.0/8`."""
    by_workloads: bool = False
    """The pods and WorkloadEntries that the service's selector takes answer, not `endpoints`."""
    subject_alt_names: tuple[str, ...] = ()
    """Of which the server's certificate must have one, where a DestinationRule says nothing else."""
    internal: bool = False
    """`location: MESH_INTERNAL`: part of the mesh."""
    export_to: tuple[str, ...] = ("*",)

    def visible_from(self, namespace: str, own: str) -> bool:
        """Whether clients in `namespace` know the host; `own` is the entry's namespace."""
        seen = "*" in self.export_to or namespace in self.export_to
        return seen or ("." in self.export_to and namespace == own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A WorkloadEntry: something that serves and is not a pod of ours."""

    name: Name
    endpoint: ExternalEndpoint
    group: str = ""
    """The WorkloadGroup in its namespace that it belongs to."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGroup:
    """A WorkloadGroup: what its WorkloadEntries have where they say nothing themselves."""

    name: Name
    template: ExternalEndpoint
    """Without an address."""
    check: HealthCheck | None = None
    origin: Origin = BUILT_IN

    def complete(self, endpoint: ExternalEndpoint) -> ExternalEndpoint:
        """The endpoint of a member."""
        given = self.template
        return replace(
            endpoint,
            ports=tuple(sorted({**dict(given.ports), **dict(endpoint.ports)}.items())),
            labels=tuple(sorted({**dict(given.labels), **dict(endpoint.labels)}.items())),
            locality=endpoint.locality or given.locality,
            service_account=endpoint.service_account or given.service_account,
            check=self.check,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointList:
    """An EndpointSlice or Endpoints: what answers for a Service, by address."""

    kind: str
    name: Name
    service: Name
    endpoints: tuple[ExternalEndpoint, ...]
    """The ready ones; `ports` are those of the list."""
    made_by_cluster: bool = False
    """Written by a cluster's own controller, from a selector."""
    origin: Origin = BUILT_IN
