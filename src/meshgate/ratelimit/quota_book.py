"""All quotas, and which gateway has to be told what. Pure: whoever calls it brings the time.

The way of a report: which rule and identity (`BucketKey`) -> its `Quota` -> leases for this and
other gateways, collected by gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from meshgate.model.policy import LimitStore, RateLimit
from meshgate.ratelimit.quota import Lease, Limits, Quota, Spans
from meshgate.ratelimit.windows import Window, per_window

LEASE_S = 15
"""A lease that is not renewed for so long ends, and `fault_tolerant` decides: three reports."""
IDLE_S = 60.0
"""A gateway that had no request for an identity for so long gives its lease back."""
IDLE_STRICT_S = 600.0
"""The same where requests without a lease are refused: their return costs the first of them."""
MAX_QUOTAS = 100_000
"""Identities counted at once; those beyond are not limited until others have gone."""

BucketKey = frozenset[tuple[str, str]]
"""What Envoy names a bucket by: `rule` and who is limited."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One bucket in a gateway's report. Positional, for there are many."""

    bucket: BucketKey
    passed: int
    refused: int


@dataclass(slots=True, kw_only=True)
class Orders:
    """What gateways are to be told: gateway -> bucket -> its lease, or None: forget the bucket."""

    of: dict[str, dict[BucketKey, Lease | None]] = field(default_factory=dict)

    def add(self, bucket: BucketKey, leases: Mapping[str, Lease | None]) -> None:
        """Later ones of the same bucket count."""
        for gateway, lease in leases.items():
            self.of.setdefault(gateway, {})[bucket] = lease


@dataclass(frozen=True, slots=True)
class _Entry:
    rule: RateLimit
    quota: Quota


class QuotaBook:
    """`now` is monotonic seconds, `spans` the calendar's windows of the same moment."""

    def __init__(self) -> None:
        self._rules: Mapping[str, RateLimit] = {}
        self._entries: dict[BucketKey, _Entry] = {}
        self._gateways: set[str] = set()
        self._came = 0
        self._gone: dict[str, float] = {}
        self._starts: tuple[int, ...] = ()
        """Of the current windows but the second, which no quota has."""

    def __len__(self) -> int:
        return len(self._entries)

    def replace_rules(self, rules: Mapping[str, RateLimit]) -> None:
        """Counts by these rules from now on; leases follow with the next reports."""
        self._rules = {name: rule for name, rule in rules.items() if rule.store is LimitStore.QUOTA}
        kept: dict[BucketKey, _Entry] = {}
        for bucket, entry in self._entries.items():
            rule = self._rules.get(dict(bucket).get("rule", ""))
            if rule is not None:
                if rule != entry.rule:
                    entry.quota.change_limits(_limits(rule, bucket))
                kept[bucket] = _Entry(rule, entry.quota)
        self._entries = kept

    def knows(self, bucket: BucketKey) -> bool:
        """Whether there is a rule for it."""
        return dict(bucket).get("rule", "") in self._rules

    def join(self) -> str:
        """Names a gateway that has come. One that went just now is taken to be back, with all it had."""
        back = next(iter(self._gone), "")
        if not back:
            self._came += 1
        name = back or f"gateway-{self._came}"
        self._gone.pop(name, None)
        self._gateways.add(name)
        return name

    def leave(self, gateway: str, now: float) -> None:
        """A gateway cannot be heard any more; what it was lent counts as long as its leases last."""
        self._gateways.discard(gateway)
        self._gone[gateway] = now + LEASE_S

    def report(self, gateway: str, usages: Iterable[Usage], now: float, spans: Spans) -> Orders:
        """Counts what a gateway says, and answers each of its buckets."""
        orders = Orders()
        for usage in usages:
            if not self.knows(usage.bucket):
                orders.add(usage.bucket, {gateway: None})
                continue
            entry = self._entry(usage.bucket)
            if entry is None:
                continue
            quota = entry.quota
            orders.add(usage.bucket, quota.roll(spans, len(self._gateways)))
            leases = quota.report(gateway, usage.passed, usage.refused, now, len(self._gateways))
            orders.add(usage.bucket, leases)
            patience_s = IDLE_S if entry.rule.fault_tolerant else IDLE_STRICT_S
            # Of what is used up, each bucket that began anew would let requests pass before its lease.
            if quota.idle_s(gateway, now) >= patience_s and not quota.is_used_up:
                quota.forget(gateway)
                orders.add(usage.bucket, {gateway: None})
        return orders

    def roll(self, now: float, spans: Spans) -> Orders:
        """What a new second brings: windows that begin anew, leases of vanished gateways that end."""
        for gateway in [name for name, until in self._gone.items() if until <= now]:
            del self._gone[gateway]
            for entry in self._entries.values():
                entry.quota.forget(gateway)
        orders = Orders()
        starts = tuple(start for start, _ in spans.values())[1:]
        if starts == self._starts:
            return orders
        self._starts = starts
        for bucket, entry in self._entries.items():
            orders.add(bucket, entry.quota.roll(spans, len(self._gateways)))
        for bucket in [b for b, entry in self._entries.items() if entry.quota.is_blank]:
            del self._entries[bucket]
        return orders

    def _entry(self, bucket: BucketKey) -> _Entry | None:
        entry = self._entries.get(bucket)
        if entry is None and (rule := self._rules.get(dict(bucket).get("rule", ""))) is not None:
            if len(self._entries) >= MAX_QUOTAS:
                return None
            entry = self._entries[bucket] = _Entry(rule, Quota(_limits(rule, bucket)))
        return entry


def _limits(rule: RateLimit, bucket: BucketKey) -> Limits:
    consumer = dict(bucket).get("consumer", "")
    own = (each.limits for each in rule.consumer_limits if each.consumer_id == consumer)
    leasable = tuple(one for one in per_window(next(own, rule.limits)) if one[0] is not Window.SECOND)
    return leasable or per_window(rule.limits)
