"""One control plane, until it is told to stop: what `python -m meshgate.app` runs.

Exit codes: 0 after an orderly end, 1 where it cannot start (the guard gives up), 70 after a
bug (the guard starts it again).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import structlog
import uvloop

from meshgate.app.backend import AppBackend
from meshgate.app.control_plane import ControlPlane
from meshgate.app.events import Events
from meshgate.app.metrics import Metrics
from meshgate.core.clock import SystemClock
from meshgate.core.diagnostics import ordered
from meshgate.dialects.registry import check_alone
from meshgate.identity.ca import AuthorityError
from meshgate.runtime.commands import CommandFailed
from meshgate.runtime.guard import CRASH_CODE, RESTARTS_VARIABLE
from meshgate.runtime.paths import RuntimePaths, UnsafeRunDirectory
from meshgate.runtime.records import StateInUse
from meshgate.sources.admin import AdminServer
from meshgate.sources.admin_protocol import admin_socket
from meshgate.sources.files import FileSource
from meshgate.sources.kept import KeptState, KeptStateError
from meshgate.sources.object_api import ObjectApi
from meshgate.sources.objects import ObjectStore
from meshgate.sources.up_options import UpOptions
from meshgate.telemetry.server import MetricsServer

_log = structlog.get_logger(__name__)
CANNOT_START = (
    AuthorityError,
    CommandFailed,
    KeptStateError,
    OSError,
    StateInUse,
    UnsafeRunDirectory,
    ValueError,
)


class ControlPlaneProcess:
    """All tasks of one control plane in one group: one that fails ends them all."""

    def __init__(self, options: UpOptions) -> None:
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._plane = ControlPlane(options, self._clock)
        self._events = Events(self._clock)
        self._objects = ObjectStore(
            check=check_alone, clock=self._clock, kept=KeptState(options.state / "meshgate.db")
        )
        self._files = FileSource(options.paths, self._objects)
        metrics = Metrics(self._plane)
        self._metrics = MetricsServer("127.0.0.1", options.metrics_port, metrics.text)
        self._options = options
        self._backend = AppBackend(
            plane=self._plane,
            log=self._events,
            stopping=self._stopping,
            started=self._clock.now(),
            measured=metrics,
        )
        socket = admin_socket(options.state, self._plane.runtime.paths.run)
        self._admin = AdminServer(socket, ObjectApi(self._objects, self._backend), self._backend)

    async def run(self) -> None:
        """Serves until a signal or `down`, then drains and removes everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        self._files.load()
        self._plane.on_change = self._tell
        self._backend.problems = self._objects.diagnostics()
        async with asyncio.TaskGroup() as group:
            tasks = list(await self._plane.start(self._objects.documents(), group))
            tasks.append(group.create_task(self._files.run()))
            tasks.append(group.create_task(self._follow_objects()))
            tasks.append(group.create_task(self._admin.run()))
            if self._options.metrics_port:
                tasks.append(group.create_task(self._metrics.run()))
            await self._stopping.wait()
            self._events.add("gateway", "stopping")
            await self._plane.stop()
            for task in tasks:
                task.cancel()
        self._objects.close()

    async def _follow_objects(self) -> None:
        seen = self._objects.revision
        while True:
            seen = await self._objects.changed_after(seen)
            self._backend.problems = self._objects.diagnostics()
            await self._plane.update(self._objects.documents())
            self._events.add("reload", f"{len(self._plane.live.documents)} objects are in force")

    def _tell(self) -> None:
        self._events.pods(self._plane.live.statuses.values())
        self._events.diagnostics(ordered((*self._backend.problems, *self._plane.live.diagnostics)))


def _log_to(options: UpOptions) -> None:
    """Logs go to the state directory; where somebody looks on, events tell the story instead."""
    file = sys.stderr
    if not options.detach:
        path = RuntimePaths.of(options.state).daemon_log("meshgate")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a", buffering=1, encoding="utf-8")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file),
    )


def main(arguments: Sequence[str]) -> int:
    """Runs the control plane; every way to fail ends in a sentence, not in a traceback."""
    try:
        options = UpOptions.from_json(arguments[0])
    except (IndexError, KeyError, ValueError):
        print("meshgate.app is started by `meshgate up`", file=sys.stderr)
        return 2

    _log_to(options)

    async def run() -> None:
        await ControlPlaneProcess(options).run()

    try:
        uvloop.run(run())
    except CANNOT_START as failed:
        remedy = getattr(failed, "remedy", "")
        print(f"meshgate cannot start: {failed}" + (f"; {remedy}" if remedy else ""), file=sys.stderr)
        return 1
    except Exception:
        _log.exception("control_plane_failed", restarts=os.environ.get(RESTARTS_VARIABLE, "0"))
        return CRASH_CODE
    return 0
