"""Rules that were replaced and that may be asked for a while longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from meshgate.core.clock import Clock

MOST_RETIRED = 256
"""How many replaced rules stay at most; the oldest go first."""

R = TypeVar("R")


class Retiring(Generic[R]):
    """The newest rules by their ids, and the last that they replaced.

    A process of ours is told of a rule's end before every Envoy is, and an Envoy that is busy,
    that refused its new configuration or that lost its control plane names the old one for as
    long as that lasts. Who asks by a replaced rule is answered by it: to know nothing of it
    would refuse the request.
    """

    def __init__(self, clock: Clock, keep_s: float) -> None:
        """Replaced rules stay for `keep_s` seconds, and until `replace` is called again."""
        self._clock, self._keep_s = clock, keep_s
        self._current: Mapping[str, R] = {}
        self._retired: dict[str, tuple[R, float]] = {}

    def replace(self, rules: Mapping[str, R]) -> Mapping[str, R]:
        """Takes the newest rules; gives all that may be asked for."""
        now = self._clock.monotonic()
        gone = {name: (rule, now + self._keep_s) for name, rule in self._current.items()}
        left = [
            (name, (rule, until))
            for name, (rule, until) in (self._retired | gone).items()
            if name not in rules and until > now
        ]
        self._current, self._retired = rules, dict(left[-MOST_RETIRED:])
        return {**{name: rule for name, (rule, _) in self._retired.items()}, **rules}
