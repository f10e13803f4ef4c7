"""Starts processes in sessions of their own, watches them and ends them with all they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meshgate.runtime.log_files import open_log
from meshgate.runtime.process_id import (
    ProcessId,
    identify,
    is_alive,
    marked_processes,
    session_members,
    signal_process,
)

TOKEN_VARIABLE = "MESHGATE_PROCESS"
"""Environment variable by which a process, and whatever it started, is found again after a crash."""
_POLL_S = 0.1
_KILL_DEADLINE_S = 10


class SpawnFailed(Exception):
    """The command could not be started; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that is needed to start one process."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None = None
    log: Path
    """Takes stdout and stderr; opened for appending."""
    log_owner: int | None = None
    """The uid that the log file is given to, where the process runs as another user."""
    token: str
    """Unique per start; goes into the environment as `MESHGATE_PROCESS`."""
    pass_fds: tuple[int, ...] = ()


class Process:
    """One process of ours, started or adopted; `exited` is set when it is gone.

    Its exit is seen through a pidfd, which also works for a process that is not our
    child (it was started by a control plane that has died since), and by polling
    where the system has no pidfds.
    """

    def __init__(self, identity: ProcessId, token: str, child: subprocess.Popen[bytes] | None) -> None:
        self.identity = identity
        self.token = token
        self.started_at = time.monotonic()
        self.exited = asyncio.Event()
        self.returncode: int | None = None
        """As `subprocess` has it; None while it runs, and for an adopted process."""
        self._child = child
        self._pidfd: int | None = None
        self._poller: asyncio.Task[None] | None = None
        self._watch()

    @classmethod
    def spawn(cls, launch: Launch) -> Process:
        """Starts it; raises `SpawnFailed` where the command or its directory cannot be used."""
        environment = {**launch.env, TOKEN_VARIABLE: launch.token}
        log = open_log(launch.log, launch.log_owner)
        try:
            child = subprocess.Popen(
                launch.argv,
                env=environment,
                cwd=launch.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=launch.pass_fds,
            )
        except (OSError, ValueError) as failed:
            raise SpawnFailed(f"cannot start {launch.argv[0]!r}: {failed}") from failed
        finally:
            os.close(log)
        # A child that has ended already is a zombie until we reap it, so its pid is still its own.
        identity = identify(child.pid) or ProcessId(child.pid, "ended")
        return cls(identity, launch.token, child)

    @classmethod
    def adopt(cls, identity: ProcessId, token: str) -> Process | None:
        """Takes over a process that another control plane started; None if it is gone."""
        return cls(identity, token, None) if is_alive(identity) else None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.identity.pid

    def _watch(self) -> None:
        if not hasattr(os, "pidfd_open"):
            self._poller = asyncio.get_running_loop().create_task(self._poll())
            return
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._ended()
            return
        if self._child is None and not is_alive(self.identity):
            self._ended()
            return
        asyncio.get_running_loop().add_reader(self._pidfd, self._ended)

    async def _poll(self) -> None:
        while self._child.poll() is None if self._child else is_alive(self.identity):
            await asyncio.sleep(_POLL_S)
        self._ended()

    def _ended(self) -> None:
        """Ends what the process left in its session, then reaps it."""
        if self._child is not None and self._child.returncode is None and sys.platform == "linux":
            # The unreaped child still holds its pid, so the group cannot be anybody else's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._kill_remains()
        if self._child is not None:
            self.returncode = self._child.wait()
        self._release()
        self.exited.set()

    def _release(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _kill_remains(self) -> None:
        for member in session_members(self.identity):
            signal_process(member, signal.SIGKILL)
        for member in marked_processes(TOKEN_VARIABLE, self.token):
            signal_process(member, signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Sends the signal to the process and to the rest of its session."""
        if sys.platform != "linux":
            # Without /proc nobody lists the members; the group is the session's first one.
            if is_alive(self.identity):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)
            return
        members = session_members(self.identity)
        signal_process(self.identity, number)
        for member in members:
            signal_process(member, number)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, up to `grace_s` seconds, SIGKILL; returns when nothing of it is left."""
        if self.exited.is_set():
            return
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.exited.wait()
            return
        self.signal(signal.SIGKILL)
        self._kill_remains()
        async with asyncio.timeout(_KILL_DEADLINE_S):
            await self.exited.wait()

    def abandon(self) -> None:
        """Stops watching and lets the process run on; another control plane may adopt it."""
        if self._poller is not None:
            self._poller.cancel()
        self._release()
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # Keeps Popen from warning about a child left on purpose.


def end_recorded(identity: ProcessId | None, token: str) -> None:
    """Kills what an earlier control plane left behind: the process, its session, its offspring."""
    if identity is not None:
        members = session_members(identity)
        signal_process(identity, signal.SIGKILL)
        for member in members:
            signal_process(member, signal.SIGKILL)
    for member in marked_processes(TOKEN_VARIABLE, token):
        signal_process(member, signal.SIGKILL)


def describe_exit(returncode: int | None) -> str:
    """`exit code 3`, `killed by SIGKILL`; an adopted process tells nobody how it ended."""
    if returncode is None:
        return "ended"
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
