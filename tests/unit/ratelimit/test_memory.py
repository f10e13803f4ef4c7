from __future__ import annotations

from meshgate.ratelimit.counters import Counter, Taken
from meshgate.ratelimit.memory import MemoryStore


def test_all_windows_or_none() -> None:
    store = MemoryStore()
    both = (Counter("minute", 10, 60), Counter("second", 1, 1))
    assert store.take(both, 0) == Taken(True, (0, 0))
    assert store.take(both, 0) == Taken(False, (1, 1))
    assert store.take(both[:1], 0) == Taken(True, (1,)), "the refused request was not counted"


def test_memory_is_bounded_and_what_has_ended_goes_first() -> None:
    store = MemoryStore(max_counters=100)
    store.take((Counter("kept", 5, 1000),), 0)
    for number in range(99):
        store.take((Counter(f"old{number}", 5, 10),), 0)
    for number in range(50):
        store.take((Counter(f"new{number}", 5, 1000),), 20)
    assert len(store) == 51
    assert store.take((Counter("kept", 5, 1000),), 20) == Taken(True, (1,))
    for number in range(1000):
        store.take((Counter(f"flood{number}", 5, 1000),), 20)
        assert len(store) <= 100
