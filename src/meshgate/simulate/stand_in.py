"""Fills the facets that only a running mesh has, so that a linked model can be translated.

Pods, addresses and identities are invented, the same ones every time: one ready pod per
workload at a documentation address (RFC 5737).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from google.protobuf import descriptor_pb2

from meshgate.model.edge import Certificate
from meshgate.model.external import Resolution
from meshgate.model.graph import Model
from meshgate.model.names import (
    GATEWAY_LABELS,
    GATEWAY_NAMESPACE,
    GATEWAY_SERVICE_ACCOUNT,
    TRUST_DOMAIN,
    Name,
)
from meshgate.model.policies.grpc import ProtoDescriptor, described
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.model.service import AppProtocol, Service
from meshgate.model.target_ports import target_ports
from meshgate.model.workload import Instance, Svid, Workload
from meshgate.simulate.certificates import leaf, root

DEFAULT_CERTIFICATE = "meshgate-system/default"
"""What the gateway shows for every name without a certificate of its own."""

GATEWAY = Name(GATEWAY_NAMESPACE, "meshgate-gateway")
_REQUESTS = tuple(p for p in AppProtocol if p.is_http)
_INBOUND, _APP, _SERVICE = 20_000, 30_000, 40_000
"""Where invented local ports begin (ports isolation)."""
HTTP_PROXY_PORT = 15_001
_SERVICE_SUBNET = "198.51.100.0/24"


def stand_in(model: Model, *, isolation: Isolation = Isolation.PORTS) -> Model:
    """The model with invented pods, addresses, certificates and SVIDs; what is there stays."""
    targets = target_ports(model)
    instances = {
        key: model.instances.get(key) or (_instance(model, key, number, targets.get(key, ())),)
        for number, key in enumerate(sorted(model.workloads), start=1)
    }
    hosts = [*sorted(model.services), *sorted(h for h, e in model.entries.items() if _has_address(e))]
    addresses = {host: f"198.51.100.{n % 254 + 1}" for n, host in enumerate(hosts)}
    proxies = [gateway_proxy(), *(p for key in model.workloads if (p := sidecar_proxy(model, key)))]
    svids = {p.spiffe_id: model.svids.get(p.spiffe_id) or _svid(p.spiffe_id) for p in proxies}
    return replace(
        model,
        certificates={DEFAULT_CERTIFICATE: _default_certificate(), **model.certificates},
        instances=instances,
        addresses=model.addresses or (addresses if isolation is Isolation.NETNS else {}),
        svids=svids,
        descriptors={**_descriptors(model), **model.descriptors},
        trust_bundle_pem=model.trust_bundle_pem or {TRUST_DOMAIN: root()},
    )


def _has_address(entry: Service) -> bool:
    external = entry.external
    return external is not None and not external.addresses and external.resolution is not Resolution.NONE


def gateway_proxy(
    *,
    http_port: int = 8080,
    https_port: int = 8443,
    address: str = "127.0.0.1",
    native_filters: bool = False,
) -> Proxy:
    """The gateway, as far as its configuration depends on it."""
    return Proxy(
        id=f"gateway~{GATEWAY.name}.{GATEWAY_NAMESPACE}",
        kind=ProxyKind.GATEWAY,
        namespace=GATEWAY_NAMESPACE,
        service_account=GATEWAY_SERVICE_ACCOUNT,
        workload=GATEWAY,
        labels=GATEWAY_LABELS,
        address=address,
        http_port=http_port,
        https_port=https_port,
        native_filters=native_filters,
    )


def sidecar_proxy(model: Model, key: str, isolation: Isolation = Isolation.PORTS) -> Proxy | None:
    """The sidecar of a workload (`namespace/name`); None where it has none or does not exist."""
    workload = model.workloads.get(key)
    if workload is None or not workload.meshed:
        return None
    return client_proxy(model, workload, isolation)


def client_proxy(model: Model, workload: Workload, isolation: Isolation = Isolation.PORTS) -> Proxy:
    """The sidecar that a workload has or would have."""
    inbound = model.inbound.get(str(workload.name))
    numbers = [p.port for p in inbound.ports] if inbound else []
    ports = isolation is Isolation.PORTS
    services = [
        f"{host}:{port.number}"
        for host, service in sorted(model.services.items())
        for port in service.ports
        if port.protocol is not AppProtocol.UDP
    ]
    services += [
        f"{host}:{port.number}"
        for host, entry in sorted(model.entries.items())
        for port in entry.ports
        if port.protocol not in (AppProtocol.UDP, *_REQUESTS) and not host.startswith("*")
    ]
    return Proxy(
        id=f"sidecar~{workload.name.name}-0.{workload.name.namespace}",
        kind=ProxyKind.SIDECAR,
        namespace=workload.name.namespace,
        service_account=workload.service_account,
        workload=workload.name,
        labels=workload.labels,
        metadata=workload.proxy.proxy_metadata,
        isolation=isolation,
        inbound_ports={n: _INBOUND + i for i, n in enumerate(numbers)} if ports else {},
        app_ports={n: _APP + i if ports else n for i, n in enumerate(numbers)},
        proxy_port=HTTP_PROXY_PORT if ports else 0,
        service_subnet="" if ports else _SERVICE_SUBNET,
        service_ports={key: _SERVICE + i for i, key in enumerate(services)} if ports else {},
    )


def _instance(model: Model, key: str, number: int, targets: Iterable[int]) -> Instance:
    workload = model.workloads[key]
    inbound = model.inbound.get(key)
    numbers = {p.number for p in workload.ports} | {p.port for p in (inbound.ports if inbound else ())}
    numbers.update(targets)
    return Instance(
        pod=Name(workload.name.namespace, f"{workload.name.name}-0"),
        workload=workload.name,
        labels=workload.labels,
        service_account=workload.service_account,
        ip=f"192.0.2.{(number - 1) % 254 + 1}",
        ports={n: n for n in sorted(numbers)},
        named_ports={p.name: p.number for p in workload.ports if p.name},
        meshed=workload.meshed,
        ready=workload.replicas > 0,
    )


def _descriptors(model: Model) -> dict[str, ProtoDescriptor]:
    """One and the same for all, for a service without methods."""
    file = descriptor_pb2.FileDescriptorProto(name="invented.proto", package="invented", syntax="proto3")
    file.service.add(name="Service")
    content = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()
    invented = ProtoDescriptor(content=content, services=("invented.Service",))
    rules = (rule for host in model.edge_hosts.values() for rule in host.rules)
    found = (described(policies) for rule in rules for policies in rule.policies_of_each)
    return {how.key: invented for how in found if how is not None}


def _default_certificate() -> Certificate:
    chain, key = leaf(DEFAULT_CERTIFICATE, ("localhost",))
    return Certificate(name=DEFAULT_CERTIFICATE, hosts=(), chain_pem=chain, key_pem=key)


def _svid(spiffe_id: str) -> Svid:
    chain, key = leaf(spiffe_id, (spiffe_id,))
    return Svid(spiffe_id=spiffe_id, chain_pem=chain, key_pem=key, serial="1")
