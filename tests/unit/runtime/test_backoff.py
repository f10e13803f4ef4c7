from __future__ import annotations

from meshgate.runtime.backoff import Backoff


def test_doubles_up_to_the_longest_and_begins_again_after_a_good_run() -> None:
    backoff = Backoff()
    waits = [backoff.after_run(0) for _ in range(9)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30]
    assert backoff.crash_looping
    assert backoff.after_run(10) == 0.2
    assert not backoff.crash_looping
