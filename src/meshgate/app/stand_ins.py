"""`--stand-ins`: containers that name no command get a program of ours in place of their image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from meshgate.core.own_process import own_module
from meshgate.model.graph import Model
from meshgate.model.linking.inbound import container_port
from meshgate.model.service import AppProtocol
from meshgate.model.workload import (
    Container,
    ContainerPort,
    ExecProbe,
    GrpcProbe,
    HttpGet,
    Probe,
    Sleep,
    TcpSocket,
    Workload,
)

_PATIENCE_S = 15
VERSION_LABELS = ("version", "app.kubernetes.io/version")
Targets = Mapping[int, frozenset[AppProtocol]]
"""Container port -> what services say that it speaks."""
_UDP = frozenset({AppProtocol.UDP})
_NO_TARGETS: Targets = MappingProxyType({})


def with_stand_ins(model: Model) -> Model:
    """The model with something to run in every container; those that have a command are as before."""
    targets = _targets(model)
    workloads = {
        key: _completed(workload, targets.get(key, _NO_TARGETS)) for key, workload in model.workloads.items()
    }
    return replace(model, workloads=workloads)


def _targets(model: Model) -> Mapping[str, Targets]:
    """Workload -> where the services lead that select it."""
    found: dict[str, dict[int, frozenset[AppProtocol]]] = {}
    for host, keys in sorted(model.backends.items()):
        service = model.services.get(host) or model.entries.get(host)
        for port in service.ports if service else ():
            for key in keys:
                number = container_port(port, model.workloads[key])
                if number is not None:
                    said = found.setdefault(key, {})
                    said[number] = said.get(number, frozenset()) | {port.protocol}
    return found


def _completed(workload: Workload, targets: Targets) -> Workload:
    if all(container.argv for container in workload.containers):
        return workload
    taken = {port.number for c in workload.containers if c.argv for port in c.ports}
    named = {port.name: port.number for port in workload.ports}
    # A port that no container names may be any container's: a program's own, where there is one.
    free = {number for number in targets if not any(c.argv for c in workload.containers)}
    free -= {port.number for port in workload.ports}
    containers = []
    for container in workload.containers:
        if container.argv:
            containers.append(container)
            continue
        own = [port for port in container.ports if port.number not in taken]
        taken |= {port.number for port in own}
        more = sorted((free | set(_probed_ports(container, named))) - taken)
        taken |= set(more)
        ports = (*own, *(ContainerPort(number=n, udp=targets.get(n) == _UDP) for n in more))
        containers.append(_stand_in(workload, replace(container, ports=ports), targets))
        free.clear()
    return replace(workload, containers=tuple(containers))


def _stand_in(workload: Workload, container: Container, targets: Targets) -> Container:
    """Without what only the image's program could do, and without its secrets."""
    return replace(
        container,
        argv=tuple(_argv(workload, container, targets)),
        env=(),
        working_dir="",
        readiness=_answerable(container.readiness),
        liveness=_answerable(container.liveness),
        startup=_answerable(container.startup),
        post_start=None,
        pre_stop=container.pre_stop if isinstance(container.pre_stop, Sleep) else None,
        stand_in=True,
    )


def _argv(workload: Workload, container: Container, targets: Targets) -> Iterator[str]:
    yield from own_module("meshgate.standins")
    yield f"--workload={workload.name.name}"
    yield f"--container={container.name}"
    if container.image:
        yield f"--image={container.image}"
    version = next((workload.labels[key] for key in VERSION_LABELS if workload.labels.get(key)), "")
    if version:
        yield f"--version={version}"
    yield from sorted({f"--port={port}" for port in _listened(container, targets)})


def _listened(container: Container, targets: Targets) -> Iterator[str]:
    """What declares plain connections gets its bytes back, even where they look like HTTP."""
    for port in container.ports:
        said = targets.get(port.number, frozenset())
        if port.udp or AppProtocol.UDP in said:
            yield f"{port.number}/udp"
        if said - _UDP == {AppProtocol.TCP}:
            yield f"{port.number}/tcp"
        elif not port.udp or said - _UDP:
            yield f"{port.number}"


def _answerable(probe: Probe | None) -> Probe | None:
    """A probe that asks over the network; no program of the image is there to be run.

    It waits longer than the manifest says: a busy machine is no reason to end what cannot be ill.
    """
    if probe is None or isinstance(probe.action, ExecProbe):
        return None
    return replace(probe, timeout_s=max(probe.timeout_s, _PATIENCE_S))


def _probed_ports(container: Container, named: Mapping[str, int]) -> Iterator[int]:
    """Ports that probes ask at, which need not be declared."""
    for probe in (container.readiness, container.liveness, container.startup):
        match probe.action if probe else None:
            case HttpGet(port=port) | TcpSocket(port=port) | GrpcProbe(port=port):
                number = named.get(port, 0) if isinstance(port, str) else port
                if number:
                    yield number
            case _:
                pass
