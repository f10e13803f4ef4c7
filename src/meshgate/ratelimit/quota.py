"""How one limit is shared between gateways that count by themselves. Pure: no clock, no protocol.

A gateway is lent a part of what is left of the limit (a *lease*: so many requests, no refill) and
reports now and then how many it let pass. What is lent out and what was used together never
exceed the limit, so nothing can pass beyond it but what the service had no say in:

- requests that a gateway lets pass before its first lease has come, and
- requests that pass while a new lease is on its way to replace an old one (a guard is held
  back for them, as large as the gateway's rate lets expect).

The price is paid on the other side: what one gateway holds and does not use, others are refused
until its next report. Envoy 1.40 reports every 5 seconds, whatever it is asked to.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from meshgate.ratelimit.windows import Window

GUARD_S = 0.05
"""How long a lease may be on its way; what a gateway's rate gives in that time is held back."""
ABSENT_WEIGHT = 0.1
"""What is kept for a gateway that has not asked, against the average of those that have."""
LEAST_WEIGHT = 0.05
"""What a gateway without requests keeps, against the busiest."""
TOO_FAR = 0.25
"""A lease is left alone while it is within this much of a gateway's due."""

Limits = tuple[tuple[Window, int], ...]
Spans = Mapping[Window, tuple[int, int]]
"""Per window when the current one began and ends, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a gateway may let pass from the moment it reads this. Positional, for there are many."""

    requests: int
    """0: nothing."""
    number: int
    """Rises with each new lease of a bucket; the same lease sent again keeps what is left of it."""


@dataclass(slots=True)
class _Holder:
    """What is known of one gateway."""

    lease: Lease
    left: int = 0
    """At most so many requests of the lease have not been reported, whether they came already or will."""
    in_flight: int = 0
    """So many may have come of the lease before, while this one was on its way."""
    old: int = 0
    """At most so many unreported requests come from before the last new window."""
    rate: float | None = None
    """Requests per second that it is asked for, refused ones too; None before its second report."""
    reported: float = 0.0
    asked_at: float = 0.0
    """When it last had any requests to report."""

    @property
    def may_pass(self) -> int:
        """At most so many requests can still be reported of what it was lent."""
        return self.left + self.in_flight

    def guard(self) -> int:
        """What its rate lets expect while a message is on its way."""
        return min(self.may_pass, math.ceil((self.rate or 0.0) * GUARD_S))


class Quota:
    """One limit of one identity. `now` is any clock in seconds that only grows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._used: dict[Window, int] = dict.fromkeys((w for w, _ in limits), 0)
        self._starts: dict[Window, int] = {}
        self._begun: frozenset[Window] = frozenset()
        self._holders: dict[str, _Holder] = {}
        self._number = 0

    @property
    def holders(self) -> Collection[str]:
        """The gateways that have a lease."""
        return self._holders.keys()

    @property
    def is_blank(self) -> bool:
        """Whether nobody holds a lease and nothing was used in any window."""
        return not self._holders and not any(self._used.values())

    @property
    def is_used_up(self) -> bool:
        """Whether a window has no room."""
        return any(self._used[window] >= limit for window, limit in self._limits)

    def lease_of(self, gateway: str) -> Lease | None:
        """What that gateway holds."""
        holder = self._holders.get(gateway)
        return holder.lease if holder else None

    def idle_s(self, gateway: str, now: float) -> float:
        """For how long the gateway had no request for it."""
        return now - self._holders[gateway].asked_at

    def change_limits(self, limits: Limits) -> None:
        """Goes on with other limits; what was counted stays counted."""
        self._limits = limits
        self._used = {window: self._used.get(window, 0) for window, _ in limits}

    def report(self, gateway: str, passed: int, refused: int, now: float, gateways: int) -> dict[str, Lease]:
        """Counts a report, and gives the leases to send: that gateway's, and of those it was taken for.

        `gateways`: how many there are, whether or not they have asked for this one.
        """
        for window in self._used:
            self._used[window] += passed
        holder = self._holders.get(gateway)
        if holder is None:
            holder = self._holders[gateway] = _Holder(Lease(0, 0), reported=now, asked_at=now)
        else:
            elapsed = max(now - holder.reported, 0.001)
            rate = (passed + refused) / elapsed
            holder.rate = (holder.rate + rate) / 2 if holder.rate and rate else rate
            # What a report counts may all have passed by the lease before, as much as that allowed.
            before = holder.in_flight + holder.old
            holder.left = max(0, holder.left - max(0, passed - before))
            holder.in_flight, holder.old, holder.reported = 0, 0, now
            if passed or refused:
                holder.asked_at = now
        found = {gateway: self._lend(gateway, gateways)}
        for other, its in self._holders.items():
            # Who has used up all that it had gets what has just come free, and need not wait.
            if other != gateway and not its.may_pass and its.rate and self._free(other) > 0:
                found[other] = self._lend(other, gateways)
        return found

    def roll(self, spans: Spans, gateways: int) -> dict[str, Lease]:
        """New leases where a window began anew since the last time; else none."""
        begun = [w for w, _ in self._limits if self._starts.get(w) != spans[w][0]]
        known = bool(self._starts)
        self._starts = {window: spans[window][0] for window, _ in self._limits}
        if not begun or not known:
            return {}
        for window in begun:
            self._used[window] = 0
        for holder in self._holders.values():
            # What passed of the old lease and was not reported counts for the windows that go on.
            if len(begun) < len(self._limits):
                holder.old += holder.may_pass
            holder.left, holder.in_flight = 0, holder.guard()
        self._begun = frozenset(begun)
        return {gateway: self._lend(gateway, gateways, anew=True) for gateway in tuple(self._holders)}

    def forget(self, gateway: str) -> None:
        """That gateway can let nothing pass any more by what it was lent."""
        self._holders.pop(gateway, None)

    def _left(self, window: Window, limit: int) -> int:
        """What nobody has used of a window."""
        old = 0 if window in self._begun else sum(h.old for h in self._holders.values())
        return limit - self._used[window] - old

    def _to_share(self) -> int:
        return max(0, min(self._left(window, limit) for window, limit in self._limits))

    def _free(self, gateway: str) -> int:
        """The most that the gateway can have, with what it has."""
        return self._to_share() - sum(h.may_pass for n, h in self._holders.items() if n != gateway)

    def _due(self, gateway: str, gateways: int) -> int:
        """The gateway's part by what it is asked for."""
        known = [h.rate for h in self._holders.values() if h.rate is not None]
        least = LEAST_WEIGHT * max(known, default=0.0) or 1.0
        weights = {n: max(h.rate, least) for n, h in self._holders.items() if h.rate is not None}
        average = sum(weights.values()) / len(weights) if weights else 1.0
        absent = max(0, gateways - len(self._holders))
        # Before anything is known all are alike, those that have not come yet too.
        all_weights = sum(weights.values()) + average * (len(self._holders) - len(weights))
        all_weights += absent * average * (ABSENT_WEIGHT if weights else 1.0)
        due = self._to_share() * weights.get(gateway, average) / all_weights
        # The last ones go to who is asked for them.
        return math.floor(due) if self._holders[gateway].rate == 0 else math.ceil(due)

    def _lend(self, gateway: str, gateways: int, *, anew: bool = False) -> Lease:
        """The gateway's lease: its old one where that is near enough to its due."""
        holder = self._holders[gateway]
        free, due, has = self._free(gateway), self._due(gateway, gateways), holder.may_pass
        near = (1 - TOO_FAR) * due <= has <= (1 + TOO_FAR) * due
        if not anew and has <= free and near and (has or not due) and holder.lease.number:
            return holder.lease
        holder.in_flight = holder.guard()
        holder.left = max(0, min(due, free - holder.in_flight))
        self._number += 1
        holder.lease = Lease(holder.left, self._number)
        return holder.lease
