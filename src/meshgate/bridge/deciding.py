"""Asks the checks of a route in Kong's order, and joins what they say.

Kong 3.9: with `anonymous` one good credential of several is enough (OR), without it each plugin
must agree (AND). Whoever is nobody in the end becomes the consumer for strangers in Envoy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from meshgate.bridge.request import Allow, Deny, Identity, Request, Verdict, failed

_log = structlog.get_logger("meshgate.bridge")

Ask = Callable[[Request, Identity | None], Awaitable[Verdict]]
"""What a check says, told who is known so far."""
Finish = Callable[[Request, Allow, Identity | None], Awaitable[Allow]]
"""What a check adds once all have agreed (a session's cookie)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One check of a route."""

    name: str
    """The plugin's, for the log."""
    ask: Ask
    anonymous: bool = False
    finish: Finish | None = None
    answers_itself: Callable[[Request], bool] | None = None
    """Requests that are for itself, also where somebody is known already."""
    own_headers: tuple[str, ...] = ()
    """What it alone tells the service, in lower case: a client's own never reach it, whoever asks."""


async def decide(steps: Sequence[Step], request: Request, known: Identity | None) -> Verdict:
    """The answer of all steps together. A check that breaks refuses with 500."""
    so_far = Allow(remove_headers=tuple(name for step in steps for name in step.own_headers))
    for step in steps:
        own = step.answers_itself is not None and step.answers_itself(request)
        if step.anonymous and known is not None and not own:
            continue
        try:
            verdict = await step.ask(request, known)
        except Exception:
            # The message may hold what the client sent.
            _log.exception("check_failed", plugin=step.name)
            return failed()
        match verdict:
            case Deny(stranger=True) if step.anonymous:
                continue
            case Deny():
                return verdict
            case Allow():
                so_far = _joined(so_far, verdict)
                if len(steps) == 1:
                    so_far = replace(so_far, holds_until=verdict.holds_until)
                known = verdict.identity or known
    for step in steps:
        if step.finish is not None:
            try:
                so_far = await step.finish(request, so_far, known)
            except Exception:
                _log.exception("check_failed", plugin=step.name)
                return failed()
    return so_far


def _joined(first: Allow, second: Allow) -> Allow:
    """Both; of two identities the later one, as in Kong."""
    return replace(
        first,
        identity=second.identity or first.identity,
        set_headers=first.set_headers + second.set_headers,
        remove_headers=first.remove_headers + second.remove_headers,
        remove_parameters=first.remove_parameters + second.remove_parameters,
        client_headers=first.client_headers + second.client_headers,
    )
