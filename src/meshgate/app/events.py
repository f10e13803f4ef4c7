"""What happened, for people who look on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from meshgate.core.clock import Clock
from meshgate.core.diagnostics import Diagnostic
from meshgate.runtime.status import PodStatus
from meshgate.sources.backend import Event

_KEPT = 500


class Events:
    """Keeps the newest events and hands them to whoever follows; drops the oldest, never blocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._followers: set[_Follower] = set()
        self._ready: dict[str, bool] = {}
        self._known: frozenset[str] = frozenset()

    def add(self, kind: str, message: str, severity: str = "info") -> None:
        """Tells all followers."""
        time = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        event = Event(time=time, kind=kind, message=message, severity=severity)
        for follower in self._followers:
            follower.put(event)

    def pods(self, statuses: Iterable[PodStatus]) -> None:
        """Tells of pods that became ready or stopped being so."""
        seen: dict[str, bool] = {}
        for status in statuses:
            name = f"{status.namespace}/{status.name}"
            seen[name] = status.ready
            if self._ready.get(name, False) != status.ready:
                said = "is ready" if status.ready else f"is not ready: {status.message or status.phase.value}"
                self.add("pod", f"{name} {said}", "info" if status.ready else "warning")
        for name in self._ready.keys() - seen.keys():
            self.add("pod", f"{name} is gone")
        self._ready = seen

    def diagnostics(self, found: Iterable[Diagnostic]) -> None:
        """Tells of what is new since the last time."""
        now = {str(d): d for d in found}
        for text, diagnostic in now.items():
            if text not in self._known:
                self.add("diagnostic", text, diagnostic.severity.value)
        self._known = frozenset(now)

    async def follow(self) -> AsyncIterator[Event]:
        """Events from now on."""
        follower = _Follower()
        self._followers.add(follower)
        try:
            while True:
                yield await follower.get()
        finally:
            self._followers.discard(follower)


class _Follower:
    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=_KEPT)
        self._filled = asyncio.Event()

    def put(self, event: Event) -> None:
        self._waiting.append(event)
        self._filled.set()

    async def get(self) -> Event:
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return self._waiting.popleft()
