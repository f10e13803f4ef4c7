"""Keeps one process alive: start or adopt, watch, back off, start again; until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from meshgate.runtime.backoff import Backoff
from meshgate.runtime.process import Launch, Process, SpawnFailed, describe_exit, end_recorded
from meshgate.runtime.records import ProcessRecord

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a `Keeper` keeps, and whom it tells."""

    name: str
    owner: str
    """For the log: `namespace/pod`, or empty."""
    launch: Callable[[str], Launch]
    """Makes the command for a token; called anew for each start."""
    watch: Callable[[Keeper, bool], Awaitable[None]]
    """Runs while the process does, is cancelled when it ends; told whether it was adopted.

    It calls `set_ready`, and `restart` where a probe says so. It may return at any time.
    """
    record: Callable[[ProcessRecord | None], None]
    """Keeps the process on disk; called before each start and at each change."""
    changed: Callable[[], None]
    """Called after each change of what the keeper's attributes say."""


class Keeper:
    """One process that shall run."""

    def __init__(self, kept: Kept, backoff: Backoff | None = None) -> None:
        self.name = kept.name
        self.ready = False
        self.restarts = 0
        self.message = "not started"
        """Why it is not ready; empty when it is."""
        self.became_ready = asyncio.Event()
        """Set once and for ever at the first readiness."""
        self._kept = kept
        self._backoff = backoff or Backoff()
        self._process: Process | None = None
        self._record = ProcessRecord(token="")
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process else None

    @property
    def crash_looping(self) -> bool:
        """Whether it is down after several short runs."""
        return self._process is None and self._backoff.crash_looping

    @property
    def stopping(self) -> bool:
        """Whether it is being ended for good."""
        return self._stopping.is_set()

    def set_ready(self, ready: bool, message: str = "") -> None:
        """Takes the watcher's verdict."""
        if (ready, message) == (self.ready, self.message):
            return
        turned = ready != self.ready
        self.ready, self.message = ready, message
        if turned:
            self._write(self._record.pid, self._record.started)
        if ready:
            self.became_ready.set()
        self._kept.changed()

    def _write(self, pid: int, started: str) -> None:
        self._record = ProcessRecord(token=self._record.token, pid=pid, started=started, ready=self.ready)
        self._kept.record(self._record)

    async def restart(self, reason: str, grace_s: float) -> None:
        """Ends the process because it is not well; `run` starts the next one."""
        _log.warning("process_unhealthy", owner=self._kept.owner, name=self.name, reason=reason)
        if self._process is not None:
            await self._process.stop(grace_s)

    def adopt(self, recorded: ProcessRecord) -> bool:
        """Takes over the process that an earlier control plane started, before `run`.

        False, and nothing of it left, where it has died meanwhile.
        """
        process = Process.adopt(recorded.identity, recorded.token) if recorded.identity else None
        if process is None:
            end_recorded(recorded.identity, recorded.token)
            return False
        self._record = recorded
        self._process = process
        self.ready, self.message = recorded.ready, "" if recorded.ready else "adopted; not ready yet"
        if self.ready:
            self.became_ready.set()
        _log.info("process_adopted", owner=self._kept.owner, name=self.name, pid=process.pid)
        return True

    async def run(self) -> None:
        """Keeps the process alive until `stop`; begins with the adopted one if there is one."""
        process = self._process
        adopted = process is not None
        while not self._stopping.is_set():
            process = process or self._start()
            ran_s = 0.0
            if process is not None:
                await self._follow(process, adopted)
                ran_s = time.monotonic() - process.started_at
            process, adopted = None, False
            if not self._stopping.is_set():
                await self._pause(self._backoff.after_run(ran_s))

    async def _pause(self, wait_s: float) -> None:
        """Waits before the next start; `stop` ends the wait."""
        self.restarts += 1
        _log.warning(
            "process_ended",
            owner=self._kept.owner,
            name=self.name,
            reason=self.message,
            restart_in_s=wait_s,
        )
        self._kept.changed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()

    def _start(self) -> Process | None:
        """Starts the process; None, with a message, where that cannot be done."""
        self._record = ProcessRecord(token=uuid.uuid4().hex)
        self._kept.record(self._record)
        try:
            process = Process.spawn(self._kept.launch(self._record.token))
        except (SpawnFailed, OSError) as failed:
            self.message = str(failed)
            return None
        self.message = "starting"
        self._write(process.identity.pid, process.identity.started)
        return process

    async def _follow(self, process: Process, adopted: bool) -> None:
        """Watches the process until it is gone, then says how it ended."""
        self._process = process
        self._kept.changed()
        watcher = asyncio.ensure_future(self._watch(adopted))
        try:
            await process.exited.wait()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        self._process = None
        self.ready, self.message = False, describe_exit(process.returncode)
        self._record = ProcessRecord(token=self._record.token)

    async def _watch(self, adopted: bool) -> None:
        try:
            await self._kept.watch(self, adopted)
        except Exception:
            # A bug in one watcher must not end the process that it watches.
            _log.exception("watcher_failed", owner=self._kept.owner, name=self.name)

    async def stop(self, grace_s: float) -> None:
        """Ends the process for good; `run` returns."""
        self._stopping.set()
        if self._process is not None:
            await self._process.stop(grace_s)
        self.ready = False
        self._kept.record(None)

    def abandon(self) -> None:
        """Lets the process run on without us."""
        self._stopping.set()
        if self._process is not None:
            self._process.abandon()
