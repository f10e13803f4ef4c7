"""The queue of log entries: batches, bounds, and what becomes of a receiver that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import wraps

from meshgate.bridge.log_queue import MOST_BYTES, LogQueue
from meshgate.core.clock import SystemClock
from meshgate.model.policies.queues import QueueLimits

DEADLINE_S = 10.0
BATCHES = QueueLimits(max_batch_size=3, max_coalescing_delay_s=3600)


def run(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A test in a loop of its own."""

    @wraps(test)
    def running() -> None:
        asyncio.run(test())

    return running


class Receiver:
    """Takes batches; waits while its gate is closed, fails so many times first."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[bytes]] = []
        self.failures = failures
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.second = asyncio.Event()

    async def send(self, batch: Sequence[bytes]) -> None:
        self.asked.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("the text is never shown")
        self.batches.append(list(batch))
        if len(self.batches) == 2:
            self.second.set()


def _queue(limits: QueueLimits, receiver: Receiver) -> LogQueue:
    return LogQueue("test", limits, receiver.send, SystemClock())


def _put(queue: LogQueue, *entries: str) -> None:
    for entry in entries:
        queue.put(entry.encode())


@run
async def test_full_batches_go_at_once_and_the_rest_when_it_ends() -> None:
    receiver = Receiver()
    queue = _queue(BATCHES, receiver)
    _put(queue, "a", "b", "c", "d")
    await queue.close(DEADLINE_S)
    assert receiver.batches == [[b"a", b"b", b"c"], [b"d"]]
    assert queue.lost == 0


@run
async def test_a_batch_that_is_not_full_waits_no_longer_than_it_should() -> None:
    receiver = Receiver()
    queue = _queue(replace(BATCHES, max_coalescing_delay_s=0.001), receiver)
    _put(queue, "a")
    async with asyncio.timeout(DEADLINE_S):
        await receiver.asked.wait()
    await queue.close(DEADLINE_S)
    assert receiver.batches == [[b"a"]]


@run
async def test_the_oldest_is_dropped_where_there_is_no_room() -> None:
    receiver = Receiver()
    receiver.gate.clear()
    queue = _queue(QueueLimits(max_entries=2), receiver)
    _put(queue, "first")
    async with asyncio.timeout(DEADLINE_S):
        await receiver.asked.wait()
    _put(queue, "a", "b", "c")
    receiver.gate.set()
    await queue.close(DEADLINE_S)
    assert receiver.batches == [[b"first"], [b"b"], [b"c"]]
    assert queue.lost == 1


@run
async def test_bytes_are_bounded_too() -> None:
    receiver = Receiver()
    queue = _queue(replace(BATCHES, max_bytes=4), receiver)
    _put(queue, "aa", "bb", "ccc", "too long")
    await queue.close(DEADLINE_S)
    assert receiver.batches == [[b"ccc"]]
    assert queue.lost == 3


@run
async def test_bytes_are_bounded_where_each_entry_goes_by_itself() -> None:
    receiver = Receiver()
    receiver.gate.clear()
    queue = _queue(QueueLimits(max_bytes=4, concurrent=True), receiver)
    _put(queue, "aa", "bb", "c")
    receiver.gate.set()
    await queue.close(DEADLINE_S)
    assert (receiver.batches, queue.lost) == ([[b"aa"], [b"bb"]], 1)


@run
async def test_what_waits_has_an_end_though_nobody_says_so() -> None:
    """Clients choose how long their requests are."""
    receiver = Receiver()
    queue = _queue(BATCHES, receiver)
    queue.put(bytes(MOST_BYTES + 1))
    _put(queue, "a")
    await queue.close(DEADLINE_S)
    assert (receiver.batches, queue.lost) == ([[b"a"]], 1)


@run
async def test_what_fails_is_tried_again() -> None:
    receiver = Receiver(failures=3)
    queue = _queue(QueueLimits(initial_retry_delay_s=0.001), receiver)
    _put(queue, "a", "b")
    async with asyncio.timeout(DEADLINE_S):
        await receiver.second.wait()
    assert receiver.batches == [[b"a"], [b"b"]]
    assert (queue.lost, receiver.failures) == (0, 0)


@run
async def test_without_retries_it_is_lost() -> None:
    receiver = Receiver(failures=1)
    queue = _queue(QueueLimits(max_retry_time_s=-1), receiver)
    _put(queue, "a", "b")
    await queue.close(DEADLINE_S)
    assert receiver.batches == [[b"b"]]
    assert queue.lost == 1


@run
async def test_without_a_limit_of_concurrency_none_waits_for_another() -> None:
    receiver = Receiver()
    receiver.gate.clear()
    queue = _queue(QueueLimits(concurrent=True, max_entries=2), receiver)
    _put(queue, "a", "b", "c")
    receiver.gate.set()
    await queue.close(DEADLINE_S)
    assert sorted(receiver.batches) == [[b"a"], [b"b"]]
    assert queue.lost == 1
