"""The short lane: what pods say of themselves, to everybody who sends them requests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

import structlog

from meshgate.app.instances import Instances, by_workload, instance, is_live, service_table
from meshgate.app.live import Live
from meshgate.app.proxies import proxy_id
from meshgate.runtime.placement import Placement
from meshgate.runtime.redirect import Services
from meshgate.runtime.spec import Isolation, PodSpec
from meshgate.runtime.status import PodStatus
from meshgate.xds.status import Liveness

WITHDRAW_DEADLINE_S = 12.0
"""How long a stopping pod waits for the proxies to learn that it goes: one that does not answer for so
long is hung, and one that answers after half of it had not the CPU."""
_log = structlog.get_logger(__name__)


class Pods(Protocol):
    """What is asked of the runtime."""

    def pods(self) -> Iterable[PodStatus]: ...
    def supervised(self) -> Iterable[tuple[PodSpec, Placement]]: ...
    def proxied(self) -> Iterable[PodSpec]: ...
    async def set_services(self, services: Services) -> None: ...


class Proxies(Protocol):
    """What is asked of the xDS server."""

    def publish_endpoints(self, instances: Instances) -> None: ...
    def connected(self) -> Collection[str]: ...
    async def wait_live(
        self, node_ids: Collection[str], timeout_s: float, ending: Callable[[str], bool] = ...
    ) -> Mapping[str, Liveness]: ...


class EndpointLane:
    """Keeps `live.statuses` and `live.instances`, and tells proxies, kernel rules and daemons of a change."""

    def __init__(
        self,
        live: Live,
        pods: Pods,
        proxies: Proxies,
        isolation: Isolation,
        changed: Callable[[Instances], None],
    ) -> None:
        """`changed` is called with every change, before anything is awaited."""
        self._live, self._pods, self._proxies = live, pods, proxies
        self._isolation, self._changed = isolation, changed

    async def take(self, statuses: Iterable[PodStatus]) -> None:
        """Returns once nothing of ours leads to a pod that these say is gone, but what proxies do."""
        for status in statuses:
            if is_live(status):
                self._live.statuses[status.key] = status
            else:
                self._live.statuses.pop(status.key, None)
        running = {spec.key: spec for spec, _ in self._pods.supervised()}
        found = by_workload(
            instance(status, running[key], self._isolation)
            for key, status in self._live.statuses.items()
            if key in running and running[key].containers
        )
        if found != self._live.instances:
            self._live.instances = found
            self._proxies.publish_endpoints(found)
            self._changed(found)
            await self.tell_kernel()

    async def tell_kernel(self) -> None:
        """Service addresses lead to these pods in all pods without a sidecar."""
        await self._pods.set_services(service_table(self._live.model, self._live.instances))

    async def withdraw(self, status: PodStatus) -> None:
        """Returns once nobody sends the pod anything new, or after `WITHDRAW_DEADLINE_S`."""
        self._live.statuses.pop(status.key, None)
        # What the runtime knows now, not what has been told so far: the pod that takes over may
        # have become ready in this very moment, and must be there when this one goes.
        await self.take(self._pods.pods())
        # Whoever took the same news a moment ago may still be loading the rules that it asks for.
        await self.tell_kernel()
        # Those too that are on their way back to a control plane that has just begun.
        proxies = {*self._proxies.connected(), *(proxy_id(spec) for spec in self._pods.proxied())}
        found = await self._proxies.wait_live(proxies, WITHDRAW_DEADLINE_S, self._ending)
        slow = (Liveness.PENDING, Liveness.DISCONNECTED)
        late = sorted(p for p, state in found.items() if state in slow and not self._ending(p))
        if late:
            _log.warning("proxies_late", pod=str(status.key), proxies=late)

    def _ending(self, node_id: str) -> bool:
        """Whether the proxy's pod is being stopped, so that the proxy may have gone for good."""
        return all(
            spec.key not in self._live.statuses
            for spec, _ in self._pods.supervised()
            if proxy_id(spec) == node_id
        )
