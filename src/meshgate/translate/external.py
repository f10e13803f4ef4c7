"""Clusters of hosts that a ServiceEntry adds: where their addresses come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as forward_pb2

from meshgate.model.external import External, ExternalEndpoint, Resolution
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.service import Service, ServicePort
from meshgate.policies.packing import duration, pack, uint32
from meshgate.translate.dns import dns_cache

_REFRESH_MS = 60_000
"""Istio's `dnsRefreshRate`; a shorter time to live in the answer holds."""


def entry(reader: Reader, host: str, namespace: str) -> Service | None:
    """The ServiceEntry's service for a host as a client in `namespace` sees it: exact before wildcards."""
    for name in (host, *_wildcards(host)):
        found = reader.entry(name)
        if (
            found is not None
            and found.external
            and found.external.visible_from(namespace, found.name.namespace)
        ):
            return found
    return None


def _wildcards(host: str) -> Iterator[str]:
    labels = host.split(".")
    return ("*." + ".".join(labels[i:]) for i in range(1, len(labels)))


def locate(
    cluster: cluster_pb2.Cluster,
    proxy: Proxy,
    external: External,
    port: ServicePort,
    labels: Mapping[str, str],
) -> bool:
    """Sets where a cluster's endpoints are; False where this proxy has no way to find them."""
    if external.by_workloads:
        return True
    cluster.ClearField("eds_cluster_config")
    match external.resolution:
        case Resolution.STATIC:
            cluster.type = cluster_pb2.Cluster.STATIC
            _endpoints(cluster, external.chosen(labels), port)
        case Resolution.DNS | Resolution.DNS_ROUND_ROBIN:
            named = external.chosen(labels)
            if not external.endpoints:
                named = (ExternalEndpoint(address=external.host),)
            _by_name(cluster, named, port, one=external.resolution is Resolution.DNS_ROUND_ROBIN)
        case Resolution.NONE:
            return _as_asked(cluster, proxy, external, port)
    return True


def _as_asked(cluster: cluster_pb2.Cluster, proxy: Proxy, external: External, port: ServicePort) -> bool:
    """To where the client was going. Where connections are not redirected, that is the host's name."""
    sidecar = proxy.kind is ProxyKind.SIDECAR
    if sidecar and proxy.isolation is Isolation.NETNS:
        cluster.type = cluster_pb2.Cluster.ORIGINAL_DST
        cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    elif not external.host.startswith("*"):
        _by_name(cluster, (ExternalEndpoint(address=external.host),), port, one=False)
    elif sidecar:
        cluster.ClearField("type")
        cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
        cluster.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
        cluster.cluster_type.typed_config.CopyFrom(
            pack(forward_pb2.ClusterConfig(dns_cache_config=dns_cache()))
        )
    else:
        return False  # a stranger would choose where the gateway connects to
    return True


def _by_name(
    cluster: cluster_pb2.Cluster, endpoints: tuple[ExternalEndpoint, ...], port: ServicePort, *, one: bool
) -> None:
    single = one and len(endpoints) == 1
    cluster.type = cluster_pb2.Cluster.LOGICAL_DNS if single else cluster_pb2.Cluster.STRICT_DNS
    cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
    cluster.dns_refresh_rate.CopyFrom(duration(_REFRESH_MS))
    cluster.respect_dns_ttl = True
    _endpoints(cluster, endpoints, port)


def _endpoints(
    cluster: cluster_pb2.Cluster, endpoints: tuple[ExternalEndpoint, ...], port: ServicePort
) -> None:
    cluster.load_assignment.cluster_name = cluster.name
    group = cluster.load_assignment.endpoints.add()
    for endpoint in endpoints:
        if not endpoint.weight:
            continue
        number = dict(endpoint.ports).get(port.name) or port.target or port.number
        found = group.lb_endpoints.add(load_balancing_weight=uint32(endpoint.weight))
        address = found.endpoint.address.socket_address
        address.address, address.port_value = endpoint.address, int(number)
