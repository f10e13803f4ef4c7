"""What a runtime is made with, and what it says of how to run a command in a pod's place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from meshgate.core.clock import Clock, SystemClock
from meshgate.runtime.daemons import Daemon
from meshgate.runtime.netns import CLUSTER_DOMAIN
from meshgate.runtime.placement import EnvFactory, SidecarFactory
from meshgate.runtime.spec import Isolation
from meshgate.runtime.status import PodStatus

_LOG_MAX_BYTES = 10 * 1024 * 1024


async def _nobody_to_tell(status: PodStatus) -> None:
    """The default for `withdraw`: nobody sends requests by our word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """What a runtime is made with."""

    state: Path
    """The state directory: records, ports and logs are kept below it."""
    isolation: Isolation
    sidecars: SidecarFactory
    environments: EnvFactory
    withdraw: Callable[[PodStatus], Awaitable[None]] = _nobody_to_tell
    """Awaited, for up to 15 s, before a pod is drained: returns once its endpoints are withdrawn."""
    clock: Clock = field(default_factory=SystemClock)
    reserved_ports: Collection[int] = ()
    """Ports that the allocator must not give out, such as the gateway's."""
    cluster_domain: str = CLUSTER_DOMAIN
    log_max_bytes: int = _LOG_MAX_BYTES
    daemons: tuple[Daemon, ...] = ()
    """Processes that serve all pods; started by `adopt`, ended by a clean `shutdown`."""
    on_demand: tuple[Daemon, ...] = ()
    """The same, but started when `want` first names them."""
