"""Which variant of a route a request meets, once it is known who asks; see `policies.variants`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.consumer import Consumer
from meshgate.model.route import Rule
from meshgate.policies.variants import variant_name
from meshgate.simulate.verdict import PolicyMet


def variant_of(
    rule: Rule, route: pb.Route, host: pb.VirtualHost, consumers: Sequence[Consumer], met: Sequence[PolicyMet]
) -> tuple[pb.Route, Rule] | None:
    """The variant's route, and the rule as it is for the consumer; None where he has none."""
    names = [one.consumer for one in met if one.consumer]
    caller = next((c for c in consumers if names and names[-1] in (c.username, c.custom_id)), None)
    if caller is None:
        return None
    for number, variant in enumerate(rule.variants):
        if any(caller.id in members.consumers for members in variant.classes):
            name = route.name + variant_name(rule, number).removeprefix(rule.name)
            found = next((r for r in host.routes if r.name == name), None)
            return (found, replace(rule, policies=variant.policies)) if found is not None else None
    return None
