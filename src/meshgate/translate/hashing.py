"""What a request's hash is made of, by which ring hashes and Maglev choose an endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.destination import ConsistentHash
from meshgate.model.route import PathKind, RequestMatch
from meshgate.policies.captures import captured
from meshgate.policies.packing import duration

_ORIGINAL_PATH = "x-envoy-original-path"
"""Where Envoy (1.40) keeps the path that it has rewritten before it hashes."""


def hash_policies(rule: ConsistentHash | None, match: RequestMatch) -> Iterator[pb.RouteAction.HashPolicy]:
    """The keys in the order in which they are looked for: the first that a request has is enough."""
    while rule is not None:
        for policy in _capture(rule.capture, match) if rule.capture else (_policy(rule),):
            policy.terminal = policy.terminal or rule.fallback is not None
            yield policy
        rule = rule.fallback


def _capture(name: str, match: RequestMatch) -> Iterator[pb.RouteAction.HashPolicy]:
    """A group of the route's regular expression; nothing where the route has no such group."""
    for path in match.paths:
        found = captured(path.value, name) if path.kind is PathKind.REGEX else None
        if found is None:
            continue
        for header in (_ORIGINAL_PATH, ":path"):
            policy = pb.RouteAction.HashPolicy(terminal=header == _ORIGINAL_PATH)
            policy.header.header_name = header
            policy.header.regex_rewrite.pattern.google_re2.SetInParent()
            policy.header.regex_rewrite.pattern.regex, policy.header.regex_rewrite.substitution = found
            yield policy
        return


def _policy(rule: ConsistentHash) -> pb.RouteAction.HashPolicy:
    policy = pb.RouteAction.HashPolicy()
    if rule.header:
        policy.header.header_name = rule.header
    elif rule.cookie:
        policy.cookie.name = rule.cookie
        policy.cookie.path = rule.cookie_path
        if rule.cookie_ttl_ms is not None:
            policy.cookie.ttl.CopyFrom(duration(rule.cookie_ttl_ms))
        for name, value in rule.cookie_attributes:
            policy.cookie.attributes.add(name=name, value=value)
    elif rule.source_ip:
        policy.connection_properties.source_ip = True
    elif rule.path:
        # Envoy knows the path with its query: what stands behind `?` is taken off.
        policy.header.header_name = ":path"
        policy.header.regex_rewrite.pattern.google_re2.SetInParent()
        policy.header.regex_rewrite.pattern.regex = r"\?.*$"
    else:
        policy.query_parameter.name = rule.query_parameter
    return policy
