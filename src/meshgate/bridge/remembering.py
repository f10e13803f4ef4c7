"""What the bridge remembers for a while, within bounds, whatever the configuration is by then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from meshgate.core.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values that are forgotten in time; where there are too many, those that came first go first."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock, self._most = clock, most
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value; None where there is none, or none any more."""
        found = self._held.get(key)
        if found is None:
            return None
        until, value = found
        if self._clock.monotonic() >= until:
            del self._held[key]
            return None
        return value

    def put(self, key: K, value: V, seconds: float) -> None:
        """Remembers a value for so long; it replaces an older one."""
        self._held.pop(key, None)
        if seconds <= 0:
            return
        self._held[key] = (self._clock.monotonic() + seconds, value)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def forget(self, key: K) -> None:
        """There is none any more."""
        self._held.pop(key, None)

    def __len__(self) -> int:
        return len(self._held)
