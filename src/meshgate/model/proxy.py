"""Proxies: the Envoys that ask for configuration."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.model.locality import Locality, locality_of
from meshgate.model.names import TRUST_DOMAIN, Name
from meshgate.model.service import EMPTY

_META = "ISTIO_META_"
ISTIO_VERSION = "1.27.0"
"""The Istio whose behaviour is followed; what `proxyVersion` of a patch is compared with."""


class ProxyKind(enum.Enum):
    GATEWAY = "gateway"
    SIDECAR = "sidecar"


class Isolation(enum.Enum):
    """How pods on one machine are kept apart."""

    NETNS = "netns"
    """Each pod has a network namespace, an address and redirected traffic."""
    PORTS = "ports"
    """Pods share the loopback address and differ by port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One Envoy: who it is and where its listeners are. Equal proxies get equal resources."""

    id: str
    """Envoy's node id: `sidecar~<pod>.<namespace>` or `gateway~<name>.<namespace>`."""
    kind: ProxyKind
    namespace: str
    service_account: str
    workload: Name
    labels: Mapping[str, str] = EMPTY
    isolation: Isolation = Isolation.PORTS
    address: str = "127.0.0.1"
    """Where its listeners are reached: the pod's address, or the gateway's bind address."""
    http_port: int = 8080
    """Gateway only."""
    https_port: int = 8443
    """Gateway only; 0 for none."""
    http3: bool = False
    """Gateway only: HTTPS over QUIC too, at the same port."""
    native_filters: bool = False
    """Gateway only: whether it can load our own filters."""
    inbound_ports: Mapping[int, int] = field(default_factory=dict)
    """Sidecar, ports isolation: container port -> port of the inbound listener."""
    app_ports: Mapping[int, int] = field(default_factory=dict)
    """Sidecar: container port -> port where the application listens (itself in netns)."""
    proxy_port: int = 0
    """Sidecar, ports isolation: the port that `http_proxy` leads to."""
    service_ports: Mapping[str, int] = field(default_factory=dict)
    """Sidecar, ports isolation: `host:port` of a service -> local port that leads to it."""
    service_subnet: str = ""
    """Sidecar, netns isolation: what the services' addresses are of."""

    metadata: Mapping[str, str] = EMPTY
    """`proxyMetadata` of its settings."""
    plain: bool = False
    """Stands in for the network that pods without a sidecar need: no rules, no identity, plaintext."""

    @property
    def described(self) -> Mapping[str, str]:
        """What Istio tells of a proxy, by Istio's names; patches may match by it."""
        return {
            "CLUSTER_ID": "Kubernetes",
            "ISTIO_VERSION": ISTIO_VERSION,
            "MESH_ID": TRUST_DOMAIN,
            "NAMESPACE": self.namespace,
            "SERVICE_ACCOUNT": self.service_account,
            "WORKLOAD_NAME": self.workload.name,
            **self.metadata,
            # Istio's agent makes metadata of its environment so.
            **{k.removeprefix(_META): v for k, v in self.metadata.items() if k.startswith(_META)},
        }

    @property
    def locality(self) -> Locality:
        """Where it is, as its pod's labels say."""
        return locality_of(self.labels)

    @property
    def spiffe_id(self) -> str:
        """The identity that this proxy shows to others."""
        return f"spiffe://{TRUST_DOMAIN}/ns/{self.namespace}/sa/{self.service_account}"
