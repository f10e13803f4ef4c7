"""Kong's `rate-limiting` with `policy: quota`: Envoy is lent a part of the limit by our service (RLQS).

Envoy's `rate_limit_quota` is configured per route by a `composite` around it, for it takes no
configuration of routes itself (1.40); all of them share one stream and one set of buckets.
Who is limited is part of a bucket's name, which the service takes apart again
(`meshgate.ratelimit.quota_book`). What is left of a limit is nothing that Envoy tells.
"""

from __future__ import annotations

from collections.abc import Mapping

from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.rate_limit_quota.v3 import rate_limit_quota_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from envoy.type.v3 import http_status_pb2, ratelimit_strategy_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message
from xds.core.v3 import extension_pb2 as xds_extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.policy import LimitBy, LimitStore, RateLimit
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.packing import duration, extension, header, http_filter, pack, xds_extension
from meshgate.policies.parts import RouteParts
from meshgate.policies.rate_limit_local import path_pattern, reply_metadata
from meshgate.policies.rate_limit_service import CLUSTER, DOMAIN
from meshgate.policies.replies import limited_reply, route_says

FILTER = "meshgate.rate_limit_quota"
HEADERS = "meshgate.rate_limit_quota_headers"
_REPORTS_MS = 5_000
"""What Envoy 1.40 does whatever stands here."""
_FOR_GOOD_MS = 365 * 86_400_000
_TEXT = "[ -~]+"
"""What can be part of a bucket's name: a value with other bytes would break the whole report."""
_DETAILS = "rate_limited_by_quota"
_WINDOW = "limit_window"
"""Key of a route's metadata: its shortest window, where clients are told of limits."""
_TIME = "request.time"
_UNTIL_MIDNIGHT = f"86400 - {_TIME}.getHours() * 3600 - {_TIME}.getMinutes() * 60 - {_TIME}.getSeconds()"
_UNTIL_ITS_END = {
    "minute": f"60 - {_TIME}.getSeconds()",
    "hour": f"3600 - {_TIME}.getMinutes() * 60 - {_TIME}.getSeconds()",
    "day": _UNTIL_MIDNIGHT,
}
"""CEL: the seconds until a window begins anew, in UTC."""
_WITHOUT_LEASE = {
    True: ratelimit_strategy_pb2.RateLimitStrategy.ALLOW_ALL,
    False: ratelimit_strategy_pb2.RateLimitStrategy.DENY_ALL,
}
"""By `fault_tolerant`."""


def listener_filters(policies: tuple[RateLimit, ...]) -> tuple[hcm.HttpFilter, ...]:
    """An empty shell that routes fill, and what tells clients their limits; none without quotas."""
    quotas = [p for p in policies if p.store is LimitStore.QUOTA]
    if not quotas:
        return ()
    shell = extension_matcher_pb2.ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.composite", composite_pb2.Composite()),
        xds_matcher=matcher_pb2.Matcher(),
    )
    headers = header_mutation_pb2.HeaderMutation()
    shown = [http_filter(HEADERS, headers, disabled=True)] if any(map(_tells_limits, quotas)) else []
    return (*shown, http_filter(FILTER, shell, disabled=True))


def route_parts(policy: RateLimit) -> RouteParts:
    """The route's bucket for each identity, and the limits that clients are told."""
    if policy.store is not LimitStore.QUOTA:
        return RouteParts()
    config = pb.RateLimitQuotaFilterConfig(domain=DOMAIN, bucket_matchers=_buckets(policy))
    config.rlqs_server.envoy_grpc.cluster_name = CLUSTER
    action = composite_pb2.ExecuteFilterAction(
        typed_config=extension("envoy.filters.http.rate_limit_quota", config)
    )
    per_route = extension_matcher_pb2.ExtensionWithMatcherPerRoute()
    per_route.xds_matcher.on_no_match.action.CopyFrom(xds_extension("composite", action))
    filters: dict[str, any_pb2.Any] = {FILTER: pack(per_route)}
    if _tells_limits(policy):
        filters[HEADERS] = pack(_limit_headers(policy))
    shown = {} if policy.hide_client_headers else {_WINDOW: _shortest(policy)}
    return RouteParts(filters=filters, metadata=reply_metadata(policy) | shown)


def replies(policies: tuple[RateLimit, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer to who has no quota left."""
    quotas = [p for p in policies if p.store is LimitStore.QUOTA]
    found = []
    for code in sorted({p.error_code for p in quotas}):
        shown = {_shortest(p) for p in quotas if p.error_code == code and not p.hide_client_headers}
        for window in sorted(shown & _UNTIL_ITS_END.keys()):
            when = f"{route_says(_WINDOW)} == '{window}'"
            mapper = limited_reply(_DETAILS, code, when=when)
            ends = f"%CEL({_UNTIL_ITS_END[window]})%"
            for name, value in (
                ("RateLimit-Remaining", "0"),
                ("RateLimit-Reset", ends),
                ("Retry-After", ends),
            ):
                mapper.headers_to_add.append(header(name, value))
            found.append(mapper)
        found.append(limited_reply(_DETAILS, code))
    return tuple(found)


def _shortest(policy: RateLimit) -> str:
    """The window that begins anew first; whichever is used up, nothing passes before that."""
    return policy.limits.windows()[0][0]


def _tells_limits(policy: RateLimit) -> bool:
    """Not where consumers have limits of their own: then nothing here knows which hold."""
    return not policy.hide_client_headers and not policy.consumer_limits


def _limit_headers(policy: RateLimit) -> header_mutation_pb2.HeaderMutationPerRoute:
    config = header_mutation_pb2.HeaderMutationPerRoute()
    for window, limit in policy.limits.windows():
        name = f"X-RateLimit-Limit-{window.capitalize()}"
        config.mutations.response_mutations.add(append=header(name, str(limit)))
    return config


def _buckets(policy: RateLimit) -> matcher_pb2.Matcher:
    """All buckets of a rule; the consumer is part of the name where some have limits of their own."""
    if not policy.consumer_limits or policy.limit_by is LimitBy.CONSUMER:
        return _identities(policy, {})
    known = matcher_pb2.Matcher()
    entry = _when(known, CONSUMER_ID, _TEXT)
    entry.on_match.matcher.CopyFrom(_identities(policy, {"consumer": _header(CONSUMER_ID)}))
    known.on_no_match.matcher.CopyFrom(_identities(policy, {}))
    return known


def _identities(policy: RateLimit, more: Mapping[str, Message | str]) -> matcher_pb2.Matcher:
    """Kong's fallbacks: each way to be known, in turn, and the client's address last."""
    matcher = matcher_pb2.Matcher()
    by_address = _bucket(policy, {"address": network_inputs_pb2.SourceIPInput(), **more})

    def when(name: str, key: str, pattern: str = _TEXT) -> None:
        """By a request header, where it is like that."""
        named = policy.path if key == "path" else _header(name)
        entry = _when(matcher, name, pattern)
        entry.on_match.action.CopyFrom(_bucket(policy, {key: named, **more}))

    match policy.limit_by:
        case LimitBy.CONSUMER:
            when(CONSUMER_ID, "consumer")
            when(CREDENTIAL_ID, "credential")
        case LimitBy.CREDENTIAL:
            when(CREDENTIAL_ID, "credential")
        case LimitBy.HEADER:
            when(policy.header_name, "header")
        case LimitBy.PATH:
            when(":path", "path", path_pattern(policy.path))
        case LimitBy.SERVICE:
            by_address = _bucket(policy, {"service": policy.service_id or "-", **more})
        case LimitBy.IP:
            pass
    matcher.on_no_match.action.CopyFrom(by_address)
    return matcher


def _header(name: str) -> http_inputs_pb2.HttpRequestHeaderMatchInput:
    return http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name)


def _when(
    matcher: matcher_pb2.Matcher, name: str, pattern: str
) -> matcher_pb2.Matcher.MatcherList.FieldMatcher:
    """A case for requests whose header is like that."""
    entry = matcher.matcher_list.matchers.add()
    entry.predicate.single_predicate.input.CopyFrom(xds_extension("header", _header(name)))
    regex = entry.predicate.single_predicate.value_match.safe_regex
    regex.google_re2.SetInParent()
    regex.regex = pattern
    return entry


def _bucket(policy: RateLimit, names: Mapping[str, Message | str]) -> xds_extension_pb2.TypedExtensionConfig:
    """The settings of a bucket that is named by the rule and by these values, or what finds them."""
    settings = pb.RateLimitQuotaBucketSettings(reporting_interval=duration(_REPORTS_MS))
    builder = settings.bucket_id_builder.bucket_id_builder
    builder["rule"].string_value = policy.rule_id
    for key, value in names.items():
        if isinstance(value, str):
            builder[key].string_value = value
        else:
            builder[key].custom_value.CopyFrom(extension("value", value))
    without = _WITHOUT_LEASE[policy.fault_tolerant]
    settings.no_assignment_behavior.fallback_rate_limit.blanket_rule = without
    expired = settings.expired_assignment_behavior
    expired.fallback_rate_limit.blanket_rule = without
    expired.expired_assignment_behavior_timeout.CopyFrom(duration(_FOR_GOOD_MS))
    settings.deny_response_settings.http_status.code = http_status_pb2.StatusCode.TooManyRequests
    return xds_extension("quota", settings)
