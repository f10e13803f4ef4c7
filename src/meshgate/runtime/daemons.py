"""Processes that serve all pods and outlive the control plane: DNS, the rate limit service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from meshgate.runtime import leftovers
from meshgate.runtime.keeper import Keeper, Kept
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import inherited_environment
from meshgate.runtime.process import Launch
from meshgate.runtime.process_id import is_alive
from meshgate.runtime.records import Records

_POLL_S = 0.05
_GRACE_S = 3
_FIRST_READY_S = 60
"""On a machine that has other things to do; one that cannot begin is not waited for."""
_CONNECT_S = 0.5
"""A first packet that gets lost is sent again after a second, then two, then four: better asked anew."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """One such process: a module of ours that listens."""

    name: str
    argv: tuple[str, ...]
    """See `core.own_process`."""
    socket: Path | tuple[str, int]
    """A Unix socket, or an address and TCP port. It is ready when this accepts a connection."""


class Daemons:
    """The daemons of one runtime."""

    def __init__(self, paths: RuntimePaths, records: Records, opened: Callable[[Path], None]) -> None:
        """`opened` is called with a daemon's Unix socket each time it begins to listen."""
        self._paths = paths
        self._records = records
        self._opened = opened
        self._keepers: list[Keeper] = []

    async def end_others(self, wanted: Collection[str]) -> None:
        """Ends what an earlier control plane left under other names."""
        await self.end_unwanted(name for name in self._records.state.daemons if name not in wanted)

    async def end_unwanted(self, names: Iterable[str]) -> None:
        """Ends those that an earlier control plane left, and that nobody keeps."""
        for name in tuple(names):
            process = self._records.state.daemons.get(name)
            if process is not None and not self.keeps(name):
                await leftovers.end_process(process)
                self._records.set_daemon(name, None)

    def left(self, name: str) -> bool:
        """Whether a daemon of that name runs that an earlier control plane started."""
        process = self._records.state.daemons.get(name)
        return process is not None and process.identity is not None and is_alive(process.identity)

    def keeps(self, name: str) -> bool:
        """Whether a daemon of that name is kept alive."""
        return any(keeper.name == name for keeper in self._keepers)

    def keep(self, daemon: Daemon) -> Callable[[], Awaitable[None]]:
        """Adopts the daemon where it runs; what is returned keeps it alive, in a task of the caller's."""
        keeper = Keeper(
            Kept(
                name=daemon.name,
                owner="",
                launch=partial(self._launch, daemon),
                watch=partial(self._watch, daemon),
                record=partial(self._records.set_daemon, daemon.name),
                changed=lambda: None,
            )
        )
        recorded = self._records.state.daemons.get(daemon.name)
        if recorded is not None:
            keeper.adopt(recorded)
        self._keepers.append(keeper)
        return keeper.run

    async def wait_until_ready(self) -> None:
        """Returns once each of them has been ready or has ended, or after 60 s: what comes counts on them."""
        try:
            async with asyncio.timeout(_FIRST_READY_S):
                while self._late():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            _log.warning("daemons_late", waited_s=_FIRST_READY_S, daemons=self._late())

    def _late(self) -> dict[str, str]:
        """Those that may become ready yet, and why they are not."""
        return {k.name: k.message for k in self._keepers if not (k.became_ready.is_set() or k.restarts)}

    def logs(self) -> tuple[Path, ...]:
        """Their log files."""
        return tuple(self._paths.daemon_log(keeper.name) for keeper in self._keepers)

    def troubles(self) -> tuple[tuple[str, str], ...]:
        """(name, what happened) of each that ended and is not ready again."""
        return tuple((k.name, k.message) for k in self._keepers if k.restarts and not k.ready)

    async def stop(self) -> None:
        """Ends them all."""
        await asyncio.gather(*(keeper.stop(_GRACE_S) for keeper in self._keepers))

    def abandon(self) -> None:
        """Lets them run on, for another control plane to adopt."""
        for keeper in self._keepers:
            keeper.abandon()

    def _launch(self, daemon: Daemon, token: str) -> Launch:
        log = self._paths.daemon_log(daemon.name)
        return Launch(argv=daemon.argv, env=inherited_environment(), log=log, token=token)

    async def _watch(self, daemon: Daemon, keeper: Keeper, adopted: bool) -> None:
        while not await _accepts(daemon.socket):
            await asyncio.sleep(_POLL_S)
        if isinstance(daemon.socket, Path):
            self._opened(daemon.socket)
        keeper.set_ready(True)


async def _accepts(socket: Path | tuple[str, int]) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_S):
            if isinstance(socket, Path):
                _, writer = await asyncio.open_unix_connection(str(socket))
            else:
                _, writer = await asyncio.open_connection(*socket)
        writer.close()
        return True
    return False
