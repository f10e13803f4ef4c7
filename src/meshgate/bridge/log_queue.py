"""Entries that wait for their receiver, in batches, with Kong's bounds (`tools/queue.lua` of Kong 3.9)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from meshgate.core.clock import Clock
from meshgate.model.policies.queues import QueueLimits

Send = Callable[[Sequence[bytes]], Awaitable[None]]
"""Hands a batch over; raises where that is not possible."""

MOST_BYTES = 64 * 1024 * 1024
"""Of what waits for one receiver, where `max_bytes` says nothing: clients choose how long entries are."""

_log = structlog.get_logger("meshgate.bridge")


class LogQueue:
    """Never waits for its receiver: what does not fit is dropped, the oldest first."""

    def __init__(self, name: str, limits: QueueLimits, send: Send, clock: Clock) -> None:
        self._name, self._limits, self._send, self._clock = name, limits, send, clock
        self._most = MOST_BYTES if limits.max_bytes is None else limits.max_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._failing = False
        self.lost = 0
        """Entries that were dropped, or that nobody took."""

    def put(self, entry: bytes) -> None:
        """Takes an entry, and sends it soon."""
        if len(entry) > self._most:
            self._lose(1, "the entry is longer than max_bytes")
            return
        if self._limits.concurrent:
            self._put_alone(entry)
            return
        if len(self._waiting) >= self._limits.max_entries:
            self._drop_oldest()
        while self._bytes + len(entry) > self._most:
            self._drop_oldest()
        self._waiting.append(entry)
        self._bytes += len(entry)
        self._more.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def _put_alone(self, entry: bytes) -> None:
        if len(self._alone) >= self._limits.max_entries or self._bytes + len(entry) > self._most:
            self._lose(1, "the queue is full")
            return
        task = asyncio.create_task(self._deliver([entry]))
        self._alone.add(task)
        self._bytes += len(entry)

        def done(task: asyncio.Task[None]) -> None:
            self._alone.discard(task)
            self._bytes -= len(entry)

        task.add_done_callback(done)

    async def close(self, grace_s: float) -> None:
        """Sends what waits, for so long at most; the rest is lost."""
        self._stopping = True
        self._more.set()
        tasks = [*self._alone, *([self._task] if self._task is not None else [])]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()

    async def _run(self) -> None:
        while self._waiting:
            await self._gather()
            size = min(len(self._waiting), self._limits.max_batch_size)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._bytes -= sum(map(len, batch))
            if batch:
                await self._deliver(batch)

    async def _gather(self) -> None:
        """Waits until the batch is full, or long enough."""
        until = self._clock.monotonic() + self._limits.max_coalescing_delay_s
        while len(self._waiting) < self._limits.max_batch_size and not self._stopping:
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            self._more.clear()
            try:
                async with asyncio.timeout(left):
                    await self._more.wait()
            except TimeoutError:
                return

    async def _deliver(self, batch: Sequence[bytes]) -> None:
        began, delay = self._clock.monotonic(), self._limits.initial_retry_delay_s
        while True:
            try:
                await self._send(batch)
            except Exception as error:
                self._failed(error)
                if self._clock.monotonic() - began > self._limits.max_retry_time_s or self._stopping:
                    self._lose(len(batch), "the receiver did not take them")
                    return
            else:
                if self._failing:
                    self._failing = False
                    _log.info("log_receiver_is_back", queue=self._name, lost=self.lost)
                return
            await asyncio.sleep(min(delay, self._limits.max_retry_delay_s))
            delay *= 2

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._waiting.popleft())
        self._lose(1, "the queue is full")

    def _failed(self, error: Exception) -> None:
        """Told once, until the receiver takes something again; the error's text may hold secrets."""
        if not self._failing:
            self._failing = True
            _log.warning("log_receiver_fails", queue=self._name, error=type(error).__name__)

    def _lose(self, count: int, why: str) -> None:
        before, self.lost = self.lost, self.lost + count
        # At 1, 2, 4, 8, ... so that a long failure does not fill our own log.
        if before.bit_length() != self.lost.bit_length():
            _log.warning("log_entries_lost", queue=self._name, lost=self.lost, reason=why)
