"""How long an answer may be used, and whether this one still may (RFC 9111, sections 4.2 and 5.2.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshgate.bridge.cache.directives import (
    RequestDirectives,
    ResponseDirectives,
    delta_seconds,
    http_date,
)


class Use(enum.Enum):
    """What a stored answer is good for."""

    FRESH = "fresh"
    STALE = "stale"
    """May be given although it is stale: the client or the service says so."""
    WHILE_REVALIDATING = "while revalidating"
    """May be given while somebody else asks the service (RFC 5861, section 3)."""
    REVALIDATE = "revalidate"
    """The service must be asked first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When an answer was made, and for how long it is fresh."""

    received: float
    """Seconds since 1970."""
    initial_age_s: float
    """How old it was then."""
    lifetime_s: float

    def age_s(self, now: float) -> float:
        """Its current age (section 4.2.3)."""
        return self.initial_age_s + max(0.0, now - self.received)

    def left_s(self, now: float) -> float:
        """For how long it stays fresh; negative: for how long it has been stale."""
        return self.lifetime_s - self.age_s(now)


def explicit_lifetime_s(said: ResponseDirectives, expires: tuple[str, ...], date: float) -> float | None:
    """The freshness lifetime that the service gives (section 4.2.1); None where it gives none.

    `expires`: the lines of Expires; `date`: when the answer was made. An Expires that is no date, or
    there twice, has passed (section 5.3).
    """
    if said.s_maxage is not None:
        return said.s_maxage
    if said.max_age is not None:
        return said.max_age
    if not expires:
        return None
    at = http_date(expires[0]) if len(expires) == 1 else None
    return max(0.0, at - date) if at is not None else 0.0


def initial_age_s(ages: tuple[str, ...], date: float, asked: float, received: float) -> float:
    """How old an answer is when it comes (section 4.2.3): by its date or by Age, what is more.

    `ages`: the lines of Age, of which the first that can be read counts (section 5.1).
    """
    value = next((age for line in ages if (age := delta_seconds(line.split(",")[0].strip())) is not None), 0)
    return max(0.0, received - date, value + max(0.0, received - asked))


def use(times: Times, said: ResponseDirectives, asked: RequestDirectives, now: float) -> Use:
    """What the answer is good for, by what service and client say of it (sections 4.2.4 and 5.2.1)."""
    if said.no_cache or asked.no_cache:
        return Use.REVALIDATE
    age, left = times.age_s(now), times.left_s(now)
    if asked.max_age is not None and age > asked.max_age:
        return Use.REVALIDATE
    if asked.min_fresh is not None and left < asked.min_fresh:
        return Use.REVALIDATE
    if left > 0:
        return Use.FRESH
    if said.never_stale:
        return Use.REVALIDATE
    if asked.max_stale is not None and -left <= asked.max_stale:
        return Use.STALE
    return Use.WHILE_REVALIDATING if -left < said.stale_while_revalidate else Use.REVALIDATE


def good_enough_for_an_error(times: Times, said: ResponseDirectives, now: float) -> bool:
    """Whether a stale answer is better than the service's error (RFC 5861, section 4)."""
    return not said.never_stale and -times.left_s(now) < said.stale_if_error
