"""Ends what a control plane left running that was killed together with its guard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.placement import Placement
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import Isolation, PodSpec


class _Nothing:
    """Makes what a runtime needs for pods that it starts; here it starts none."""

    def bootstrap(self, pod: PodSpec, placement: Placement) -> bytes:
        raise AssertionError(f"{pod.key} is to end, not to begin")

    def environment(self, pod: PodSpec, placement: Placement) -> Mapping[str, str]:
        raise AssertionError(f"{pod.key} is to end, not to begin")


async def clear(state: Path) -> None:
    """Ends every recorded process, then removes namespaces, links, tables and sockets; keeps logs.

    Raises `records.StateInUse` where a meshgate runs on the state after all,
    `commands.CommandFailed` or `OSError` where this user may not.
    """
    # In ports isolation a runtime keeps no network, and removes one that it finds recorded.
    runtime = LocalRuntime(
        RuntimeOptions(state=state, isolation=Isolation.PORTS, sidecars=_Nothing(), environments=_Nothing())
    )
    await runtime.adopt()
    await runtime.shutdown()
