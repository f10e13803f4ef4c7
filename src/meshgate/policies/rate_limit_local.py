"""Kong's `rate-limiting` with `policy: local`: Envoy's own token buckets, one per consumer.

Each window (second ... year) is a filter of its own, so that each can report what is left
of it. All rules of a window share the filter and differ by their first descriptor entry;
so rules that were made of one edge rule share one bucket. Differences from Kong that
Envoy imposes (docs/rate-limiting.md): a window starts with the bucket, not with the
calendar, and a change of the rules of a window starts its buckets anew.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.v3 import token_bucket_pb2
from google.protobuf import any_pb2

from meshgate.model.policy import LimitBy, LimitStore, RateLimit
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.packing import boolean, duration, header, http_filter, pack, switched_on, uint32
from meshgate.policies.parts import RouteParts

SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "month": 30 * 86400,
    "year": 365 * 86400,
}
STAGES = {window: stage for stage, window in enumerate(SECONDS, start=1)}
"""Envoy's stage number ties a route's descriptors to the filter of their window."""

_REFUSED = "x-meshgate-limit-refused"
"""On refusals only: becomes Retry-After."""
_LIMIT, _REMAINING, _RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
MAX_IDENTITIES = 10_000
"""Buckets kept per rule; the least recently used one is given up for a newcomer."""


def filter_name(window: str) -> str:
    """The name of the filter of a window."""
    return f"meshgate.local_rate_limit.{window}"


def _header_filter_name(window: str) -> str:
    return f"meshgate.rate_limit_headers.{window}"


def _local(policies: tuple[RateLimit, ...]) -> dict[str, list[tuple[RateLimit, int]]]:
    windows: dict[str, list[tuple[RateLimit, int]]] = {window: [] for window in SECONDS}
    for policy in policies:
        if policy.store is LimitStore.LOCAL:
            for window, limit in policy.limits.windows():
                windows[window].append((policy, limit))
    return {window: rules for window, rules in windows.items() if rules}


def listener_filters(policies: tuple[RateLimit, ...]) -> tuple[hcm.HttpFilter, ...]:
    """For each window that any rule limits: its limit, and around it what renames its headers.

    The shortest window is innermost, so that the general RateLimit-* headers are its.
    """
    found: list[hcm.HttpFilter] = []
    for window, rules in reversed(_local(policies).items()):
        renames = http_filter(
            _header_filter_name(window), header_mutation_pb2.HeaderMutation(), disabled=True
        )
        found += [renames, _window_filter(window, rules)]
    return tuple(found)


def route_parts(policy: RateLimit) -> RouteParts:
    """The descriptors of a route: the rule, and whoever is limited."""
    if policy.store is not LimitStore.LOCAL:
        return RouteParts()
    limits: list[route_pb.RateLimit] = []
    filters: dict[str, any_pb2.Any] = {}
    for window, _ in policy.limits.windows():
        limits.extend(_descriptors(policy, STAGES[window]))
        filters[filter_name(window)] = switched_on()
        shown = not policy.hide_client_headers
        filters[_header_filter_name(window)] = pack(_kong_headers(window) if shown else _no_headers())
    return RouteParts(rate_limits=tuple(limits), filters=filters, metadata=reply_metadata(policy))


def reply_metadata(policy: RateLimit) -> dict[str, str]:
    """What the refusal says, for the gateway's local replies."""
    return {"limit_message": policy.error_message, "limit_status": str(policy.error_code)}


def _descriptors(policy: RateLimit, stage: int) -> list[route_pb.RateLimit]:
    action = route_pb.RateLimit.Action
    rule = action(generic_key=action.GenericKey(descriptor_key="rule", descriptor_value=policy.rule_id))
    by_address = action(remote_address=action.RemoteAddress())

    def by_header(name: str, key: str) -> list[route_pb.RateLimit]:
        """By a header where it is there, else by the client's address (Kong's fallback)."""
        present = action(request_headers=action.RequestHeaders(header_name=name, descriptor_key=key))
        absent = action(
            header_value_match=action.HeaderValueMatch(
                descriptor_value="none",
                expect_match=boolean(False),
                headers=[route_pb.HeaderMatcher(name=name, present_match=True)],
            )
        )
        return [
            route_pb.RateLimit(stage=uint32(stage), actions=[rule, present]),
            route_pb.RateLimit(stage=uint32(stage), actions=[rule, absent, by_address]),
        ]

    match policy.limit_by:
        case LimitBy.CONSUMER:
            return by_header(CONSUMER_ID, "consumer")
        case LimitBy.CREDENTIAL:
            return by_header(CREDENTIAL_ID, "credential")
        case LimitBy.HEADER:
            return by_header(policy.header_name, "header")
        case LimitBy.IP:
            return [route_pb.RateLimit(stage=uint32(stage), actions=[rule, by_address])]
        case LimitBy.SERVICE:
            return [route_pb.RateLimit(stage=uint32(stage), actions=[rule])]
        case LimitBy.PATH:
            exact = action(
                header_value_match=action.HeaderValueMatch(
                    descriptor_value="path",
                    headers=[_path_is(policy.path)],
                )
            )
            other = action(
                header_value_match=action.HeaderValueMatch(
                    descriptor_value="none", expect_match=boolean(False), headers=[_path_is(policy.path)]
                )
            )
            return [
                route_pb.RateLimit(stage=uint32(stage), actions=[rule, exact]),
                route_pb.RateLimit(stage=uint32(stage), actions=[rule, other, by_address]),
            ]


def _path_is(path: str) -> route_pb.HeaderMatcher:
    matcher = route_pb.HeaderMatcher(name=":path")
    matcher.string_match.safe_regex.regex = path_pattern(path)
    return matcher


def path_pattern(path: str) -> str:
    """The path with any query, as RE2."""
    return _quote(path) + r"(\?.*)?"


def _quote(text: str) -> str:
    return "".join(c if c.isalnum() or c in "/_-" else f"\\{c}" for c in text)


def _window_filter(window: str, rules: list[tuple[RateLimit, int]]) -> hcm.HttpFilter:
    full = base_pb2.RuntimeFractionalPercent()
    full.default_value.numerator = 100
    config = pb.LocalRateLimit(
        stat_prefix=f"local_rate_limit_{window}",
        stage=STAGES[window],
        # The bucket for requests without a descriptor: never empty, for only rules limit.
        token_bucket=_bucket(2**31, 1),
        always_consume_default_token_bucket=boolean(False),
        filter_enabled=full,
        filter_enforced=full,
        enable_x_ratelimit_headers=ratelimit_pb2.DRAFT_VERSION_03,
        max_dynamic_descriptors=uint32(MAX_IDENTITIES),
    )
    config.response_headers_to_add.append(header(_REFUSED, "yes"))
    for policy, limit in rules:
        config.descriptors.extend(_buckets(policy, limit, window))
    # On other routes it would cost time, and report the bucket that is none.
    return http_filter(filter_name(window), config, disabled=True)


def _buckets(policy: RateLimit, limit: int, window: str) -> list[ratelimit_pb2.LocalRateLimitDescriptor]:
    """The bucket of everyone (an entry without a value stands for each value), and exceptions."""
    bucket = _bucket(limit, SECONDS[window])

    def descriptor(*entries: tuple[str, str]) -> ratelimit_pb2.LocalRateLimitDescriptor:
        found = ratelimit_pb2.LocalRateLimitDescriptor(token_bucket=bucket)
        found.entries.add(key="rule", value=policy.rule_id)
        for key, value in entries:
            found.entries.add(key=key, value=value)
        return found

    by_address = descriptor(("header_match", "none"), ("remote_address", ""))
    match policy.limit_by:
        case LimitBy.CONSUMER:
            everyone = [descriptor(("consumer", "")), by_address]
            for exception in policy.consumer_limits:
                for name, own in exception.limits.windows():
                    if name == window:
                        special = descriptor(("consumer", exception.consumer_id))
                        special.token_bucket.CopyFrom(_bucket(own, SECONDS[window]))
                        everyone.insert(0, special)
            return everyone
        case LimitBy.CREDENTIAL:
            return [descriptor(("credential", "")), by_address]
        case LimitBy.HEADER:
            return [descriptor(("header", "")), by_address]
        case LimitBy.IP:
            return [descriptor(("remote_address", ""))]
        case LimitBy.SERVICE:
            return [descriptor()]
        case LimitBy.PATH:
            return [descriptor(("header_match", "path")), by_address]


def _bucket(tokens: int, seconds: int) -> token_bucket_pb2.TokenBucket:
    return token_bucket_pb2.TokenBucket(
        max_tokens=tokens, tokens_per_fill=uint32(tokens), fill_interval=duration(seconds * 1000)
    )


def _kong_headers(window: str) -> header_mutation_pb2.HeaderMutationPerRoute:
    config = header_mutation_pb2.HeaderMutationPerRoute()
    add = base_pb2.HeaderValueOption.ADD_IF_ABSENT
    title = window.capitalize()
    for name, source in (
        (f"X-RateLimit-Limit-{title}", _LIMIT),
        (f"X-RateLimit-Remaining-{title}", _REMAINING),
        ("RateLimit-Limit", _LIMIT),
        ("RateLimit-Remaining", _REMAINING),
        ("RateLimit-Reset", _RESET),
    ):
        config.mutations.response_mutations.add(append=header(name, f"%RESP({source})%", add))
    replace = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS
    config.mutations.response_mutations.add(append=header(_REFUSED, f"%RESP({_RESET})%", replace))
    config.mutations.response_mutations.add(append=header("Retry-After", f"%RESP({_REFUSED})%", add))
    config.mutations.response_mutations.MergeFrom(_no_headers().mutations.response_mutations)
    return config


def _no_headers() -> header_mutation_pb2.HeaderMutationPerRoute:
    """Takes away Envoy's own."""
    config = header_mutation_pb2.HeaderMutationPerRoute()
    for source in (_LIMIT, _REMAINING, _RESET, _REFUSED):
        config.mutations.response_mutations.add(remove=source)
    return config
