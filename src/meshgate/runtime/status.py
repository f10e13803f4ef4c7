"""What the runtime reports: one frozen record per pod, the newest wins."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from meshgate.runtime.spec import PodKey


class Phase(enum.Enum):
    """Where a pod is in its life; the values are Kubernetes' pod phases and reasons."""

    PENDING = "Pending"
    RUNNING = "Running"
    CRASH_LOOP = "CrashLoopBackOff"
    TERMINATING = "Terminating"
    GONE = "Gone"
    """The last status of a pod: nothing of it is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStatus:
    """One pod as it is now."""

    name: str
    namespace: str
    spec_hash: str
    """Tells a pod from its replacement of the same name."""
    workload: str
    labels: Mapping[str, str]
    ip: str
    phase: Phase
    ready: bool
    """Every container and the sidecar are ready, and the pod is not being stopped."""
    available: bool = False
    """Ready for as long as its rollout asks for."""
    bypassed: bool = False
    """The sidecar is down, and traffic goes to and from the containers without it."""
    restarts: int
    """Of containers and sidecar, since the pod was created or adopted."""
    port_map: Mapping[int, int]
    """Container port -> where the application itself is reached on `ip`."""
    inbound_ports: Mapping[int, int]
    """Ports isolation: container port -> the sidecar's inbound port on `ip`."""
    service_ports: Mapping[str, int]
    """Ports isolation: key asked for -> the sidecar's listener port."""
    outbound_port: int | None = None
    """Ports isolation: the sidecar's HTTP proxy."""
    pids: Mapping[str, int]
    """Container name (`istio-proxy` for the sidecar) -> process id."""
    started_at: datetime
    message: str = ""
    """Why the pod is not ready; empty when it is."""

    @property
    def key(self) -> PodKey:
        """The identity of the pod."""
        return PodKey(namespace=self.namespace, name=self.name, spec_hash=self.spec_hash)


class StatusQueue:
    """Carries the newest status per pod; never holds more than one for each.

    One reader. `put` never blocks.
    """

    def __init__(self) -> None:
        self._newest: dict[PodKey, PodStatus] = {}
        self._filled = asyncio.Event()

    def put(self, status: PodStatus) -> None:
        """Replaces what is waiting for the same pod."""
        self._newest.pop(status.key, None)
        self._newest[status.key] = status
        self._filled.set()

    async def get(self) -> PodStatus:
        """The next status; waits until there is one."""
        while not self._newest:
            self._filled.clear()
            await self._filled.wait()
        return self._newest.pop(next(iter(self._newest)))

    def drain(self) -> tuple[PodStatus, ...]:
        """All that is waiting, without waiting."""
        taken = tuple(self._newest.values())
        self._newest.clear()
        return taken
