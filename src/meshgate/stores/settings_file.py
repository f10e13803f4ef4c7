"""A file by which the control plane tells a process of ours what to do.

Mode 0600, for it may hold secrets. Replaced in one step, so that a reader sees the old one or the
new one, never half of it; a reader that finds it broken keeps to the last good one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

MAX_BYTES = 64 * 1024 * 1024
"""A larger file is refused."""

POLL_S = 0.2
"""How often the file is looked at; what Envoy names before it is known is looked for at once."""

_log = structlog.get_logger(__name__)


class SettingsError(ValueError):
    """The file cannot be used; the message names a kind or a field, never a value."""


def replace_file(path: Path, text: bytes) -> None:
    """Replaces the file atomically, mode 0600, where it says something else. Raises `OSError`."""
    if path.exists() and path.read_bytes() == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_settings(path: Path) -> bytes:
    """What the file says. Raises `SettingsError` where it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise SettingsError("the file is too large")
    return text


class SettingsWatch:
    """Follows one file: takes it up when it changes, keeps the last good one when it is broken."""

    def __init__(self, path: Path, apply: Callable[[bytes], None]) -> None:
        """`apply` takes up what the file says. Raises `SettingsError` where that cannot be."""
        self._path, self._apply = path, apply
        self._seen: tuple[int, int, int] | None = None
        self._poked = asyncio.Event()

    def load(self) -> None:
        """Takes the file up for the first time. Raises `SettingsError`."""
        self._seen = self._signature()
        self._apply(read_settings(self._path))

    def refresh(self) -> bool:
        """Takes the file up where it has changed; true where that changed anything."""
        if self._signature() == self._seen:
            return False
        try:
            self.load()
        except SettingsError as error:
            _log.error("settings_broken", reason=str(error), consequence="the last good ones stay")
            return False
        return True

    def poke(self) -> None:
        """Makes `run` read the file now, changed or not (SIGHUP)."""
        self._seen = None
        self._poked.set()

    async def run(self) -> None:
        """Follows the file until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._poked.wait()
            self._poked.clear()
            self.refresh()

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
