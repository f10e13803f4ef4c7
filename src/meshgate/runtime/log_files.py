"""The log files of processes: opened for appending, rotated by size, kept after the pod is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

_MODE = 0o640
_LOGS_KEPT = 3
_ROTATE_EVERY_S = 5


def open_log(path: Path, owner: int | None = None) -> int:
    """A descriptor that appends to `path`; the directories are made where missing.

    The process writes to the file itself, so its output does not depend on the control
    plane being alive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
    if owner is not None:
        # Envoy opens /dev/stdout for access logs anew, which needs the permission as its own user.
        os.fchown(descriptor, owner, -1)
    return descriptor


def rotated(path: Path, number: int) -> Path:
    """`app.log` -> `app.log.1`."""
    return path.with_name(f"{path.name}.{number}")


def rotate(path: Path, max_bytes: int, keep: int) -> bool:
    """Moves the content of `path` to `path.1` once it is over `max_bytes`; True if it did.

    The writer keeps its descriptor, so the content is copied and the file truncated; as it
    appends, its next line lands at the new start. What it writes between the two is lost.
    """
    with contextlib.suppress(OSError):
        if path.stat().st_size <= max_bytes:
            return False
        for number in range(keep - 1, 0, -1):
            older = rotated(path, number)
            if older.exists():
                older.replace(rotated(path, number + 1))
        shutil.copyfile(path, rotated(path, 1))
        os.truncate(path, 0)
        return True
    return False


async def keep_rotated(files: Callable[[], Iterable[Path]], max_bytes: int) -> None:
    """Rotates what these name, again and again, until cancelled."""
    while True:
        await asyncio.sleep(_ROTATE_EVERY_S)
        for path in files():
            await asyncio.to_thread(rotate, path, max_bytes, _LOGS_KEPT)


def tail(path: Path, lines: int, start: int = 0) -> tuple[str, ...]:
    """The last lines of a log, from byte `start` on; empty where there is none."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start if start <= size else 0, size - 16384))
        text = file.read().decode(errors="replace")
        return tuple(text.splitlines()[-lines:])
    return ()
