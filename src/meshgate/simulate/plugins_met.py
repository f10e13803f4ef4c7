"""What the smaller plugins of an edge route say to a request; see `policies_met`.

What depends on the client's address, which nobody names to `explain`, is told and not decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from meshgate.model.policy import IpRestriction, Policy, Termination
from meshgate.policies import ip_restriction, request_termination
from meshgate.simulate.matching import parameters
from meshgate.simulate.verdict import PolicyMet


def plugin_met(policy: Policy, on: Collection[str], headers: Mapping[str, str]) -> PolicyMet | None:
    """The plugin's part in the request; None where the route's filters `on` do not hold it."""
    match policy:
        case IpRestriction() if ip_restriction.FILTER in on:
            parts = [f"not from {', '.join(policy.deny)}"] if policy.deny else []
            parts += [f"only from {', '.join(policy.allow)}"] if policy.allow else []
            says = f"{' and '.join(parts)}; else {policy.status}"
            return PolicyMet(kind="ip-restriction", says=says, origin=policy.origin)
        case Termination() if request_termination.FILTER in on:
            return _termination(policy, headers)
        case _:
            return None


def _termination(policy: Termination, headers: Mapping[str, str]) -> PolicyMet:
    kind, says = "request-termination", f"the gateway answers {policy.status} by itself"
    if policy.trigger:
        says += f" where there is a header or query parameter {policy.trigger}"
        if policy.trigger not in headers and policy.trigger not in parameters(headers[":path"]):
            return PolicyMet(kind=kind, says=f"{says}; there is none", origin=policy.origin)
    return PolicyMet(kind=kind, says=says, origin=policy.origin, refuses=policy.status)
