"""What a sidecar may know: `exportTo` of the host, then the Sidecar of the workload."""

from __future__ import annotations

from meshgate.model.graph import MeshHost
from meshgate.model.mesh_config import OutboundMode
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.service import Service
from meshgate.model.sidecar import Sidecar
from meshgate.translate.names import BLACK_HOLE_CLUSTER, outbound_cluster


def sidecar(reader: Reader, proxy: Proxy) -> Sidecar | None:
    """The Sidecar of the proxy's workload; None for gateways, and where there is none."""
    if proxy.kind is ProxyKind.GATEWAY or proxy.plain:
        return None
    return reader.sidecar(str(proxy.workload))


def exported(reader: Reader, service: Service, namespace: str) -> bool:
    """Whether clients in `namespace` may know the service or ServiceEntry."""
    own = service.name.namespace
    if service.external is not None:
        return service.external.visible_from(namespace, own)
    places = service.export_to or reader.mesh_config().default_service_export_to
    return "*" in places or namespace in places or ("." in places and namespace == own)


def sees(reader: Reader, proxy: Proxy, service: Service, port: int) -> bool:
    """Whether the proxy knows the service at that port."""
    if proxy.kind is ProxyKind.GATEWAY or proxy.plain:
        return True
    if not exported(reader, service, proxy.namespace):
        return False
    found = sidecar(reader, proxy)
    return found is None or found.imports(service.name.namespace, service.host, port)


def follows(reader: Reader, proxy: Proxy, rules: MeshHost, host: str, port: int) -> bool:
    """Whether the proxy follows the rules of a VirtualService for a host."""
    found = sidecar(reader, proxy)
    return found is None or found.imports(rules.namespace, host, port)


def outbound_mode(reader: Reader, proxy: Proxy) -> OutboundMode:
    """What becomes of requests to hosts that the proxy does not know."""
    if proxy.plain:
        return OutboundMode.ALLOW_ANY
    found = sidecar(reader, proxy)
    if found is not None and found.outbound_mode is not None:
        return found.outbound_mode
    return reader.mesh_config().outbound_mode


def scope(reader: Reader, proxy: Proxy) -> str:
    """Proxies of a namespace with the same Sidecar know the same."""
    found = sidecar(reader, proxy)
    return str(found.ref) if found is not None else ""


def outside_cluster(reader: Reader, proxy: Proxy) -> str:
    """Where connections to unknown places go; empty: to those places."""
    if outbound_mode(reader, proxy) is OutboundMode.REGISTRY_ONLY:
        return BLACK_HOLE_CLUSTER
    found = sidecar(reader, proxy)
    way = found.egress_proxy if found is not None else None
    return outbound_cluster(way) if way is not None else ""
