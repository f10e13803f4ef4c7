"""Clusters of hosts that a ServiceEntry adds: where their addresses come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as forward_pb2

from meshgate.model.external import MTLS_LABEL, External, ExternalEndpoint, Resolution
from meshgate.model.names import Name, service_host
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.service import Service, ServicePort
from meshgate.policies.packing import duration, pack
from meshgate.translate.dns import dns_cache
from meshgate.translate.endpoint import machine_spots, target_port
from meshgate.translate.health import leave_others_alone
from meshgate.translate.locality import Spot, arrange

_ALIASES = 8
"""Of a name that stands for a name that stands for a name."""
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


def aliased(reader: Reader, service: Service, namespace: str) -> Service:
    """What a Service of type ExternalName stands for, as a client in `namespace` sees it; the service
    itself where that is no host of the mesh."""
    found = service
    for _ in range(_ALIASES):
        if not found.external_name:
            return found
        host = full_external_name(found)
        further = reader.service(host)
        if further is None or (further.external and not _visible(further, namespace)):
            further = entry(reader, host, namespace)
        if further is None:
            return found
        found = further
    return service


def full_external_name(service: Service) -> str:
    """The name that an ExternalName stands for; a short one is of the service's namespace."""
    name = service.external_name.lower().rstrip(".")
    return name if "." in name else service_host(Name(service.name.namespace, name))


def by_external_name(cluster: cluster_pb2.Cluster, service: Service, port: ServicePort) -> None:
    """The endpoints of a cluster are what the name of an ExternalName resolves to."""
    named = _itself(full_external_name(service), replace(port, target=0))
    _by_name(cluster, machine_spots((named,), port, {}), one=False)


def _visible(service: Service, namespace: str) -> bool:
    return service.external is not None and service.external.visible_from(namespace, service.name.namespace)


def _wildcards(host: str) -> Iterator[str]:
    labels = host.split(".")
    return ("*." + ".".join(labels[i:]) for i in range(1, len(labels)))


def locate(
    reader: Reader,
    cluster: cluster_pb2.Cluster,
    proxy: Proxy,
    external: External,
    port: ServicePort,
    labels: Mapping[str, str],
) -> bool:
    """Sets where a cluster's endpoints are; False where this proxy has no way to find them."""
    endpoints = reader.endpoints(external.host)
    if external.by_workloads and not any(e.is_name for e in endpoints):
        return True
    match external.resolution:
        case Resolution.STATIC:
            pass
        case Resolution.DNS | Resolution.DNS_ROUND_ROBIN:
            if external.by_workloads:
                endpoints += _pods(reader, external.host, port)
            elif not endpoints:
                endpoints, labels = (_itself(external.host, port),), {}
            _by_name(
                cluster,
                machine_spots(endpoints, port, labels),
                one=external.resolution is Resolution.DNS_ROUND_ROBIN and len(endpoints) == 1,
            )
        case Resolution.DYNAMIC_DNS:
            return _by_asked_name(cluster, proxy)
        case Resolution.NONE:
            return _as_asked(cluster, proxy, external, port)
        case _:
            assert_never(external.resolution)
    return True


def _itself(host: str, port: ServicePort) -> ExternalEndpoint:
    return ExternalEndpoint(address=host, ports=((port.name, int(port.target or port.number)),))


def _pods(reader: Reader, host: str, port: ServicePort) -> tuple[ExternalEndpoint, ...]:
    """The ready pods that a selector takes, beside machines that are found by name."""
    return tuple(
        ExternalEndpoint(
            address=i.ip,
            ports=((port.name, number),),
            labels=tuple(sorted({**i.labels, **({MTLS_LABEL: "istio"} if i.meshed else {})}.items())),
            locality=str(i.locality),
        )
        for key in reader.backends(host)
        for i in reader.instances(key)
        if i.ready and (number := i.ports.get(target_port(port, i), 0))
    )


def _as_asked(cluster: cluster_pb2.Cluster, proxy: Proxy, external: External, port: ServicePort) -> bool:
    """To where the client was going. Where connections are not redirected, that is the host's name."""
    sidecar = proxy.kind is ProxyKind.SIDECAR
    if sidecar and proxy.isolation is Isolation.NETNS:
        cluster.ClearField("eds_cluster_config")
        cluster.type = cluster_pb2.Cluster.ORIGINAL_DST
        cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    elif not external.host.startswith("*"):
        _by_name(cluster, machine_spots((_itself(external.host, port),), port, {}), one=False)
    else:
        return _by_asked_name(cluster, proxy)
    return True


def _by_asked_name(cluster: cluster_pb2.Cluster, proxy: Proxy) -> bool:
    """To what the name that a request or TLS asks for resolves to."""
    if proxy.kind is not ProxyKind.SIDECAR:
        return False  # a stranger would choose where the gateway connects to
    cluster.ClearField("eds_cluster_config")
    cluster.ClearField("type")
    cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    cluster.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    cluster.cluster_type.typed_config.CopyFrom(pack(forward_pb2.ClusterConfig(dns_cache_config=dns_cache())))
    return True


def _by_name(cluster: cluster_pb2.Cluster, spots: Iterable[Spot], *, one: bool) -> None:
    cluster.ClearField("eds_cluster_config")
    cluster.type = cluster_pb2.Cluster.LOGICAL_DNS if one else cluster_pb2.Cluster.STRICT_DNS
    cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
    cluster.dns_refresh_rate.CopyFrom(duration(_REFRESH_MS))
    cluster.respect_dns_ttl = True
    cluster.load_assignment.cluster_name = cluster.name
    arrange(cluster.load_assignment, spots)
    leave_others_alone(cluster.load_assignment.endpoints)
