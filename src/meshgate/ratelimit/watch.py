"""Follows the rules file: takes it up when it changes, keeps the last good one when it is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from meshgate.model.policy import RateLimit, ResponseRateLimit
from meshgate.ratelimit.rules_file import RulesError, read_response_rules, read_rules

POLL_S = 0.2
"""How often the file is looked at; a rule that Envoy names early is looked for at once."""

_log = structlog.get_logger("meshgate.ratelimit")


class RulesWatch:
    """Reads one rules file and hands its rules over."""

    def __init__(
        self,
        path: Path,
        apply: Callable[[Mapping[str, RateLimit], Mapping[str, ResponseRateLimit]], None],
    ) -> None:
        self._path = path
        self._apply = apply
        self._seen: tuple[int, int, int] | None = None
        self._poked = asyncio.Event()

    def load(self) -> None:
        """Takes the file up for the first time. Raises `RulesError`."""
        self._seen = self._signature()
        rules, responses = read_rules(self._path), read_response_rules(self._path)
        self._apply(rules, responses)
        _log.info("rules_loaded", rules=len(rules) + len(responses))

    def refresh(self) -> bool:
        """Takes the file up where it has changed; true where that changed the rules."""
        signature = self._signature()
        if signature == self._seen:
            return False
        try:
            self.load()
        except RulesError as error:
            _log.error("rules_broken", reason=str(error), consequence="the last good rules stay")
            return False
        return True

    def poke(self) -> None:
        """Makes `run` read the file now, changed or not (SIGHUP)."""
        self._seen = None
        self._poked.set()

    async def run(self) -> None:
        """Follows the file until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._poked.wait()
            except TimeoutError:
                pass
            self._poked.clear()
            self.refresh()

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
