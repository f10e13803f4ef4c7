"""What runs, as endpoints: the end of the short lane on our side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from meshgate.model.graph import Model
from meshgate.model.names import Name
from meshgate.model.service import ServicePort
from meshgate.model.workload import Instance
from meshgate.runtime.redirect import Services
from meshgate.runtime.spec import Isolation, PodSpec
from meshgate.runtime.status import Phase, PodStatus

Instances = Mapping[str, tuple[Instance, ...]]
"""Workload -> its ready pods."""
NO_INSTANCES: Instances = MappingProxyType({})


def instance(status: PodStatus, pod: PodSpec, isolation: Isolation) -> Instance:
    """A pod as others reach it: through its sidecar where it has one."""
    meshed = pod.meshed and not status.bypassed
    through_sidecar = meshed and isolation is Isolation.PORTS
    ports = status.inbound_ports if through_sidecar else status.port_map
    return Instance(
        pod=Name(status.namespace, status.name),
        workload=Name(status.namespace, status.workload),
        labels=dict(status.labels),
        service_account=pod.service_account,
        ip=status.ip,
        ports=dict(ports),
        named_ports={p.name: p.number for p in pod.ports if p.name},
        meshed=meshed,
        ready=status.ready,
    )


def by_workload(instances: Iterable[Instance]) -> Mapping[str, tuple[Instance, ...]]:
    """The `instances` facet: workload key -> its ready pods, sorted, so that order never shows."""
    found: dict[str, list[Instance]] = {}
    for entry in instances:
        if entry.ready:
            found.setdefault(str(entry.workload), []).append(entry)
    return {key: tuple(sorted(each, key=lambda i: i.pod)) for key, each in sorted(found.items())}


def is_live(status: PodStatus) -> bool:
    """Whether the pod still counts (a terminating one gets no new requests)."""
    return status.phase not in (Phase.GONE, Phase.TERMINATING)


def reached_port(port: ServicePort, instance: Instance) -> int:
    """Where a service port leads on a pod's address; 0 where the pod has no such port."""
    number = port.target or port.number
    if isinstance(number, str):
        number = instance.named_ports.get(number, 0)
    return instance.ports.get(number, 0)


def pod_place(model: Model, instances: Instances, host: str, port: int) -> tuple[str, int] | None:
    """Address and port of the first ready pod of a service of ours, or of what else answers for it by an
    address; None where there is none."""
    service = model.services.get(host)
    found = service.port(port) if service else None
    if found is None:
        return None
    for key in model.backends.get(host, ()):
        for one in instances.get(key, ()):
            if number := reached_port(found, one):
                return one.ip, number
    for machine in model.endpoints.get(host, ()):
        number = dict(machine.ports).get(found.name, 0)
        if number and not machine.is_name and ":" not in machine.address:
            return machine.address, number
    return None


def service_table(model: Model, instances: Mapping[str, tuple[Instance, ...]]) -> Services:
    """Service address -> port -> pods: what pods without a sidecar need to call
    by address."""
    table: dict[str, dict[int, tuple[tuple[str, int], ...]]] = {}
    for host, address in model.addresses.items():
        service = model.services.get(host)
        if service is None:
            continue  # a ServiceEntry's: only members of the mesh know it
        ready = [i for key in model.backends.get(host, ()) for i in instances.get(key, ())]
        machines = [m for m in model.endpoints.get(host, ()) if not m.is_name and ":" not in m.address]
        table[address] = {
            port.number: tuple(
                (ip, number)
                for ip, number in (
                    *((i.ip, reached_port(port, i)) for i in ready),
                    *((m.address, dict(m.ports).get(port.name, 0)) for m in machines if m.weight),
                )
                if number
            )
            for port in service.ports
        }
    return table
