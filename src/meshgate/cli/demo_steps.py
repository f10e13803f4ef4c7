"""What the steps of the tour are made of, and arithmetic that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshgate.cli.demo_shop import Shop

API = "api.example.com"
SHOP = "shop.example.com"
GATEWAY_ID = "spiffe://cluster.local/ns/meshgate-system/sa/meshgate-gateway"
CHECKOUT_ID = "spiffe://cluster.local/ns/default/sa/checkout"
PAYMENT_ID = "spiffe://cluster.local/ns/default/sa/payment"
SIGMAS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing asked, and what came back."""

    asked: str
    came: str
    held: bool = True
    """Whether it was what the manifests say."""


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stop of the tour."""

    title: str
    run: Callable[[Shop], Findings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How requests were shared, against a share that was asked for."""

    counts: Mapping[str, int]
    """Version -> answers."""
    version: str
    percent: float
    """Wanted for `version`."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def measured(self) -> float:
        """Percent for `version`."""
        return 100 * self.counts.get(self.version, 0) / self.total if self.total else math.nan

    @property
    def allowed(self) -> float:
        """Percentage points of three standard errors of the share."""
        ratio = self.percent / 100
        return 100 * SIGMAS * math.sqrt(ratio * (1 - ratio) / self.total) if self.total else 0.0

    @property
    def holds(self) -> bool:
        """Within three standard errors, with at least one answer."""
        return self.total > 0 and abs(self.measured - self.percent) <= self.allowed

    def __str__(self) -> str:
        return (
            f"{counted(self.counts)}: {self.measured:.1f}% {self.version},"
            f" wanted {self.percent:.0f} ± {self.allowed:.1f}"
        )


def counted(counts: Mapping[str, int]) -> str:
    """`v1 904, v2 96`."""
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "no answer"


def milliseconds(values: Iterable[float], percentile: float) -> float:
    """A percentile (0-100) of seconds, in milliseconds; 0 without values."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return 1000 * ordered[min(int(len(ordered) * percentile / 100), len(ordered) - 1)]
