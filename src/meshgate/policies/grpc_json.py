"""JSON for services that speak gRPC, with Envoy's `grpc_json_transcoder`; Kong's `grpc-gateway`."""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.http.grpc_json_transcoder.v3 import transcoder_pb2 as pb
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2

from meshgate.model.policies.grpc import ProtoDescriptor, Transcoding, described
from meshgate.model.policy import GrpcGateway, Policy
from meshgate.policies.denial import denial_filter, having, refusals, strikes
from meshgate.policies.packing import header, http_filter, pack, uint32
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import grpc_error_reply, text_reply

FILTER = "envoy.filters.http.grpc_json_transcoder"
STATUS_FILTER = "meshgate.grpc_json_status"
HEADERS_FILTER, PREFLIGHT_FILTER = "meshgate.grpc_gateway_headers", "meshgate.grpc_gateway_preflight"
REASON = "grpc-gateway-preflight"

MAX_MESSAGE_BYTES = 4 << 20
"""Of one message, and of all of a body that is one message; gRPC's own default for what is received."""

_STATUS = """
function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get(":status") == "501" then headers:replace(":status", "500") end
end
"""
"""Kong answers 500 for UNIMPLEMENTED, Envoy 501; of all others they think alike. The gRPC status
itself is no longer in the headers when Envoy has made JSON of it (1.40)."""

_FAILURE = "grpc_json_transcode_failure"
"""Part of Envoy 1.40's reason where a request cannot be made gRPC, or an answer JSON."""
_INVALID_ARGUMENT = 3


def gateway_filters(policies: tuple[GrpcGateway, ...]) -> tuple[hcm.HttpFilter, ...]:
    """What Kong does besides; off where no route asks for it."""
    if not policies:
        return ()
    return (
        http_filter(HEADERS_FILTER, header_mutation_pb2.HeaderMutation(), disabled=True),
        denial_filter(PREFLIGHT_FILTER),
    )


def gateway_parts(policy: GrpcGateway) -> RouteParts:
    """Every answer may be read by any browser."""
    told = header_mutation_pb2.HeaderMutationPerRoute()
    told.mutations.response_mutations.add(append=header("Access-Control-Allow-Origin", "*"))
    options = route_pb.HeaderMatcher(name=":method")
    options.string_match.exact = "OPTIONS"
    preflight = refusals({REASON: strikes(having(options))})
    return RouteParts(filters={HEADERS_FILTER: pack(told), PREFLIGHT_FILTER: preflight})


def gateway_replies(policies: tuple[GrpcGateway, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong answers OPTIONS by itself."""
    if not policies:
        return ()
    mapper = text_reply(REASON, 200, "OK", "application/json")
    mapper.headers_to_add.append(header("Access-Control-Allow-Methods", "GET,POST,PATCH,DELETE"))
    mapper.headers_to_add.append(header("Access-Control-Allow-Headers", "content-type"))
    return (mapper,)


def transcoder_filters(policies: tuple[Policy, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, without a service of its own, and what gives its answers Kong's status."""
    if not any(described((policy,)) for policy in policies):
        return ()
    nothing = pb.GrpcJsonTranscoder(proto_descriptor_bin=b"")
    return (
        http_filter(STATUS_FILTER, lua_pb2.Lua(), disabled=True),
        http_filter(FILTER, nothing, disabled=True),
    )


def transcoder_parts(policies: tuple[Policy, ...], descriptors: Mapping[str, ProtoDescriptor]) -> RouteParts:
    """A route's services; nothing where their description cannot be had (such a route is closed)."""
    how = described(policies)
    descriptor = descriptors.get(how.key) if how is not None else None
    if how is None or descriptor is None:
        return RouteParts()
    code = lua_pb2.LuaPerRoute(source_code=base_pb2.DataSource(inline_string=_STATUS))
    filters: dict[str, any_pb2.Any] = {STATUS_FILTER: pack(code), FILTER: pack(transcoder(how, descriptor))}
    return RouteParts(filters=filters, own_path=True)


def idle_parts() -> any_pb2.Any:
    """On, without a service: everything passes as it is."""
    return pack(pb.GrpcJsonTranscoder(proto_descriptor_bin=b""))


def transcoder(how: Transcoding, descriptor: ProtoDescriptor) -> pb.GrpcJsonTranscoder:
    """Envoy's settings; what no method takes is refused and never passed on as it is."""
    config = pb.GrpcJsonTranscoder(
        proto_descriptor_bin=descriptor.content,
        services=descriptor.services,
        match_incoming_request_route=True,
        auto_mapping=how.every_method,
        ignore_unknown_query_parameters=not how.refuse_unknown_query,
        convert_grpc_status=True,
        max_request_body_size=uint32(MAX_MESSAGE_BYTES),
        max_response_body_size=uint32(MAX_MESSAGE_BYTES),
    )
    config.print_options.always_print_primitive_fields = how.print_defaults
    config.print_options.always_print_enums_as_ints = how.enums_as_numbers
    config.print_options.preserve_proto_field_names = not how.json_names
    config.print_options.stream_newline_delimited = how.newline_delimited
    config.print_options.stream_sse_style_delimited = how.server_sent_events
    config.request_validation_options.reject_unknown_method = True
    config.request_validation_options.reject_unknown_query_parameters = how.refuse_unknown_query
    return config


def transcoder_replies(policies: tuple[Policy, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """What no method takes, and what is no JSON: 400 as in Kong, in the form of a service's own errors."""
    if not any(described((policy,)) for policy in policies):
        return ()
    return (grpc_error_reply(_FAILURE, (400, 404), 400, _INVALID_ARGUMENT),)
