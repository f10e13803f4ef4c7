"""Answers that are remembered for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from meshgate.core.clock import Clock

V = TypeVar("V")


class Expiring(Generic[V]):
    """At most `most` answers; who asks while an answer is on its way waits for that one."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock, self._most = clock, most
        self._known: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._coming: dict[Hashable, asyncio.Task[V]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[tuple[V, float]]]) -> V:
        """The answer, or what `make` gives: an answer and how many seconds it holds; 0: for this once."""
        known = self._known.get(key)
        if known is not None and known[0] > self._clock.monotonic():
            self._known.move_to_end(key)
            return known[1]
        coming = self._coming.get(key)
        if coming is None:
            coming = asyncio.create_task(self._make(key, make))
            self._coming[key] = coming
            coming.add_done_callback(lambda _: self._coming.pop(key, None))
            # Whoever waited may be gone; without this a failure nobody sees is logged at the end.
            coming.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(coming)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[tuple[V, float]]]) -> V:
        answer, holds_s = await make()
        if holds_s > 0:
            self._known[key] = (self._clock.monotonic() + holds_s, answer)
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return answer
