"""Kong's `grpc-web` with Envoy's `grpc_web`; requests that are no gRPC-Web pass as they are."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import GrpcWeb
from meshgate.policies.denial import denial_filter, having, refusals, strikes
from meshgate.policies.packing import header, http_filter, pack, switched_on
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import text_reply

FILTER = "envoy.filters.http.grpc_web"
HEADERS_FILTER, PREFLIGHT_FILTER = "meshgate.grpc_web_headers", "meshgate.grpc_web_preflight"
REASON = "grpc-web-preflight"


def listener_filters(policies: tuple[GrpcWeb, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, and what Kong does besides; off where no route asks for it."""
    if not policies:
        return ()
    return (
        http_filter(HEADERS_FILTER, header_mutation_pb2.HeaderMutation(), disabled=True),
        denial_filter(PREFLIGHT_FILTER),
        http_filter(FILTER, grpc_web_pb2.GrpcWeb(), disabled=True),
    )


def route_parts(policy: GrpcWeb) -> RouteParts:
    """Switches the three on."""
    told = header_mutation_pb2.HeaderMutationPerRoute()
    told.mutations.response_mutations.add(append=header("Access-Control-Allow-Origin", policy.allow_origin))
    options = route_pb.HeaderMatcher(name=":method")
    options.string_match.exact = "OPTIONS"
    preflight = refusals({REASON: strikes(having(options))})
    return RouteParts(
        filters={FILTER: switched_on(), HEADERS_FILTER: pack(told), PREFLIGHT_FILTER: preflight}
    )


def replies(policies: tuple[GrpcWeb, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong answers OPTIONS by itself."""
    if not policies:
        return ()
    mapper = text_reply(REASON, 200, "OK", "application/grpc-web-text+proto")
    mapper.headers_to_add.append(header("Access-Control-Allow-Methods", "POST"))
    allowed = "content-type,x-grpc-web,x-user-agent"
    mapper.headers_to_add.append(header("Access-Control-Allow-Headers", allowed))
    return (mapper,)
