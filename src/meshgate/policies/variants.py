"""Plugins for one consumer: when it is known who asks, the route is chosen once more.

A route with such plugins has variants, each a route of its own that only requests with its
name in a header meet. The header is set by a program of ours behind all authentication, for
consumers who have a variant; a client's copy is removed before anything reads it. Envoy 1.40
decides at the first choice which of a listener's filters a request meets, so the route and its
variants switch on the same ones, with a configuration that does nothing where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2

from meshgate.model.policy import ResponseTransformer
from meshgate.model.route import Rule
from meshgate.policies import (
    buffering,
    grpc_json,
    late,
    proxy_cache,
    request_size,
    request_termination,
    response_rate_limit,
    route_logs,
    scripts,
    traces,
    transformers,
)
from meshgate.policies.consumer_headers import VARIANT
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.packing import switched_on
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.consumer_variant"
SUFFIX = "@consumers"
"""What a variant's name has behind its rule's."""


def variant_name(rule: Rule, number: int) -> str:
    """Names a variant; unique in its host, as rules are."""
    return f"{rule.name}{SUFFIX}-{number}"


class Chooser:
    """The entry of the chain that chooses once more."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The program, where any route has variants."""
        if not edge.varies:
            return ()
        # Once for all routes, which know classes alone: a route does not grow with its consumers.
        entries = "".join(f'["{consumer}"]="{name}",' for consumer, name in sorted(edge.classes.items()))
        table = f"local classes = {{{entries}}}\n"
        return (scripts.script_filter(FILTER, "json", "guard", "consumer_variant", before=table),)

    def route(self, policies: tuple[object, ...], edge: EdgePolicies) -> RouteParts:
        """Nothing: what a route needs depends on all of its variants, see `with_variants`."""
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """What the program answers where it fails."""
        return scripts.replies() if edge.varies else ()


class LateAnswers:
    """What changes answers on routes that have variants."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The filters, where any route has variants and changes answers."""
        return transformers.late_response_filters(edge.of(ResponseTransformer)) if edge.varies else ()

    def route(self, policies: tuple[object, ...], edge: EdgePolicies) -> RouteParts:
        """Nothing: see `with_variants`."""
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """None."""
        return ()


def with_variants(
    rule: Rule, base: RouteParts, others: list[RouteParts]
) -> tuple[RouteParts, list[RouteParts]]:
    """The parts of a rule and of its variants, made to switch on the same filters."""
    named = {variant_name(rule, n): transformers.late(parts) for n, parts in enumerate(others)}
    base, moved = late.behind_the_choice(transformers.late(base), named)
    others = list(moved.values())
    names = {name for parts in (base, *others) for name in parts.filters}
    limit = max(parts.body_limit for parts in (base, *others))
    table = {
        members.name: variant_name(rule, number)
        for number, variant in enumerate(rule.variants)
        for members in variant.classes
    }
    chooser = RouteParts(filters={FILTER: scripts.script_data(table)}, body_limit=limit)
    after = RouteParts(remove_request_headers=(VARIANT,), body_limit=limit)
    return (
        RouteParts.merge((_filled(base, names), chooser)),
        [RouteParts.merge((_filled(parts, names), after)) for parts in others],
    )


def _filled(parts: RouteParts, names: set[str]) -> RouteParts:
    idle = {name: _idle(name) for name in sorted(names - set(parts.filters))}
    return RouteParts.merge((RouteParts(filters=idle), parts))


def _idle(name: str) -> any_pb2.Any:
    """Switches a filter on without anything to do."""
    return _IDLE.get(name) or switched_on()


_IDLE: Mapping[str, any_pb2.Any] = {
    request_size.COUNTING_FILTER: request_size.idle_parts(),
    proxy_cache.FILTER: proxy_cache.idle_parts(),
    response_rate_limit.FILTER: response_rate_limit.idle_parts(),
    grpc_json.FILTER: grpc_json.idle_parts(),
    **{
        name: scripts.script_data({})
        for name in (
            transformers.REQUEST_SCRIPT,
            transformers.RESPONSE_SCRIPT,
            transformers.LATE_RESPONSE_SCRIPT,
            request_termination.ECHO_FILTER,
            route_logs.FILTER,
            traces.FILTER,
            traces.LATE_FILTER,
            buffering.FILTER,
        )
    },
}
"""Filters that do something by themselves where a route only switches them on."""
