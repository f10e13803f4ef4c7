"""Limits on what answers cost: what is left before a request, and what its answer takes.

Follows `response-ratelimiting` of Kong 3.9. Nothing here knows the protocol; the stores are those
of ordinary limits.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from meshgate.core.clock import Clock
from meshgate.core.retiring import Retiring
from meshgate.model.policy import LimitBy, LimitStore, NamedLimits, RedisTarget, ResponseRateLimit
from meshgate.ratelimit.counters import Counter, StoreUnavailable, Taken
from meshgate.ratelimit.limiter import RETIRED_RULES_S
from meshgate.ratelimit.memory import MemoryStore
from meshgate.ratelimit.stores import RedisStores
from meshgate.ratelimit.windows import Calendar, Window, per_window

_ENDLESS = 2**53
"""A limit that nothing reaches: what an answer has cost is counted, whatever the limit."""
_AMOUNT = re.compile(r"[+-]?[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks; empty where that is not known."""

    consumer: str = ""
    credential: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One limit as it was before the request."""

    name: str
    window: Window
    limit: int
    remaining: int
    counter: Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What holds for one request until its answer comes."""

    rule: ResponseRateLimit
    uses: tuple[Use, ...]
    """By name, shorter windows first; empty where the store was away and that is tolerated."""

    @property
    def blocked_by(self) -> str:
        """The limit that stops the request at once; empty where none does."""
        if not self.rule.block_on_first_violation:
            return ""
        return next((use.name for use in self.uses if use.remaining <= 0), "")

    def for_service(self) -> tuple[tuple[str, str], ...]:
        """The headers that tell the service what is left of each limit."""
        least: dict[str, int] = {}
        for use in self.uses:
            least[use.name] = min(use.remaining, least.get(use.name, use.remaining))
        return tuple((f"X-RateLimit-Remaining-{name}", str(left)) for name, left in least.items())

    def for_client(self, costs: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
        """The headers that tell the client what is left after this answer."""
        headers: list[tuple[str, str]] = []
        for use in self.uses if not self.rule.hide_client_headers else ():
            end = f"{use.name}-{use.window.value}"
            headers.append((f"X-RateLimit-Limit-{end}", str(use.limit)))
            left = max(0, use.remaining - costs.get(use.name, 0))
            headers.append((f"X-RateLimit-Remaining-{end}", str(left)))
        return tuple(headers)

    def exceeded(self, costs: Mapping[str, int]) -> bool:
        """Whether the answer takes from what was used up before: the client does not get it."""
        return any(costs.get(use.name, 0) > 0 and use.remaining <= 0 for use in self.uses)


def costs_of(values: Iterable[str], limits: Iterable[NamedLimits]) -> dict[str, int]:
    """What a service has declared: `name=n, name2=m`; anything else in there says nothing."""
    names = {limit.name for limit in limits}
    found: dict[str, int] = {}
    for value in values:
        for part in value.split(","):
            name, equals, amount = (piece.strip() for piece in part.partition("="))
            if equals and name in names and _AMOUNT.fullmatch(amount):
                found[name] = int(amount)
    return found


class ResponseLimiter:
    """Looks up and counts. Lives on one event loop; rules may be replaced at any time."""

    def __init__(self, *, clock: Clock, stores: RedisStores, tasks: asyncio.TaskGroup) -> None:
        self._clock = clock
        self._stores = stores
        self._tasks = tasks
        self._memory = MemoryStore()
        self._calendar = Calendar()
        self._known: Retiring[ResponseRateLimit] = Retiring(clock, RETIRED_RULES_S)
        self._rules: Mapping[str, ResponseRateLimit] = {}

    def replace_rules(self, rules: Mapping[str, ResponseRateLimit]) -> None:
        """Counts by these rules from now on; what was counted under a rule's id stays counted."""
        self._rules = self._known.replace(rules)

    def targets(self) -> set[RedisTarget]:
        """Every Redis that a rule counts in."""
        return {rule.redis for rule in self._rules.values() if rule.redis is not None}

    def rule(self, name: str) -> ResponseRateLimit | None:
        """The rule of that id."""
        return self._rules.get(name)

    async def look(self, rule: ResponseRateLimit, caller: Caller) -> Before:
        """What is left before a request. Raises `StoreUnavailable` where that is not tolerated."""
        moment = self._clock.now()
        spans = self._calendar.spans(moment)
        found = []
        for named in rule.limits:
            prefix = _prefix(rule, named.name, caller)
            for window, limit in per_window(named.limits):
                counter = Counter(f"{prefix}:{window.value}:{spans[window][0]}", _ENDLESS, spans[window][1])
                found.append((named.name, window, limit, counter))
        try:
            taken = await self._take(rule, tuple(c for *_, c in found), moment.timestamp(), 0)
        except StoreUnavailable:
            if not rule.fault_tolerant:
                raise
            return Before(rule=rule, uses=())
        uses = (
            Use(name=name, window=window, limit=limit, remaining=limit - used, counter=counter)
            for (name, window, limit, counter), used in zip(found, taken.used, strict=True)
        )
        return Before(rule=rule, uses=tuple(uses))

    def count(self, before: Before, costs: Mapping[str, int]) -> None:
        """Counts what an answer has cost, behind all that was asked before; nobody waits for it."""
        now = self._clock.now().timestamp()
        for name, amount in costs.items():
            counters = tuple(use.counter for use in before.uses if use.name == name)
            if amount and counters:
                self._tasks.create_task(self._add(before.rule, counters, now, amount))

    async def _add(
        self, rule: ResponseRateLimit, counters: tuple[Counter, ...], now: float, amount: int
    ) -> None:
        try:
            await self._take(rule, counters, now, amount)
        except StoreUnavailable:
            return  # as in Kong, whose timer finds the store away; the store has logged it

    async def _take(
        self, rule: ResponseRateLimit, counters: tuple[Counter, ...], now: float, by: int
    ) -> Taken:
        if rule.store is not LimitStore.REDIS or rule.redis is None:
            return self._memory.take(counters, now, by)
        return await self._stores.of(rule.redis).take(counters, now, by)


def _prefix(rule: ResponseRateLimit, name: str, caller: Caller) -> str:
    """The part of a counter's key that time does not change. Identities are hashed."""
    kind, identity = "ip", caller.address
    if rule.limit_by is LimitBy.CONSUMER and caller.consumer:
        kind, identity = "consumer", caller.consumer
    elif rule.limit_by in (LimitBy.CONSUMER, LimitBy.CREDENTIAL) and caller.credential:
        kind, identity = "credential", caller.credential
    text = f"{rule.rule_id}\0{kind}\0{identity}\0{name}"
    digest = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16)
    return f"meshgate:rrl:{digest.hexdigest()}"
