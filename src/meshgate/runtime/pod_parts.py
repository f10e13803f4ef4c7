"""What a pod's supervisor works with: the tools that all pods share, and the pod's own keepers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from meshgate.core.clock import Clock
from meshgate.runtime.containers import Container, Sidecar
from meshgate.runtime.envoy_process import PROXY_CONTAINER
from meshgate.runtime.keeper import Keeper, Kept
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import EnvFactory, Placement, SidecarFactory, container_environment
from meshgate.runtime.process import Launch
from meshgate.runtime.records import ProcessRecord, Records
from meshgate.runtime.spec import ContainerSpec, PodSpec
from meshgate.runtime.status import PodStatus


class Place(Protocol):
    """Makes and removes what a pod stands on: its namespace, its ports, its files."""

    async def prepare(self, pod: PodSpec, placement: Placement) -> None:
        """Makes the place; may be called again after it failed with `CommandFailed` or `OSError`."""
        ...

    async def reach_services(self, pod: PodSpec, placement: Placement) -> None:
        """Called for an adopted pod, whose place is made already."""
        ...

    async def set_bypass(self, pod: PodSpec, placement: Placement, bypass: bool) -> None:
        """Leads traffic past the sidecar, or through it again; raises `CommandFailed`."""
        ...

    async def remove(self, pod: PodSpec, placement: Placement) -> None:
        """Leaves nothing of the place; never raises for what is gone already."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTools:
    """What all pods of one runtime share."""

    paths: RuntimePaths
    records: Records
    sidecars: SidecarFactory
    environments: EnvFactory
    place: Place
    report: Callable[[PodStatus], None]
    withdraw: Callable[[PodStatus], Awaitable[None]]
    """Returns once nobody sends new requests to the pod; given 15 s."""
    clock: Clock


class PodParts:
    """The sidecar and the containers of one pod, each with the keeper that keeps it alive."""

    def __init__(
        self, spec: PodSpec, placement: Placement, tools: PodTools, changed: Callable[[], None]
    ) -> None:
        """`changed` is called after each change of a keeper."""
        self._spec, self._placement, self._tools, self._changed = spec, placement, tools, changed
        self.sidecar = self._make_sidecar() if spec.meshed else None
        self.proxy = self._keep(PROXY_CONTAINER, self.sidecar) if self.sidecar else None
        self.containers = tuple(self._make_container(container) for container in spec.containers)
        self.apps = tuple(keeper for _, keeper in self.containers)

    @property
    def keepers(self) -> tuple[Keeper, ...]:
        """All of them, the sidecar's first."""
        return (self.proxy, *self.apps) if self.proxy else self.apps

    def _make_sidecar(self) -> Sidecar:
        spec, paths = self._spec, self._tools.paths
        log = paths.log(spec.namespace, spec.name, PROXY_CONTAINER)
        return Sidecar(pod=spec, placement=self._placement, factory=self._tools.sidecars, log=log)

    def _make_container(self, spec: ContainerSpec) -> tuple[Container, Keeper]:
        pod, placement = self._spec, self._placement
        given = self._tools.environments.environment(pod, placement)
        container = Container(
            pod=pod,
            spec=spec,
            placement=placement,
            env=container_environment(pod, spec, placement, given),
            log=self._tools.paths.log(pod.namespace, pod.name, spec.name),
        )
        return container, self._keep(spec.name, container)

    def _keep(self, name: str, part: Container | Sidecar) -> Keeper:
        launch: Callable[[str], Launch] = part.launch
        return Keeper(
            Kept(
                name=name,
                owner=str(self._spec.key),
                launch=launch,
                watch=part.watch,
                record=partial(self._record, name),
                changed=self._changed,
            )
        )

    def _record(self, name: str, process: ProcessRecord | None) -> None:
        self._tools.records.set_process(self._spec.key, name, process)
