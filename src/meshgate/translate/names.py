"""Names inside Envoy, after Istio's conventions, and how to read them back."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.model.route import Destination
from meshgate.policies.cluster_names import service_cluster

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

OUTBOUND_ROUTES = "outbound"
"""The sidecar's one route configuration; its virtual hosts come on demand."""
EDGE_ROUTES = "edge"
"""The gateway's route configuration."""

BLACK_HOLE_CLUSTER = "BlackHoleCluster"
PASSTHROUGH_CLUSTER = "PassthroughCluster"
INBOUND_PASSTHROUGH_CLUSTER = "InboundPassthroughCluster"
FORWARD_PROXY_CLUSTER = "ForwardProxyCluster"

OWN_CERTIFICATE = "default"
TRUST_BUNDLE = "ROOTCA"
EDGE_CERTIFICATE_PREFIX = "kubernetes://"
CLIENT_CREDENTIAL_PREFIX = "client-credential://"
EDGE_AUTHORITIES_PREFIX = "kubernetes-cacert://"
PAIR_FILES_PREFIX, AUTHORITIES_FILE_PREFIX = "file-cert:", "file-root:"
"""Of secrets whose texts the proxy reads itself; their paths follow, with `~` between them."""
DEFAULT_EDGE_CERTIFICATE = "meshgate-default-certificate"


def outbound_cluster(destination: Destination) -> str:
    """`outbound|80|v1|payment.default.svc.cluster.local`."""
    return service_cluster(destination.host, destination.port, destination.subset)


def inbound_cluster(port: int) -> str:
    """`inbound|8080||`."""
    return f"inbound|{port}||"


@dataclass(frozen=True, slots=True)
class ClusterName:
    """A cluster's name taken apart."""

    direction: str
    port: int
    subset: str
    host: str


def parse_cluster(name: str) -> ClusterName | None:
    """The parts of an inbound or outbound cluster's name; None for any other name."""
    parts = name.split("|")
    if len(parts) != 4 or parts[0] not in ("inbound", "outbound") or not parts[1].isdecimal():
        return None
    return ClusterName(parts[0], int(parts[1]), parts[2], parts[3])


def same_elsewhere(parts: ClusterName, host: str) -> str:
    """The name of the cluster for the same port and subset of another host."""
    return f"{parts.direction}|{parts.port}|{parts.subset}|{host}"


def service_routes(host: str, port: int) -> str:
    """The route configuration of a local port that leads to one service (ports isolation)."""
    return f"service|{port}||{host}"


def server_routes(port: int) -> str:
    """The route configuration of all plaintext servers of Gateways at a port."""
    return f"http.{port}"


def split_authority(authority: str) -> tuple[str, int]:
    """`payment:8080` -> (`payment`, 8080); port 0 where there is none."""
    host, colon, port = authority.rpartition(":")
    if colon and port.isdecimal() and not host.endswith(":") and int(port) < 65536:
        return host, int(port)
    return authority, 0
