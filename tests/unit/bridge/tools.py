"""What checks are made with, for tests: a fixed time and no way to other servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import aiohttp

from meshgate.bridge.tools import Directory, Kept, Tools
from meshgate.model.consumer import Consumer

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


class StandingClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def forward(self, seconds: float) -> None:
        """Moves on."""
        self.at += timedelta(seconds=seconds)


def tools(*consumers: Consumer, clock: StandingClock | None = None) -> Tools:
    """Tools with these consumers."""
    clock = clock or StandingClock()
    return Tools(directory=Directory(consumers), clock=clock, http=_nowhere, kept=Kept(clock, _nowhere))


def _nowhere() -> aiohttp.ClientSession:
    raise AssertionError("this check has no business with other servers")
