"""EDS: the ready pods behind a cluster, and what else answers there. The short lane ends here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envoy.config.core.v3 import address_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from meshgate.model.external import UNIX, ExternalEndpoint
from meshgate.model.locality import parse_locality
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.service import ServicePort
from meshgate.model.workload import CLUSTER_ID, Instance, MtlsMode, canonical_name, canonical_revision
from meshgate.policies.packing import uint32
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.health import leave_others_alone
from meshgate.translate.locality import Spot, arrange, arrange_for, locality_setting
from meshgate.translate.metrics import WORKLOAD_KEY, WORKLOAD_METADATA
from meshgate.translate.names import parse_cluster

_TRANSPORT = "envoy.transport_socket_match"
MTLS_KEY, MTLS_VALUE = "tlsMode", "istio"
"""Endpoint metadata (`envoy.transport_socket_match`) that chooses mTLS, as in Istio."""


def translate(reader: Reader, proxy: Proxy, name: str) -> endpoint_pb2.ClusterLoadAssignment | None:
    """The assignment of an outbound cluster; empty while nothing is ready; None if unknown."""
    parts = parse_cluster(name)
    service = reader.service(parts.host) if parts else None
    port = service.port(parts.port) if service and parts else None
    if parts is None or service is None or port is None:
        return None
    rules = None if proxy.plain else destination_policy(reader, parts.host, proxy.namespace, proxy.labels)
    labels: Mapping[str, str] = {}
    if parts.subset:
        subset = rules.subset(parts.subset) if rules else None
        if subset is None:
            return None
        labels = subset.labels
    spots: list[Spot] = []
    for key in reader.backends(parts.host):
        inbound = reader.inbound(key)
        for instance in reader.instances(key):
            if not instance.ready or not labels.items() <= instance.labels.items():
                continue
            number = target_port(port, instance)
            if number not in instance.ports:
                continue
            modes = {p.port: p.mtls for p in inbound.ports} if inbound else {}
            mode = modes.get(number, inbound.default_mtls if inbound else MtlsMode.PERMISSIVE)
            encrypted = instance.meshed and mode is not MtlsMode.DISABLE
            endpoint = _endpoint(instance, instance.ports[number], encrypted=encrypted)
            spots.append(Spot(endpoint, instance.locality, instance.labels))
    spots.extend(machine_spots(reader.endpoints(parts.host), port, labels))
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    setting = None
    if rules is not None:
        setting = locality_setting(reader, traffic_policy(rules, parts.port, parts.subset))
    if setting is not None and spots:
        arrange_for(proxy, assignment, spots, setting)
    else:
        arrange(assignment, spots)
    leave_others_alone(assignment.endpoints)
    return assignment


def machine_spots(
    endpoints: Iterable[ExternalEndpoint], port: ServicePort, labels: Mapping[str, str]
) -> Iterator[Spot]:
    """Endpoints that are no pods: those that serve the port and have the labels."""
    for endpoint in endpoints:
        number = dict(endpoint.ports).get(port.name, 0)
        if number and endpoint.weight and endpoint.has(labels):
            place = parse_locality(endpoint.locality)
            yield Spot(_machine(endpoint, number), place, dict(endpoint.labels))


def _machine(endpoint: ExternalEndpoint, port: int) -> endpoint_components_pb2.LbEndpoint:
    found = endpoint_components_pb2.LbEndpoint(
        health_status=health_check_pb2.HEALTHY, load_balancing_weight=uint32(endpoint.weight)
    )
    if endpoint.address.startswith(UNIX):
        address = address_pb2.Address(pipe=address_pb2.Pipe(path=endpoint.address.removeprefix(UNIX)))
    else:
        socket = address_pb2.SocketAddress(address=endpoint.address, port_value=port)
        address = address_pb2.Address(socket_address=socket)
    found.endpoint.address.CopyFrom(address)
    if endpoint.check is not None:
        found.endpoint.health_check_config.port_value = endpoint.check.port
    if endpoint.meshed:
        found.metadata.filter_metadata[_TRANSPORT].update({MTLS_KEY: MTLS_VALUE})
    return found


def target_port(port: ServicePort, instance: Instance) -> int:
    """The container port that a service port leads to on this pod; 0 for an unknown name."""
    match port.target:
        case str() as name:
            return instance.named_ports.get(name, 0)
        case 0:
            return port.number
        case number:
            return number


def _endpoint(instance: Instance, port: int, *, encrypted: bool) -> endpoint_components_pb2.LbEndpoint:
    endpoint = endpoint_components_pb2.LbEndpoint(
        health_status=health_check_pb2.HEALTHY, load_balancing_weight=uint32(1)
    )
    address = endpoint.endpoint.address.socket_address
    address.address, address.port_value = instance.ip, port
    if encrypted:
        endpoint.metadata.filter_metadata[_TRANSPORT].update({MTLS_KEY: MTLS_VALUE})
    # Whose requests these are is read from here by the metrics, as in Istio.
    labels = instance.labels
    parts = (instance.workload.name, instance.workload.namespace, canonical_name(instance.workload, labels))
    named = ";".join((*parts, canonical_revision(labels), CLUSTER_ID))
    endpoint.metadata.filter_metadata[WORKLOAD_METADATA].update({WORKLOAD_KEY: named})
    return endpoint
