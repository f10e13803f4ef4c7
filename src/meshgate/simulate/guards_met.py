"""Istio's policies on the way: which stand there, and whether they let anything in at all.

Who may pass depends on certificates and tokens, which are Envoy's to check; so a policy is
named here, and refuses only where it refuses every request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from meshgate.core.origin import BUILT_IN
from meshgate.model.authorization import Action, AuthorizationRule, Guard
from meshgate.model.reader import Reader
from meshgate.simulate.verdict import Outcome, PolicyMet, Verdict
from meshgate.translate.gateway_servers import listener_place

_GOES_ON = (Outcome.FORWARD, Outcome.REDIRECT, Outcome.ANSWER, Outcome.TCP)


def at_the_gateway(reader: Reader, verdict: Verdict) -> Verdict:
    """The verdict with the policies of the gateway, and of where the request goes."""
    place = listener_place(verdict.listener)
    met = _met(reader.edge_guard(place.address if place else ""), "the gateway")
    if met and verdict.outcome in _GOES_ON and not verdict.reason:
        verdict = _added(verdict, met)
    return at_destinations(reader, verdict)


def at_destinations(reader: Reader, verdict: Verdict) -> Verdict:
    """The verdict with the policies of the workloads behind its destinations.

    It is a refusal where every one of them refuses all.
    """
    if verdict.outcome not in (Outcome.FORWARD, Outcome.TCP):
        return verdict
    keys = [key for d in verdict.destinations if d.percent for key in reader.backends(d.host)]
    guards = [(key, i.guard) for key in dict.fromkeys(keys) if (i := reader.inbound(key)) is not None]
    met = [policy for key, guard in guards for policy in _met(guard, key)]
    open_ones = len(guards) < len(set(keys)) or not all(refuses_all(guard) for _, guard in guards)
    return _added(verdict, (replace(p, refuses=0) for p in met) if open_ones else met)


def refuses_all(guard: Guard) -> bool:
    """Whether no request can pass, whoever sends it."""
    if guard.closed or any(r == AuthorizationRule() for p in guard.of(Action.DENY) for r in p.rules):
        return True
    allowing = guard.of(Action.ALLOW)
    return bool(allowing) and not any(policy.rules for policy in allowing)


def _met(guard: Guard, where: str) -> tuple[PolicyMet, ...]:
    status = 403 if refuses_all(guard) else 0
    if guard.closed:
        says = f"{where} lets nothing in: {guard.closed}"
        return (PolicyMet(kind="AuthorizationPolicy", says=says, origin=BUILT_IN, refuses=status),)
    found = []
    for policy in guard.policies:
        rules = f"{len(policy.rules)} rule{'' if len(policy.rules) == 1 else 's'}"
        tried = ", only tried (dry-run)" if policy.dry_run else ""
        asks = f", {policy.provider} is asked" if policy.action is Action.CUSTOM else ""
        name = f"{policy.ref.namespace}/{policy.ref.name}"
        says = f"{name} at {where}: {policy.action.value}, {rules}{asks}{tried}"
        refuses = 0 if policy.dry_run or policy.action is Action.AUDIT else status
        found.append(PolicyMet(kind="AuthorizationPolicy", says=says, origin=policy.origin, refuses=refuses))
    return tuple(found)


def _added(verdict: Verdict, met: Iterable[PolicyMet]) -> Verdict:
    listed = tuple(met)
    verdict = replace(verdict, policies=(*verdict.policies, *listed))
    refusal = next((p for p in listed if p.refuses), None)
    if refusal is None:
        return verdict
    return replace(
        verdict,
        outcome=Outcome.REFUSE,
        status=refusal.refuses if verdict.outcome is not Outcome.TCP else 0,
        location="",
        reason=f"{refusal.kind}: {refusal.says}",
    )
