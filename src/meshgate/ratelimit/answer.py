"""Kong's rate limit headers, and the message that carries them to Envoy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from envoy.service.ratelimit.v3 import rls_pb2

from meshgate.model.policy import RateLimit
from meshgate.ratelimit.windows import Window

_LIMIT = {window: f"X-RateLimit-Limit-{window.value.capitalize()}" for window in Window}
_REMAINING = {window: f"X-RateLimit-Remaining-{window.value.capitalize()}" for window in Window}

_OK = rls_pb2.RateLimitResponse.OK
_OVER_LIMIT = rls_pb2.RateLimitResponse.OVER_LIMIT

PASS = rls_pb2.RateLimitResponse(overall_code=_OK).SerializeToString()
"""The answer to a request that no rule counted: it passes, without headers."""


@dataclass(frozen=True, slots=True)
class WindowUse:
    """One window of one request. Positional, because it is made per request."""

    window: Window
    limit: int
    used: int
    """Requests counted before this one."""
    ends: int
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says to one request. Positional, because it is made per request."""

    rule: RateLimit
    windows: tuple[WindowUse, ...]
    """Shorter windows first; at least one."""
    accepted: bool
    """Whether the request was counted and passes."""

    @property
    def exceeded(self) -> bool:
        """Whether this very rule has no room (another rule may have refused the request)."""
        return any(use.used >= use.limit for use in self.windows)

    def remaining(self, use: WindowUse) -> int:
        """What is left in a window after this request; refused requests use nothing up."""
        return max(0, use.limit - use.used - (1 if self.accepted else 0))

    def tightest(self) -> WindowUse:
        """The window with the least remaining; of equal ones the longer."""
        return min(reversed(self.windows), key=self.remaining)


def kong_headers(verdict: Verdict, now: float) -> list[tuple[str, str]]:
    """The response headers of Kong 3.9's rate-limiting, in order. `now`: epoch seconds.

    Empty where the rule hides them; Kong then leaves out `Retry-After` as well.
    """
    if verdict.rule.hide_client_headers:
        return []
    headers = []
    for use in verdict.windows:
        headers.append((_LIMIT[use.window], str(use.limit)))
        headers.append((_REMAINING[use.window], str(verdict.remaining(use))))
    tightest = verdict.tightest()
    reset = str(max(1, tightest.ends - math.floor(now)))
    headers.append(("RateLimit-Limit", str(tightest.limit)))
    headers.append(("RateLimit-Remaining", str(verdict.remaining(tightest))))
    headers.append(("RateLimit-Reset", reset))
    if not verdict.accepted:
        headers.append(("Retry-After", reset))
    return headers


def speaker(verdicts: list[Verdict]) -> Verdict:
    """Whose headers the client gets: the first rule without room, else the tightest. Kong runs only one."""
    for verdict in verdicts:
        if verdict.exceeded:
            return verdict
    return min(verdicts, key=lambda verdict: verdict.remaining(verdict.tightest()))


def encode(verdict: Verdict, now: float) -> bytes:
    """The serialised `RateLimitResponse`.

    A refusal carries the rule's `error_code` and `error_message` as dynamic metadata (Envoy
    keeps them under `envoy.filters.http.ratelimit`), because RLS cannot set the status and
    does not see `Accept`: Envoy's local reply makes the body from them.
    """
    response = rls_pb2.RateLimitResponse(overall_code=_OK if verdict.accepted else _OVER_LIMIT)
    add = response.response_headers_to_add.add
    for name, value in kong_headers(verdict, now):
        add(key=name, value=value)
    if not verdict.accepted:
        fields = response.dynamic_metadata.fields
        fields["rule"].string_value = verdict.rule.rule_id
        fields["code"].string_value = str(verdict.rule.error_code)
        fields["message"].string_value = verdict.rule.error_message
    message: bytes = response.SerializeToString()
    return message
