"""Plugins that run before it is known who asks, for consumers who have them of their own.

A route has done what its own plugins say when its variant is chosen (see `variants`). So what a variant
says otherwise is done behind that choice, by filters that stand there once more.
"""

from __future__ import annotations

from dataclasses import replace

from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import http_inputs_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.policy import CorrelationId, GrpcWeb
from meshgate.policies import correlation_id, grpc_web, traces
from meshgate.policies.consumer_headers import VARIANT
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.packing import extension, http_filter, pack, xds_extension
from meshgate.policies.parts import RouteParts
from meshgate.policies.scripts import with_more_data

CORRELATION_FILTER = "meshgate.correlation_id.consumer"
GRPC_WEB_FILTER = "meshgate.grpc_web.consumer"
_AGAIN = {correlation_id.FILTER: CORRELATION_FILTER, traces.FILTER: traces.LATE_FILTER}


class LateRequests:
    """What carries the trace on and gives ids, behind the second choice of the route."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The filters, where any route has variants and such plugins."""
        if not edge.varies:
            return ()
        ids = correlation_id.listener_filters(edge.of(CorrelationId), CORRELATION_FILTER)
        return (*ids, *traces.program(edge.policies, traces.LATE_FILTER))

    def route(self, policies: tuple[object, ...], edge: EdgePolicies) -> RouteParts:
        """Nothing: what a route needs depends on all of its variants, see `behind_the_choice`."""
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """None."""
        return ()


class LateGrpcWeb:
    """`grpc_web` for consumers alone: a route cannot say of it more than that it is on (Envoy 1.40)."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """A shell that routes fill."""
        if not edge.varies or not edge.of(GrpcWeb):
            return ()
        shell = extension_matcher_pb2.ExtensionWithMatcher(
            extension_config=extension("envoy.filters.http.composite", composite_pb2.Composite()),
            xds_matcher=matcher_pb2.Matcher(),
        )
        return (http_filter(GRPC_WEB_FILTER, shell, disabled=True),)

    def route(self, policies: tuple[object, ...], edge: EdgePolicies) -> RouteParts:
        """Nothing, as above."""
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """None."""
        return ()


def behind_the_choice(
    base: RouteParts, others: dict[str, RouteParts]
) -> tuple[RouteParts, dict[str, RouteParts]]:
    """The parts of a rule, and of its variants by their names: what these have of their own is late."""
    moved = {name: _again(base, parts) for name, parts in others.items()}
    if traces.FILTER in base.filters and any(traces.LATE_FILTER in p.filters for p in moved.values()):
        kept = with_more_data(base.filters[traces.FILTER], {traces.KEPT: "yes"})
        base = replace(base, filters={**base.filters, traces.FILTER: kept})
    chosen = tuple(n for n, parts in moved.items() if grpc_web.FILTER in parts.filters)
    if chosen and grpc_web.FILTER not in base.filters:
        shell = RouteParts(filters={GRPC_WEB_FILTER: pack(_for_variants(chosen))})
        base = RouteParts.merge((base, shell))
        moved = {n: RouteParts.merge((_without(p, grpc_web.FILTER), shell)) for n, p in moved.items()}
    return base, moved


def _again(base: RouteParts, parts: RouteParts) -> RouteParts:
    filters = {
        name if base.filters.get(name) == config else _AGAIN.get(name, name): config
        for name, config in parts.filters.items()
    }
    return replace(parts, filters=filters)


def _without(parts: RouteParts, name: str) -> RouteParts:
    return replace(parts, filters={n: config for n, config in parts.filters.items() if n != name})


def _for_variants(names: tuple[str, ...]) -> extension_matcher_pb2.ExtensionWithMatcherPerRoute:
    """Envoy's filter for requests that meet one of them."""
    action = composite_pb2.ExecuteFilterAction(
        typed_config=extension(grpc_web.FILTER, grpc_web_pb2.GrpcWeb())
    )
    found = extension_matcher_pb2.ExtensionWithMatcherPerRoute()
    tree = found.xds_matcher.matcher_tree
    variant = http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=VARIANT)
    tree.input.CopyFrom(xds_extension("header", variant))
    for name in names:
        tree.exact_match_map.map[name].action.CopyFrom(xds_extension("composite", action))
    return found
