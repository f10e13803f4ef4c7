"""Kong's `request-size-limiting`: by Content-Length before the body comes, else by counting.

Only a body without a declared length is held back until it is whole; the others flow, for
HTTP itself holds them to what they declare. Kong's 417 for `Expect: 100-continue` is a 413
here: Envoy has taken that header away when its filters run.
"""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.buffer.v3 import buffer_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf import any_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.policy import RequestSize
from meshgate.policies.denial import denial_filter, having, neither, present, refusals, strikes
from meshgate.policies.packing import extension, http_filter, pack, uint32, xds_extension
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import error_reply, route_error_reply

FILTER, COUNTING_FILTER = "meshgate.request_size", "meshgate.request_size.counted"
TOO_LARGE, NO_LENGTH = "size-too-large", "size-no-length"
_MARK = "size_limited"
_LENGTH = "content-length"


def listener_filters(policies: tuple[RequestSize, ...]) -> tuple[hcm.HttpFilter, ...]:
    """One filter for lengths that are declared, one for those that are not."""
    if not policies:
        return ()
    counting = extension_matcher_pb2.ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.composite", composite_pb2.Composite()),
        xds_matcher=_without_length(1),
    )
    return denial_filter(FILTER), http_filter(COUNTING_FILTER, counting, disabled=True)


def route_parts(policy: RequestSize) -> RouteParts:
    """The route's limit."""
    longer = route_pb.HeaderMatcher(name=_LENGTH)
    longer.range_match.start, longer.range_match.end = policy.max_body_bytes + 1, 2**63 - 1
    reasons = {TOO_LARGE: strikes(having(longer))}
    if policy.require_content_length:
        # Kong lets chunked bodies pass; Envoy's filters do not see that they are chunked.
        reasons[NO_LENGTH] = strikes(neither(having(present(_LENGTH))))
    counted = extension_matcher_pb2.ExtensionWithMatcherPerRoute(
        xds_matcher=_without_length(policy.max_body_bytes)
    )
    filters: dict[str, any_pb2.Any] = {FILTER: refusals(reasons), COUNTING_FILTER: pack(counted)}
    return RouteParts(filters=filters, metadata={_MARK: "yes"})


def idle_parts() -> any_pb2.Any:
    """Nothing is counted, where the filter is on for others' sake."""
    return pack(extension_matcher_pb2.ExtensionWithMatcherPerRoute(xds_matcher=_without_length(0)))


def replies(policies: tuple[RequestSize, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answers."""
    if not policies:
        return ()
    return (
        error_reply(NO_LENGTH, 411, "A valid Content-Length header is required"),
        error_reply(TOO_LARGE, 413, "Request size limit exceeded"),
        route_error_reply(_MARK, 413, "Request size limit exceeded"),
    )


def _without_length(limit: int) -> matcher_pb2.Matcher:
    """Where no length is declared: hold the body back, and end it beyond the limit; 0: nowhere."""
    hold = buffer_pb2.Buffer(max_request_bytes=uint32(limit or 1))
    matcher = matcher_pb2.Matcher()
    declared = matcher_pb2.Matcher.MatcherList.Predicate()
    declared.single_predicate.input.CopyFrom(
        xds_extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=_LENGTH))
    )
    digits = declared.single_predicate.value_match.safe_regex
    digits.google_re2.SetInParent()
    digits.regex = r"\d+"
    rule = matcher.matcher_list.matchers.add()
    if limit:
        rule.predicate.not_matcher.CopyFrom(declared)
    else:  # Envoy wants a rule: one that holds for no request
        both = rule.predicate.and_matcher.predicate
        both.append(declared)
        both.add().not_matcher.CopyFrom(declared)
    action = composite_pb2.ExecuteFilterAction(typed_config=extension("envoy.filters.http.buffer", hold))
    rule.on_match.action.CopyFrom(xds_extension("composite", action))
    return matcher
