"""Kong's `anonymous`: who could not say who they are go on as one consumer that stands for them.

After all lookups a request that is still nobody's is
given the consumer's name, a lookup turns that into its headers, and what has no consumer then
(there is none of that name) is refused with 500, as in Kong.
"""

from __future__ import annotations

from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import http_inputs_pb2
from xds.core.v3 import extension_pb2 as core_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.consumer import Consumer
from meshgate.model.policy import Authentication
from meshgate.policies.consumer_headers import ANONYMOUS, CONSUMER_ID, CREDENTIAL_ID, anonymous_lookup
from meshgate.policies.denial import denial_filter, either, having, neither, present, refusals, strikes
from meshgate.policies.packing import extension, header, http_filter, pack, xds_extension
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import error_reply

FILTER, REQUIRED_FILTER = "meshgate.anonymous", "meshgate.anonymous.required"
REASON = "anonymous-missing"


def listener_filters(
    policies: tuple[Authentication, ...], consumers: tuple[Consumer, ...], *, native: bool = False
) -> tuple[hcm.HttpFilter, ...]:
    """Where any route lets strangers in: gives them a name, and looks that up."""
    names = {p.anonymous for p in policies if p.anonymous}
    if not names:
        return ()
    table = {name: c for c in reversed(consumers) for name in (c.username, c.id) if name in names}
    wrapped = extension_matcher_pb2.ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.composite", composite_pb2.Composite()),
        xds_matcher=_nobody("-"),
    )
    naming = http_filter(FILTER, wrapped, disabled=True)
    lookup = (anonymous_lookup(table, native=native),) if table else ()
    return (naming, *lookup, denial_filter(REQUIRED_FILTER))


def route_parts(policies: tuple[Authentication, ...]) -> RouteParts:
    """The name for strangers on this route; of several plugins the first in Kong's order says it."""
    name = next((p.anonymous for p in policies if p.anonymous), "")
    if not name:
        return RouteParts()
    naming = extension_matcher_pb2.ExtensionWithMatcherPerRoute(xds_matcher=_nobody(name))
    anybody = either(having(present(CONSUMER_ID)), having(present(CREDENTIAL_ID)))
    required = refusals({REASON: strikes(neither(anybody))})
    return RouteParts(filters={FILTER: pack(naming), REQUIRED_FILTER: required})


def replies(policies: tuple[Authentication, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer where the consumer is missing, without its name."""
    if not any(p.anonymous for p in policies):
        return ()
    return (error_reply(REASON, 500, "An unexpected error occurred"),)


def somebody() -> matcher_pb2.Matcher.MatcherList.Predicate:
    """Requests that have a consumer, or a credential that is good and no consumer's."""
    found = matcher_pb2.Matcher.MatcherList.Predicate()
    for name in (CONSUMER_ID, CREDENTIAL_ID):
        data = xds_extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name))
        found.or_matcher.predicate.append(holds_text(data))
    return found


def holds_text(data: core_pb2.TypedExtensionConfig) -> matcher_pb2.Matcher.MatcherList.Predicate:
    """Requests that have something other than nothing there."""
    found = matcher_pb2.Matcher.MatcherList.Predicate()
    found.single_predicate.input.CopyFrom(data)
    found.single_predicate.value_match.safe_regex.google_re2.SetInParent()
    found.single_predicate.value_match.safe_regex.regex = ".+"
    return found


def _nobody(name: str) -> matcher_pb2.Matcher:
    """Requests without a consumer get the name."""
    naming = header_mutation_pb2.HeaderMutation()
    naming.mutations.request_mutations.add(append=header(ANONYMOUS, name.replace("%", "%%")))
    action = composite_pb2.ExecuteFilterAction(
        typed_config=extension("envoy.filters.http.header_mutation", naming)
    )
    matcher = matcher_pb2.Matcher()
    rule = matcher.matcher_list.matchers.add()
    rule.predicate.not_matcher.CopyFrom(somebody())
    rule.on_match.action.CopyFrom(xds_extension("composite", action))
    return matcher
