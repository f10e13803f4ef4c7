"""Processes that serve all pods and outlive the control plane, e.g. the rate limit service."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshgate.runtime.keeper import Keeper, Kept
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import inherited_environment
from meshgate.runtime.process import Launch
from meshgate.runtime.records import ProcessRecord

_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One such process: a module of ours that listens on a Unix socket."""

    name: str
    python_arguments: tuple[str, ...]
    """After the interpreter, e.g. `("-m", "meshgate.ratelimit", ...)`."""
    socket: Path
    """It is ready when this accepts a connection."""


def daemon_keeper(
    daemon: Daemon,
    paths: RuntimePaths,
    record: Callable[[ProcessRecord | None], None],
    opened: Callable[[Path], None],
) -> Keeper:
    """Keeps the daemon alive; `opened` is called with its socket each time it begins to listen."""

    def launch(token: str) -> Launch:
        argv = (sys.executable, *daemon.python_arguments)
        log = paths.daemon_log(daemon.name)
        return Launch(argv=argv, env=inherited_environment(), log=log, token=token)

    async def watch(keeper: Keeper, adopted: bool) -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(str(daemon.socket))
                writer.close()
                opened(daemon.socket)
                keeper.set_ready(True)
                return
            await asyncio.sleep(_POLL_S)

    kept = Kept(name=daemon.name, owner="", launch=launch, watch=watch, record=record, changed=lambda: None)
    return Keeper(kept)
