"""How long to wait before a crashed process is started again."""

from __future__ import annotations


class Backoff:
    """0.2 s, doubled at each crash up to 30 s, forgotten after a run of 10 s.

    Kubernetes begins at 10 s; on a laptop the developer waits for it.
    """

    def __init__(self, first_s: float = 0.2, longest_s: float = 30, good_run_s: float = 10) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._good_run_s = good_run_s
        self._next_s = first_s

    def after_run(self, ran_s: float) -> float:
        """Seconds to wait now that a run of `ran_s` seconds has ended."""
        if ran_s >= self._good_run_s:
            self._next_s = self._first_s
        wait_s = self._next_s
        self._next_s = min(self._next_s * 2, self._longest_s)
        return wait_s

    @property
    def crash_looping(self) -> bool:
        """Whether several short runs followed one another."""
        return self._next_s > self._first_s * 4
