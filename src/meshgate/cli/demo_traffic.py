"""The live demo's traffic: which requests are sent, and what is counted of the answers."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.cli.demo_http import Answer, Ask
from meshgate.cli.demo_steps import API, SHOP, milliseconds
from meshgate.cli.demo_tokens import ALICE, ALICE_KEY, token
from meshgate.cli.printing import get_in, text_in

RATE = 100.0
"""Requests per second."""
WINDOW_S = 10
_KEPT = int(RATE * WINDOW_S * 2)

_USERS = Ask(path="/api/users")
_PAYMENT = Ask(path="/call/payment?times=1", host=SHOP)
_BACKEND = Ask(path="/call/backend-service?times=1", host=SHOP)
_CANARY = _BACKEND.with_headers(x_canary="true")
_REST = Ask(path="/anything", host=API)
_TOKEN = Ask(path="/api/v1", host=API)
_PARTNERS = Ask(path="/api/partners", host=API).with_headers(apikey=ALICE_KEY)

_MIX = (
    *((_USERS, _PAYMENT) * 30),
    *((_BACKEND, _REST) * 15),
    *((_TOKEN, _CANARY) * 4),
    *(_PARTNERS, Ask(path="/api/partners", host=API)),
)
"""One hundred requests; the limited routes are asked for more than they allow."""
LIMITED = {_TOKEN.path: "alice, Redis", _PARTNERS.path: "alice, in Envoy"}


class Mix:
    """Gives the requests of the mix, one after the other, far ones of a kind apart."""

    def __init__(self) -> None:
        # 37 and 100 have no common divisor: every request of the mix has its turn.
        self._order = itertools.cycle(_MIX[index * 37 % len(_MIX)] for index in range(len(_MIX)))
        self._lock = threading.Lock()
        self._token = token(*ALICE)
        self._renew = time.monotonic() + 1800

    def choose(self) -> Ask:
        """The next request."""
        with self._lock:
            if time.monotonic() > self._renew:
                self._token, self._renew = token(*ALICE), time.monotonic() + 1800
            ask = next(self._order)
            given = self._token
        return ask.with_headers(Authorization=f"Bearer {given}") if ask is _TOKEN else ask


@dataclass(slots=True)
class Limit:
    """What the answers of a limited route say."""

    passed: int = 0
    refused: int = 0
    remaining: str = "?"
    per_minute: str = "?"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One answer of the last seconds."""

    at: float
    seconds: float
    status: int
    service: str
    version: str


@dataclass(slots=True)
class Stats:
    """Everything counted since the start, and the last seconds one by one. For several threads."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    callers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(service, SPIFFE ID that it saw) -> answers."""
    limits: dict[str, Limit] = field(default_factory=lambda: {path: Limit() for path in LIMITED})
    _began: float = field(default_factory=time.monotonic)
    _recent: deque[_Seen] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, ask: Ask, answer: Answer) -> None:
        """Counts an answer."""
        service, version, caller = _origin(ask, answer)
        with self._lock:
            self.sent += 1
            self.statuses[answer.status] += 1
            if caller:
                self.callers[service, caller] += 1
            if answer.status != 401 and ask.path in self.limits:
                _count(self.limits[ask.path], answer)
            seconds = answer.ended - answer.began
            self._recent.append(_Seen(answer.ended, seconds, answer.status, service, version))

    def window(self) -> Window:
        """The last ten seconds."""
        with self._lock:
            recent = tuple(self._recent)
        now = time.monotonic()
        length_s = min(max(now - self._began, 1.0), WINDOW_S)
        return Window(tuple(seen for seen in recent if seen.at >= now - length_s), length_s)


@dataclass(frozen=True, slots=True)
class Window:
    """Answers of the last ten seconds."""

    _seen: tuple[_Seen, ...]
    _length_s: float

    @property
    def rate(self) -> float:
        """Per second."""
        return len(self._seen) / self._length_s

    @property
    def failed(self) -> int:
        """Those that neither the manifests nor the client asked for."""
        return sum(seen.status == 0 or seen.status >= 500 for seen in self._seen)

    @property
    def statuses(self) -> Mapping[int, int]:
        return Counter(seen.status for seen in self._seen)

    @property
    def versions(self) -> Mapping[str, Mapping[str, int]]:
        """Service -> version -> answers, sorted."""
        found: dict[str, Counter[str]] = {}
        for seen in self._seen:
            if seen.version:
                found.setdefault(seen.service, Counter())[seen.version] += 1
        return {service: dict(sorted(counts.items())) for service, counts in sorted(found.items())}

    def latency_ms(self, percentile: float) -> float:
        """Of requests that reached a service."""
        return milliseconds((seen.seconds for seen in self._seen if seen.version), percentile)


def _origin(ask: Ask, answer: Answer) -> tuple[str, str, str]:
    """Service, version and caller that an answer tells of; empty where it tells nothing."""
    body = answer.json if answer.status == 200 else None
    if ask.path.startswith("/call/"):
        return text_in(body, "target", default=""), _key(body, "versions"), _key(body, "seen_by_target_as")
    names = ("service", "version", "caller")
    service, version, caller = (text_in(body, name, default="") for name in names)
    return service, version, caller


def _key(body: object, name: str) -> str:
    found = get_in(body, name)
    return next(iter(found), "") if isinstance(found, Mapping) else ""


def _count(limit: Limit, answer: Answer) -> None:
    if answer.status == 429:
        limit.refused += 1
    elif answer.status == 200:
        limit.passed += 1
    limit.per_minute = answer.headers.get("x-ratelimit-limit-minute", limit.per_minute)
    limit.remaining = answer.headers.get("x-ratelimit-remaining-minute", limit.remaining)
