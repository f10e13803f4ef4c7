"""Which check carries out which policy."""

from __future__ import annotations

from collections.abc import Sequence

from meshgate.bridge.deciding import Step
from meshgate.bridge.request import Identity, Request, Verdict, failed
from meshgate.bridge.tools import Tools
from meshgate.model.policies.bridged import Bridged, HmacAuth


def make_steps(policies: Sequence[Bridged], tools: Tools) -> tuple[Step, ...]:
    """The steps of one rule, in the order of its policies."""
    return tuple(_step(policy, tools) for policy in policies)


def _step(policy: Bridged, tools: Tools) -> Step:
    match policy:
        case HmacAuth():
            return Step(name="hmac-auth", ask=_not_yet, anonymous=bool(policy.anonymous))


async def _not_yet(request: Request, known: Identity | None) -> Verdict:
    return failed()
