"""One request and its answer as they pass the cache, from what Envoy shows to what becomes of them.

exchange = Exchange(rule, policy, store, clock)
exchange.request(...)    -> Go | Given     the request's head
exchange.request_body(.) -> Go | Given     only where `Go.then` asked for it
exchange.response(...)   -> Go | Given     the answer's head
exchange.response_body() -> Go             each piece of its body
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from meshgate.bridge.cache.directives import RequestDirectives, request_directives
from meshgate.bridge.cache.freshness import Use, good_enough_for_an_error, use
from meshgate.bridge.cache.given import Given, give, same_version, validators
from meshgate.bridge.cache.keys import cache_key
from meshgate.bridge.cache.store import Store
from meshgate.bridge.cache.stored import Received, Stored, first, make, storable, values
from meshgate.bridge.request import Headers, Request
from meshgate.model.policies.cached import ProxyCache

_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_CONDITIONS = ("if-none-match", "if-modified-since", "if-range")
_LOCK_CONDITIONS = ("if-match", "if-unmodified-since")
"""They are about the service's own state: only it can answer (RFC 9111, section 4.3.2)."""


class Then(enum.Enum):
    """What the cache wants to see next."""

    NOTHING = "nothing"
    REQUEST_BODY = "request body"
    RESPONSE = "response"
    RESPONSE_BODY = "response body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """It passes, with these changes to its headers."""

    then: Then = Then.NOTHING
    set_headers: Headers = ()
    remove_headers: tuple[str, ...] = ()


class Status(enum.Enum):
    """X-Cache-Status, in Kong's words."""

    MISS = "Miss"
    HIT = "Hit"
    REFRESH = "Refresh"
    BYPASS = "Bypass"


class Exchange:
    """The state of one; `end` it in any case."""

    def __init__(self, rule: str, policy: ProxyCache, store: Store, now: Callable[[], float]) -> None:
        self._rule, self._policy, self._store, self._now = rule, policy, store, now
        self._step = store.now()
        self._status = Status.BYPASS
        self._key = ""
        self._request: Request | None = None
        self._asked = RequestDirectives()
        self._stale: Stored | None = None
        """What the service was asked about, or may stand in for its error."""
        self._validating = False
        """A 304 is about it, and not about what the client has."""
        self._sent = 0.0
        self._invalidates = False
        self._answer: Received | None = None
        self._body: list[bytes] = []
        self._held = 0

    def request(self, request: Request, *, ended: bool) -> Go | Given:
        """The request's head; `ended`: there is no body."""
        policy = self._policy
        self._request, self._sent = request, self._now()
        kind = request.header("content-type") or ""
        if request.method == "CONNECT" or request.values("upgrade") or kind.startswith("application/grpc"):
            return Go()
        if policy.cache_control:
            self._asked = request_directives(request.values("cache-control"))
        self._invalidates = policy.cache_control and request.method not in {*_SAFE, *policy.methods}
        if request.method not in policy.methods or any(request.values(n) for n in _LOCK_CONDITIONS):
            return self._bypass()
        if ended:
            return self._look_up("")
        # A GET with a body may get an answer that others must not have.
        return self._bypass() if request.method in _SAFE else Go(then=Then.REQUEST_BODY)

    def request_body(self, body: bytes, *, whole: bool) -> Go | Given:
        """The request's body, or as much of it as could be held."""
        return self._look_up(hashlib.sha256(body).hexdigest()) if whole else self._bypass()

    def response(self, status: int, headers: Headers, *, ended: bool) -> Go | Given:
        """The answer's head; `ended`: there is no body."""
        request, stale, now = self._request, self._stale, self._now()
        assert request is not None
        answer = Received(status=status, headers=headers, asked=self._sent, received=now)
        if self._invalidates and 200 <= status < 400:
            self._store.invalidate(_changed(request, headers))
        if stale is not None:
            self._store.end_revalidation(stale)
            if status == 304 and self._validating:
                return self._freshened(stale, request, answer)
            if status >= 500 and good_enough_for_an_error(stale.times, stale.said, now):
                return self._given(stale, Status.HIT, now)
        if not self._key or not storable(self._policy, request, self._asked, answer):
            if stale is not None and (200 <= status < 400 or status in (404, 410)) and status != 304:
                self._store.drop(stale)
            self._status = Status.BYPASS
            return self._counted()
        self._answer = answer
        if ended or request.method == "HEAD":
            self._keep(b"")
            return self._counted()
        announced = first(headers, "content-length") or "0"
        if not announced.isdecimal() or int(announced) > self._store.limits.answer_bytes:
            self._status = Status.BYPASS
            return self._counted()
        return self._counted(Then.RESPONSE_BODY)

    def response_body(self, piece: bytes, *, ended: bool) -> Go:
        """A piece of the answer's body; `ended`: the last one."""
        length = self._held + len(piece)
        if length > self._store.limits.answer_bytes or not self._store.reserve(len(piece)):
            self.end()
            return Go()
        self._held = length
        self._body.append(piece)
        if not ended:
            return Go(then=Then.RESPONSE_BODY)
        self._keep(b"".join(self._body))
        self.end()
        return Go()

    def end(self) -> None:
        """Gives back what it holds; whatever did not come to its end is not kept."""
        self._store.release(self._held)
        self._held, self._body, self._answer = 0, [], None

    def _look_up(self, body: str) -> Go | Given:
        request, policy, now = self._request, self._policy, self._now()
        assert request is not None
        if self._asked.no_store:
            return self._bypass()
        self._key = cache_key(self._rule, policy, request, body=body)
        found = self._store.get(self._key, request, now)
        if request.method == "HEAD" and "GET" in policy.methods:
            # The head of a whole answer will do (RFC 9111, section 4).
            whole = self._store.get(cache_key(self._rule, policy, request, method="GET"), request, now)
            found = whole or found
        if found is not None and request.values("authorization") and not found.open_to_all:
            self._key = ""
            return self._bypass()
        if found is not None:
            able = use(found.times, found.said, self._asked, now)
            if able in (Use.FRESH, Use.STALE):
                return self._given(found, Status.HIT, now)
            if able is Use.WHILE_REVALIDATING and (
                self._asked.only_if_cached or not self._store.begin_revalidation(found, now)
            ):
                return self._given(found, Status.HIT, now)
        if self._asked.only_if_cached:
            return Given(status=504)
        if request.values("range"):
            # What comes is a part, and is not kept.
            self._key = ""
            return self._bypass()
        self._stale = found
        if found is None:
            self._status = Status.MISS
            return Go(then=Then.RESPONSE)
        self._status, ask = Status.REFRESH, validators(found)
        self._validating = bool(ask)
        named = {name for name, _ in ask}
        # The client's own conditions are met from what is stored then.
        others = tuple(n for n in _CONDITIONS if ask and n not in named and request.values(n))
        return Go(then=Then.RESPONSE, set_headers=ask, remove_headers=others)

    def _freshened(self, stale: Stored, request: Request, answer: Received) -> Given:
        """The stored answer is still good (section 4.3.4)."""
        now, policy = self._now(), self._policy
        if not same_version(stale, first(answer.headers, "etag")):
            self._store.drop(stale)
            return self._given(stale, Status.REFRESH, now)
        renewed = replace(answer, status=stale.status)
        new = make(policy, stale.key, request, renewed, stale.body, others=stale.headers)
        if storable(policy, request, self._asked, replace(renewed, headers=(*new.headers,))):
            self._store.put(new, self._step)
        else:
            self._store.drop(stale)
        return self._given(new, Status.REFRESH, now)

    def _keep(self, body: bytes) -> None:
        request, answer = self._request, self._answer
        assert request is not None
        if answer is None:
            return
        announced = first(answer.headers, "content-length")
        if request.method != "HEAD" and announced is not None and announced != str(len(body)):
            return  # Cut off on its way.
        self._store.put(make(self._policy, self._key, request, answer, body), self._step)

    def _given(self, stored: Stored, status: Status, now: float) -> Given:
        assert self._request is not None
        self._status, self._key = status, stored.key
        found = give(self._request, stored)
        age = (("age", str(int(stored.times.age_s(now)))),) if self._policy.show_age else ()
        self._count()
        return replace(found, added=(*age, *self._shown()))

    def _bypass(self) -> Go:
        self._status = Status.BYPASS
        if self._invalidates or self._policy.show_status:
            return Go(then=Then.RESPONSE)
        self._count()
        return Go()

    def _counted(self, then: Then = Then.NOTHING) -> Go:
        self._count()
        return Go(then=then, set_headers=self._shown())

    def _count(self) -> None:
        counts = self._store.counts
        match self._status:
            case Status.MISS:
                counts.misses += 1
            case Status.HIT:
                counts.hits += 1
            case Status.REFRESH:
                counts.refreshes += 1
            case Status.BYPASS:
                counts.bypasses += 1

    def _shown(self) -> Headers:
        """What the client is told; Kong's names."""
        status = (("x-cache-status", self._status.value),) if self._policy.show_status else ()
        key = (("x-cache-key", self._key),) if self._policy.show_key and self._key else ()
        return (*status, *key)


def _changed(request: Request, headers: Headers) -> set[tuple[str, str]]:
    """Hosts and paths that a request has changed (RFC 9111, section 4.4): its own, and what the answer names
    on the same host."""
    host = request.host.lower()
    found = {(host, request.path)}
    base = f"{request.scheme}://{host}{request.path}"
    for line in (*values(headers, "location"), *values(headers, "content-location")):
        try:
            named = urlsplit(urljoin(base, line))
        except ValueError:
            continue
        if named.netloc.lower() == host and named.scheme == request.scheme:
            found.add((host, f"{named.path or '/'}{f'?{named.query}' if named.query else ''}"))
    return found
