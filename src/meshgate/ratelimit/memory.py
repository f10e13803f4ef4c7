"""Counters in this process, for `policy: local`."""

from __future__ import annotations

from itertools import islice

from meshgate.ratelimit.counters import Counter, Taken


class MemoryStore:
    """Counts in a dictionary; one per process, used from its event loop only.

    Holds at most `max_counters`. Past that it drops what has ended, then the oldest tenth, as
    Kong's shared dictionary would: a flood of invented identities can then win back a few
    requests, but never memory.
    """

    __slots__ = ("_counts", "_max")

    def __init__(self, max_counters: int = 500_000) -> None:
        self._counts: dict[str, tuple[int, int]] = {}
        self._max = max_counters

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, counters: tuple[Counter, ...], now: float, by: int = 1) -> Taken:
        """Counts one request in all `counters`, or in none where one is full. `now`: epoch seconds.

        `by`: what it counts; 0 only looks.
        """
        counts = self._counts
        used = tuple(counts[c.key][0] if c.key in counts else 0 for c in counters)
        if any(count >= counter.limit for count, counter in zip(used, counters, strict=True)):
            return Taken(False, used)
        for count, counter in zip(used, counters, strict=True) if by else ():
            counts[counter.key] = (count + by, counter.ends)
        if len(counts) > self._max:
            self._drop(now)
        return Taken(True, used)

    def _drop(self, now: float) -> None:
        self._counts = {key: entry for key, entry in self._counts.items() if entry[1] > now}
        surplus = len(self._counts) - self._max * 9 // 10
        for key in list(islice(self._counts, max(0, surplus))):
            del self._counts[key]
