"""Follows the configuration file: takes it up when it changes, keeps the last good one when it is broken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from meshgate.bridge.config import BridgeConfig, ConfigError, read_config

POLL_S = 0.2
"""How often the file is looked at; a rule that Envoy names early is looked for at once."""

_log = structlog.get_logger("meshgate.bridge")


class ConfigWatch:
    """Reads one file and hands what it says over."""

    def __init__(self, path: Path, apply: Callable[[BridgeConfig], None]) -> None:
        self._path, self._apply = path, apply
        self._seen: tuple[int, int, int] | None = None
        self._poked = asyncio.Event()

    def load(self) -> None:
        """Takes the file up for the first time. Raises `ConfigError`."""
        self._seen = self._signature()
        config = read_config(self._path)
        self._apply(config)
        _log.info("configuration_loaded", rules=len(config.rules), consumers=len(config.consumers))

    def refresh(self) -> bool:
        """Takes the file up where it has changed; true where that changed anything."""
        if self._signature() == self._seen:
            return False
        try:
            self.load()
        except ConfigError as error:
            _log.error("configuration_broken", reason=str(error), consequence="the last good one stays")
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
