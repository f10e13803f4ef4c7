"""Finds what a demo's meshgate left on the machine, which should be nothing, and removes it.

It looks from outside, at the system and not at what meshgate has recorded, so that it can
tell when meshgate is wrong.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.process_id import ProcessId, identify, is_alive, signal_process

_PROC = Path("/proc")
_END_S = 5.0
"""How long what was killed may take to be gone."""
_OURS = (b"MESHGATE_PROCESS=", b"meshgate.app", b"meshgate.runtime.guard")
"""In the environment or command line of everything that meshgate starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """By what the things of one demo are known."""

    folders: tuple[str, ...]
    """In a process's command line, environment or working directory."""
    tag: str
    """In the name of a network namespace or link."""
    run: Path

    @classmethod
    def of(cls, state: Path, shop: Path) -> Marks:
        """The marks of a state directory and a copy of the shop."""
        paths = RuntimePaths.of(state)
        return cls(folders=(str(state), str(shop), str(paths.run)), tag=paths.tag, run=paths.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What is still there."""

    processes: tuple[tuple[ProcessId, str], ...] = ()
    """With the beginning of the command line."""
    namespaces: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    run: Path | None = None
    """The directory of its sockets."""

    def __bool__(self) -> bool:
        return bool(self.processes or self.namespaces or self.links or self.run)

    def __str__(self) -> str:
        parts = [f"process {process.pid} ({name})" for process, name in self.processes]
        parts += [f"namespace {name}" for name in self.namespaces]
        parts += [f"link {name}" for name in self.links]
        parts += [f"directory {self.run}"] if self.run else []
        return ", ".join(parts) or "nothing"


def look_for(marks: Marks) -> Leftovers:
    """Everything that bears the marks; on a system without /proc, files only."""
    return Leftovers(
        processes=tuple(_processes(marks)),
        namespaces=_named(Path("/run/netns"), marks.tag),
        links=_named(Path("/sys/class/net"), marks.tag),
        run=marks.run if marks.run.exists() else None,
    )


def remove(left: Leftovers) -> None:
    """Ends and deletes it by force."""
    for process, _ in left.processes:
        with contextlib.suppress(PermissionError):
            signal_process(process, signal.SIGKILL)
    until = time.monotonic() + _END_S
    while any(is_alive(process) for process, _ in left.processes) and time.monotonic() < until:
        time.sleep(0.02)
    for command in (
        *(("ip", "netns", "delete", name) for name in left.namespaces),
        *(("ip", "link", "delete", name) for name in left.links),
    ):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=10, check=False)
    if left.run is not None:
        shutil.rmtree(left.run, ignore_errors=True)


def _processes(marks: Marks) -> list[tuple[ProcessId, str]]:
    folders = tuple(os.fsencode(folder) for folder in marks.folders)
    found = []
    if sys.platform == "linux":
        for entry in _PROC.iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                seen = b"\0".join((command, (entry / "environ").read_bytes(), _working_directory(entry)))
            except OSError:
                continue  # gone, or another user's
            if any(mark in seen for mark in _OURS) and any(folder in seen for folder in folders):
                process = identify(int(entry.name))
                if process is not None:
                    found.append((process, command.replace(b"\0", b" ").decode(errors="replace")[:60]))
    return found


def _working_directory(entry: Path) -> bytes:
    with contextlib.suppress(OSError):
        return os.fsencode((entry / "cwd").readlink())
    return b""


def _named(directory: Path, tag: str) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        return tuple(sorted(entry.name for entry in directory.iterdir() if tag in entry.name))
    return ()
