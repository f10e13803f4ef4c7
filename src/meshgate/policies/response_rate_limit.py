"""Kong's `response-ratelimiting`: our rate limit service is shown each request's and answer's headers.

Envoy asks it with `ext_proc`, on routes that have the plugin alone and without any body. Which rule it
is goes along as metadata of the call; what the service needs of the headers is all that is sent.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.ext_proc.v3 import ext_proc_pb2 as pb
from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import string_pb2
from envoy.type.v3 import http_status_pb2
from google.protobuf import any_pb2

from meshgate.model.policy import ResponseRateLimit
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.packing import boolean, duration, http_filter, pack
from meshgate.policies.parts import RouteParts
from meshgate.policies.rate_limit_service import CLUSTER, DEADLINE_MARGIN_MS
from meshgate.policies.replies import as_it_is_reply, said_reply

FILTER = "meshgate.response_rate_limit"
RULE = "x-meshgate-rule"
"""Metadata of the call: the rule's id."""
ADDRESS = "source.address"
"""Attribute of the request that goes along: the client's address and port."""
EXCEEDED = "response_limit_exceeded"
"""Details of the answer that takes the place of the service's; it has no body."""
METADATA = "response_limits"
"""Key of a route's metadata: it has the plugin."""


def listener_filters(policies: tuple[ResponseRateLimit, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, off until a route switches it on; none where no route has the plugin."""
    if not policies:
        return ()
    longest = max((p.redis.timeout_ms for p in policies if p.redis), default=0)
    mode = processing_mode_pb2.ProcessingMode
    config = pb.ExternalProcessor(
        processing_mode=mode(
            request_header_mode=mode.SEND,
            response_header_mode=mode.SEND,
            request_trailer_mode=mode.SKIP,
            response_trailer_mode=mode.SKIP,
        ),
        request_attributes=[ADDRESS],
        message_timeout=duration(longest + DEADLINE_MARGIN_MS),
        stat_prefix="response_rate_limit",
        status_on_error=http_status_pb2.HttpStatus(code=http_status_pb2.StatusCode.InternalServerError),
    )
    for name in sorted({CONSUMER_ID, CREDENTIAL_ID, *(p.header_name for p in policies)}):
        config.forward_rules.allowed_headers.patterns.append(string_pb2.StringMatcher(exact=name))
    config.grpc_service.envoy_grpc.cluster_name = CLUSTER
    return (http_filter(FILTER, config, disabled=True),)


def route_parts(policy: ResponseRateLimit) -> RouteParts:
    """Switches the filter on, with the rule's id."""
    per_route = pb.ExtProcPerRoute()
    overrides = per_route.overrides
    overrides.grpc_initial_metadata.append(base_pb2.HeaderValue(key=RULE, value=policy.rule_id))
    overrides.failure_mode_allow.CopyFrom(boolean(policy.fault_tolerant))
    return RouteParts(filters={FILTER: pack(per_route)}, metadata={METADATA: "on"})


def idle_parts() -> any_pb2.Any:
    """Switches the filter on without anything to do."""
    return pack(pb.ExtProcPerRoute(disabled=True))


def replies(policies: tuple[ResponseRateLimit, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's empty refusal, and its sentence where nobody counts."""
    if not policies:
        return ()
    return (
        as_it_is_reply(EXCEEDED),
        said_reply("ext_proc_error", METADATA, "An unexpected error occurred"),
    )
