"""What a stand-in is in the middle of, so that its end breaks no request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

_LONGEST_S = 20.0


class Activity:
    """All exchanges of one process."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """No new requests: connections are to be told so."""
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def exchange(self) -> Iterator[None]:
        """One request until its answer has gone."""
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def finish(self) -> None:
        """Returns when nothing is in flight, or after a while."""
        self.stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_S):
                await self._idle.wait()
