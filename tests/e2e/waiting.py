"""Waits for what must come, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE_S = 90.0
"""Nobody waits for it but who fails: a machine that is four times slower than others must not."""
T = TypeVar("T")


def until(check: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Asks again and again until the answer is true; fails with `what` and the last answer."""
    end = time.monotonic() + deadline_s
    while not (found := check()):
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}; last: {found!r}"
        time.sleep(0.02)
    return found
