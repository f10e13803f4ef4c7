"""Where a pod is: its address, its ports, its files; and the Protocols that are told so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from meshgate.runtime.expansion import expand_environment
from meshgate.runtime.ports import PortAllocator
from meshgate.runtime.redirect import INBOUND_PORT, OUTBOUND_PORT
from meshgate.runtime.spec import ContainerSpec, Isolation, PodKey, PodSpec

LOOPBACK = "127.0.0.1"
_DROPPED = re.compile(r"(?i)(https?|all|no|ftp)_proxy|PORT(_.*)?|MESHGATE_.*|.*_SERVICE_(HOST|PORT)(_.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Everything that a bootstrap or an environment may need to know of a pod's place."""

    isolation: Isolation
    ip: str
    """The pod's own address; 127.0.0.1 in ports isolation, the bridge's for a gateway in netns."""
    app_ports: Mapping[int, int]
    """Container port -> the port the application listens on (the same in netns isolation)."""
    inbound_ports: Mapping[int, int]
    """Container port -> the sidecar's inbound port; in netns isolation 15006 for all."""
    outbound_port: int
    """Netns: 15001, reached by redirect. Ports: the sidecar's HTTP proxy on 127.0.0.1."""
    service_ports: Mapping[str, int]
    """Ports isolation: key asked for -> port of one more sidecar listener on 127.0.0.1."""
    run_dir: Path
    """The pod's directory; Envoy may read and write there."""
    admin_socket: Path
    """Unix socket that Envoy's admin must listen on."""
    xds_socket: Path
    """Unix socket of the control plane."""
    netns: str = ""
    """Name of the network namespace; empty where the pod has none."""
    link: str = ""
    """The machine's end of the pod's link."""
    dns_address: str = ""
    """Netns: who answers DNS."""


class SidecarFactory(Protocol):
    """Makes the bootstrap of a pod's Envoy."""

    def bootstrap(self, pod: PodSpec, placement: Placement) -> bytes:
        """JSON text, or a binary `envoy.config.bootstrap.v3.Bootstrap`.

        Its admin must listen on `placement.admin_socket`.
        """
        ...


class EnvFactory(Protocol):
    """Says what the pod's containers shall find in their environment."""

    def environment(self, pod: PodSpec, placement: Placement) -> Mapping[str, str]:
        """E.g. `PAYMENT_SERVICE_HOST`, `http_proxy`."""
        ...


class PortPlan:
    """Asks the allocator for what one pod needs in ports isolation."""

    def __init__(self, allocator: PortAllocator, key: PodKey) -> None:
        self._allocator = allocator
        self._prefix = f"{key.namespace}/{key.name}/{key.spec_hash}"
        self._held: set[str] = set()

    def _take(self, names: Mapping[str, str], adopted: bool) -> dict[str, int]:
        """Name -> port, for a mapping of names to the allocator's keys."""
        ports = self._allocator.hold(list(names.values()), adopted=adopted)
        self._held.update(names.values())
        return {name: ports[key] for name, key in names.items()}

    def hold(
        self, pod: PodSpec, *, adopted: bool = False
    ) -> tuple[dict[int, int], dict[int, int], int, dict[str, int]]:
        """Application, inbound, outbound and service ports; all stable for the pod's key."""
        numbers = [str(port.number) for port in pod.ports]
        apps = self._take({number: f"{self._prefix}|app|{number}" for number in numbers}, adopted)
        inbound: dict[str, int] = {}
        outbound, services = 0, {}
        if pod.meshed:
            inbound = self._take({number: f"{self._prefix}|in|{number}" for number in numbers}, adopted)
            outbound = self._take({"out": f"{self._prefix}|out"}, adopted)["out"]
            services = self._take({key: f"{self._prefix}|svc|{key}" for key in pod.service_ports}, adopted)
        by_number = {int(number): port for number, port in apps.items()}
        return by_number, {int(number): port for number, port in inbound.items()}, outbound, services

    def release(self) -> None:
        """Gives all of the pod's ports back."""
        self._allocator.release(self._held)
        self._held.clear()


def netns_ports(pod: PodSpec) -> tuple[dict[int, int], dict[int, int], int, dict[str, int]]:
    """The same four where the pod has a network of its own: nothing to allocate."""
    apps = {port.number: port.number for port in pod.ports}
    inbound = {port.number: INBOUND_PORT for port in pod.ports} if pod.meshed else {}
    return apps, inbound, OUTBOUND_PORT if pod.meshed else 0, {}


def inherited_environment() -> dict[str, str]:
    """The machine's environment without what would lead traffic or ports elsewhere."""
    return {name: value for name, value in os.environ.items() if not _DROPPED.fullmatch(name)}


def container_environment(
    pod: PodSpec, container: ContainerSpec, placement: Placement, given: Mapping[str, str]
) -> dict[str, str]:
    """The full environment of a container's process; the container's own `env` wins.

    `PORT` is the first port's; each port has `PORT_<NUMBER>` and, if named, `PORT_<NAME>`.
    """
    env = inherited_environment()
    env.update(
        HOSTNAME=pod.name,
        POD_NAME=pod.name,
        POD_NAMESPACE=pod.namespace,
        POD_IP=placement.ip,
        PYTHONUNBUFFERED=env.get("PYTHONUNBUFFERED", "1"),
    )
    for port in reversed(pod.ports):
        reached = str(placement.app_ports[port.number])
        env["PORT"] = reached
        env[f"PORT_{port.number}"] = reached
        if port.name:
            env["PORT_" + re.sub(r"[^A-Z0-9]", "_", port.name.upper())] = reached
    return expand_environment(container.env, {**env, **given})
