"""Gateways, the lender and the time that messages take between them, without any of it being real."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from meshgate.model.policy import Limits, LimitStore, RateLimit
from meshgate.ratelimit.quota import Lease
from meshgate.ratelimit.quota_book import Orders, QuotaBook, Usage
from meshgate.ratelimit.windows import Calendar, Window, window_start

START = datetime(2026, 3, 31, 12, 58, 50, tzinfo=UTC)
REPORTS_S = 5.0
BUCKET = frozenset({("rule", "r"), ("service", "s")})


@dataclass(slots=True, kw_only=True)
class Gateway:
    """What Envoy does with one bucket."""

    name: str
    first_report_s: float
    lease: Lease | None = None
    tokens: int = 0
    known: bool = False
    waits: int = 0
    """Reports that have not been answered."""
    newest: int = 0
    """Number of the lease that was sent last, whether or not it has come."""
    passed: int = 0
    refused: int = 0

    def take(self, lease: Lease | None) -> None:
        if lease is None:
            self.lease, self.known, self.passed, self.refused = None, False, 0, 0
        elif self.lease is None or self.lease.number != lease.number:
            self.lease, self.tokens = lease, lease.requests


@dataclass(slots=True, kw_only=True)
class Simulation:
    """Time in seconds since START."""

    limits: Limits
    delay_s: float
    gateways: list[Gateway]
    now: float = 0.0
    let: Counter[tuple[Window, datetime]] = field(default_factory=Counter)
    """Requests that passed, by the window in which they did."""
    unlent: Counter[tuple[Window, datetime]] = field(default_factory=Counter)
    """Those of them that passed before a first lease, or while a message was on its way."""

    def run(self, requests: Iterable[tuple[float, int]], until_s: float) -> None:
        """`requests`: when, and at which gateway."""
        book, calendar = QuotaBook(), Calendar()
        rule = RateLimit(rule_id="r", limits=self.limits, store=LimitStore.QUOTA)
        book.replace_rules({"r": rule})
        for gateway in self.gateways:
            gateway.name = book.join()
        events: list[tuple[float, int, Callable[[], None]]] = []
        order = itertools.count()

        def at(when: float, act: Callable[[], None]) -> None:
            heapq.heappush(events, (when, next(order), act))

        def spans() -> dict[Window, tuple[int, int]]:
            return calendar.spans(self.moment())

        def tell(orders: Orders, answered: Gateway | None = None) -> None:
            for gateway in self.gateways:
                for lease in orders.of.get(gateway.name, {}).values():
                    gateway.newest = lease.number if lease else 0

                    def come(to: Gateway = gateway, what: Lease | None = lease) -> None:
                        to.take(what)
                        to.waits -= to is answered

                    at(self.now + self.delay_s, come)

        def report(gateway: Gateway) -> None:
            usage = Usage(BUCKET, gateway.passed, gateway.refused)
            gateway.passed = gateway.refused = 0
            gateway.waits += 1

            def read() -> None:
                tell(book.report(gateway.name, [usage], self.now, spans()), gateway)

            at(self.now + self.delay_s, read)

        def request(gateway: Gateway) -> None:
            self._request(gateway)
            if not gateway.known:
                gateway.known = True
                report(gateway)

        def tick() -> None:
            tell(book.roll(self.now, spans()))
            at(self.now + 1, tick)

        def regularly(gateway: Gateway) -> None:
            if gateway.known:
                report(gateway)
            at(self.now + REPORTS_S, lambda: regularly(gateway))

        at(0.0, tick)
        for gateway in self.gateways:
            at(gateway.first_report_s, lambda gateway=gateway: regularly(gateway))  # type: ignore[misc]
        for when, number in requests:
            at(when, lambda number=number: request(self.gateways[number]))  # type: ignore[misc]
        while events and events[0][0] <= until_s:
            self.now, _, act = heapq.heappop(events)
            act()

    def moment(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def _request(self, gateway: Gateway) -> None:
        if gateway.lease is not None:
            if not gateway.tokens:
                gateway.refused += 1
                return
            gateway.tokens -= 1
        gateway.passed += 1
        exposed = gateway.lease is None or gateway.waits or gateway.newest != gateway.lease.number
        for name, _ in self.limits.windows():
            key = (Window(name), window_start(Window(name), self.moment()))
            self.let[key] += 1
            self.unlent[key] += bool(exposed)
