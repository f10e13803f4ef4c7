"""The identity of a process: its pid and its start time, so that a recycled pid is never signalled."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_DEAD = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, now or ever; survives `exec`, never equals a later process with the same pid."""

    pid: int
    started: str
    """Linux: clock ticks since boot from /proc/PID/stat (field 22); elsewhere the text of `ps -o lstart`."""


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    session: int
    started: str


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The command name may hold spaces and parentheses; the fields follow its last ")".
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], session=int(fields[3]), started=fields[19])


def _ps(pid: int) -> _Stat | None:
    """The same from `ps` where there is no /proc (macOS)."""
    asked = ["ps", "-o", "stat=,sess=,lstart=", "-p", str(pid)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    parts = done.stdout.split(maxsplit=2)
    if len(parts) < 3:
        return None
    return _Stat(state=parts[0][0], session=pid, started=parts[2].strip())


def _look(pid: int) -> _Stat | None:
    return _stat(pid) if (_PROC / "self" / "stat").exists() else _ps(pid)


def identify(pid: int) -> ProcessId | None:
    """The identity of the process that has this pid now; None if none has, or it is a zombie."""
    seen = _look(pid)
    return ProcessId(pid, seen.started) if seen and seen.state not in _DEAD else None


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs; a zombie does not."""
    return identify(process.pid) == process


def _all_pids() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(_PROC):
            if entry.name.isdigit():
                yield int(entry.name)


def session_members(leader: ProcessId) -> tuple[ProcessId, ...]:
    """The living processes of the session that `leader` began, without itself (Linux only).

    Empty if the leader's pid belongs to another process by now: its session is not ours.
    """
    now = _look(leader.pid)
    if now is not None and now.started != leader.started:
        return ()
    found = []
    for pid in _all_pids():
        seen = _stat(pid)
        if seen and seen.session == leader.pid and pid != leader.pid and seen.state not in _DEAD:
            found.append(ProcessId(pid, seen.started))
    return tuple(found)


def marked_processes(variable: str, value: str) -> tuple[ProcessId, ...]:
    """The living processes that were started with `variable=value` in their environment (Linux only).

    It finds what left its session, and what was started a moment before a crash kept it
    from being recorded.
    """
    wanted = f"{variable}={value}".encode()
    found = []
    for pid in _all_pids():
        process = identify(pid)
        if process is None:
            continue
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            found.append(process)
    return tuple(found)


def signal_process(process: ProcessId, number: int) -> bool:
    """Sends the signal to this very process; False if it is gone.

    A pidfd closes the gap between the look and the signal where the system has them.
    """
    try:
        if not hasattr(os, "pidfd_open"):
            if not is_alive(process):
                return False
            os.kill(process.pid, number)
            return True
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True
