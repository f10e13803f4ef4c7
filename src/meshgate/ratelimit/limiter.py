"""From what Envoy asked to what it is answered: finds the rules, counts, and words the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshgate.core.clock import Clock
from meshgate.model.policy import RateLimit, RedisTarget
from meshgate.ratelimit.answer import PASS, Verdict, WindowUse, encode, speaker
from meshgate.ratelimit.counters import Counter, StoreUnavailable, Taken
from meshgate.ratelimit.descriptors import RequestFacts, counter_prefix, read_request
from meshgate.ratelimit.memory import MemoryStore
from meshgate.ratelimit.redis_store import RedisStore
from meshgate.ratelimit.stores import RedisStores, redis_of
from meshgate.ratelimit.windows import Calendar, Window, per_window

RETIRED_RULES_S = 30.0
"""How long a removed rule is still counted, for proxies that have not heard of its removal."""

_MAX_PLANS = 20_000


class UnknownRuleError(LookupError):
    """Envoy names a rule that the rules file does not have (yet)."""


@dataclass(frozen=True, slots=True)
class _Share:
    """One rule's part in a request."""

    rule: RateLimit
    limits: tuple[tuple[Window, int], ...]
    prefix: str


_Plan = tuple[tuple[RedisStore | None, tuple[_Share, ...]], ...]
"""What a request has to be counted in, by store; None is this process's memory."""


class Limiter:
    """Decides about requests. Lives on one event loop; rules may be replaced at any time."""

    def __init__(self, *, clock: Clock, stores: RedisStores) -> None:
        self._clock = clock
        self._stores = stores
        self._memory = MemoryStore()
        self._calendar = Calendar()
        self._rules: Mapping[str, RateLimit] = {}
        self._retired: dict[str, tuple[RateLimit, float]] = {}
        self._plans: dict[bytes, _Plan] = {}
        """By the request's bytes: clients repeat themselves, so most requests are not even parsed."""

    def replace_rules(self, rules: Mapping[str, RateLimit], others: Iterable[RedisTarget] = ()) -> None:
        """Counts by these rules from now on; what was counted under a rule's id stays counted.

        `others`: where somebody else counts, whose connections are to stay too.
        """
        now = self._clock.monotonic()
        gone = {name: (rule, now + RETIRED_RULES_S) for name, rule in self._rules.items()}
        self._retired = {
            name: entry
            for name, entry in (self._retired | gone).items()
            if name not in rules and entry[1] > now
        }
        self._rules = rules
        self._plans.clear()
        known = [*rules.values(), *(rule for rule, _ in self._retired.values())]
        targets = {target for rule in known if (target := redis_of(rule)) is not None}
        self._stores.keep(targets | set(others))

    async def decide(self, message: bytes) -> bytes:
        """The serialised `RateLimitResponse` to a serialised `RateLimitRequest`.

        Every rule named must have room. Rules that share a store are counted all or none; with
        several stores, those asked before a refusal have counted. Raises `UnknownRuleError`,
        `MalformedRequest`, and `StoreUnavailable` where a rule is not fault tolerant.
        """
        plan = self._plans.get(message)
        if plan is None:
            plan = self._make_plan(message)
        moment = self._clock.now()
        now = moment.timestamp()
        spans = self._calendar.spans(moment)
        verdicts: list[Verdict] = []
        for store, shares in plan:
            counters = tuple(
                Counter(f"{share.prefix}:{window.value}:{spans[window][0]}", limit, spans[window][1])
                for share in shares
                for window, limit in share.limits
            )
            try:
                taken = self._memory.take(counters, now) if store is None else await store.take(counters, now)
            except StoreUnavailable:
                if all(share.rule.fault_tolerant for share in shares):
                    continue
                raise
            verdicts += _verdicts(shares, counters, taken)
            if not taken.accepted:
                break
        return encode(speaker(verdicts), now) if verdicts else PASS

    def _make_plan(self, message: bytes) -> _Plan:
        by_store: dict[RedisStore | None, list[_Share]] = {}
        for facts in read_request(message):
            rule = self._rule(facts)
            own = (each.limits for each in rule.consumer_limits if each.consumer_id == facts.consumer)
            target = redis_of(rule)
            store = self._stores.of(target) if target is not None else None
            share = _Share(rule, per_window(next(own, rule.limits)), counter_prefix(rule, facts))
            by_store.setdefault(store, []).append(share)
        plan = tuple((store, tuple(shares)) for store, shares in by_store.items())
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[message] = plan
        return plan

    def _rule(self, facts: RequestFacts) -> RateLimit:
        rule = self._rules.get(facts.rule)
        if rule is not None:
            return rule
        retired = self._retired.get(facts.rule)
        if retired is not None:
            return retired[0]
        raise UnknownRuleError(facts.rule)


def _verdicts(shares: tuple[_Share, ...], counters: tuple[Counter, ...], taken: Taken) -> list[Verdict]:
    verdicts, position = [], 0
    for share in shares:
        uses = []
        for window, limit in share.limits:
            uses.append(WindowUse(window, limit, taken.used[position], counters[position].ends))
            position += 1
        verdicts.append(Verdict(share.rule, tuple(uses), taken.accepted))
    return verdicts
