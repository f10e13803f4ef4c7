"""What Kong's `jwt` refuses and `jwt_authn` does not: Envoy's `rbac` before it and behind it.

Envoy 1.40 reads a parameter of the query once, and a header that is there twice as one; it can demand `exp`
and not `nbf`.
"""

from __future__ import annotations

from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import metadata_pb2

from meshgate.model.policy import JwtAuth
from meshgate.policies import jwt
from meshgate.policies.denial import both, denial_filter, either, having, neither, refusals, strikes
from meshgate.policies.key_duplicates import query_parameter
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import refused_token_reply

DUPLICATES, NOT_BEFORE = "meshgate.jwt.duplicates", "meshgate.jwt.nbf"
TWICE, NO_NBF = "several-tokens", "no-nbf"


def duplicate_filters(policies: tuple[JwtAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route must have a token."""
    return (denial_filter(DUPLICATES),) if any(not p.anonymous for p in policies) else ()


def duplicate_parts(policy: JwtAuth) -> RouteParts:
    """Refuses a parameter that is there twice, and a header that brings two tokens."""
    if policy.anonymous:
        return RouteParts()
    found = [having(query_parameter(name, twice=True)) for name in policy.uri_param_names]
    found += [having(_several(name)) for name in policy.header_names]
    if not found:
        return RouteParts()
    return RouteParts(filters={DUPLICATES: refusals({TWICE: strikes(either(*found))})})


def duplicate_replies(policies: tuple[JwtAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer."""
    if all(p.anonymous for p in policies):
        return ()
    return (refused_token_reply(TWICE, '{"message":"Multiple tokens provided"}'),)


def not_before_filters(policies: tuple[JwtAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route demands `nbf`."""
    return (denial_filter(NOT_BEFORE),) if any(p.verify_nbf for p in policies) else ()


def not_before_parts(policy: JwtAuth) -> RouteParts:
    """Refuses a good token without `nbf`; where strangers may come in too, for it is no stranger's."""
    if not policy.verify_nbf:
        return RouteParts()
    lacks = both(_payload(), neither(_payload("nbf")))
    return RouteParts(filters={NOT_BEFORE: refusals({NO_NBF: strikes(lacks)})})


def not_before_replies(policies: tuple[JwtAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer."""
    if not any(p.verify_nbf for p in policies):
        return ()
    return (refused_token_reply(NO_NBF, '{"nbf":"must be a number"}'),)


def _payload(*claim: str) -> rbac_pb2.Permission:
    """Requests with a verified token, or one that has the claim."""
    matcher = metadata_pb2.MetadataMatcher(filter=jwt.FILTER)
    for key in (jwt.PAYLOAD, *claim):
        matcher.path.add(key=key)
    matcher.value.present_match = True
    return rbac_pb2.Permission(metadata=matcher)


def _several(name: str) -> route_pb.HeaderMatcher:
    matcher = route_pb.HeaderMatcher(name=name)
    matcher.string_match.safe_regex.regex = r"\s*[Bb]earer\s+[^,]*,.*"
    return matcher
