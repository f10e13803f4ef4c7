"""Kong's `cors`: Envoy's `cors` answers preflights, header mutations around it write Kong's answer.

Envoy names the origin that asks; where Kong says `*` or one fixed origin to everybody, the
mutation puts that in its place. The filter itself stands before authentication, because
browsers send preflights without credentials (Kong's priority 2000).
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import string_pb2
from google.protobuf import any_pb2

from meshgate.model.policy import CrossOrigin
from meshgate.policies.packing import boolean, header, http_filter, pack
from meshgate.policies.parts import RouteParts

FILTER = "envoy.filters.http.cors"
HEADERS_FILTER = "meshgate.cors_headers"

_ORIGIN = "access-control-allow-origin"
_ALLOWED_HEADERS = "access-control-allow-headers"
_ALLOWED_METHODS = "access-control-allow-methods"
_CREDENTIALS = "access-control-allow-credentials"
_EXPOSED = "access-control-expose-headers"

_ALWAYS = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_CHANGE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS
_FILL = base_pb2.HeaderValueOption.ADD_IF_ABSENT
_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


def cors_filter() -> hcm.HttpFilter:
    """Envoy's filter; does nothing on routes without a policy."""
    return http_filter(FILTER, cors_pb2.Cors())


def listener_filters(
    policies: tuple[CrossOrigin, ...], *, echoes: bool = False
) -> tuple[hcm.HttpFilter, ...]:
    """The mutations, where any route has the plugin or echoes; must stand outside of `cors_filter`."""
    if not policies and not echoes:
        return ()
    return (http_filter(HEADERS_FILTER, header_mutation_pb2.HeaderMutation(), disabled=True),)


def echo() -> any_pb2.Any:
    """For a route whose rule is about cross-origin requests: `*` becomes what the preflight asks for.

    Where it asks for nothing, nothing is left of the header but its name.
    """
    config = header_mutation_pb2.HeaderMutationPerRoute()
    for name, asked in (
        (_ALLOWED_HEADERS, "access-control-request-headers"),
        (_ALLOWED_METHODS, "access-control-request-method"),
    ):
        told = header(name, f"%REQ({asked})%", _CHANGE)
        told.keep_empty_value = True
        config.mutations.response_mutations.add(append=told)
    return pack(config)


def route_parts(policy: CrossOrigin) -> RouteParts:
    """The route's policy; without Envoy's filter where preflights are the service's to answer."""
    filters: dict[str, any_pb2.Any] = {HEADERS_FILTER: pack(_mutations(policy))}
    if not policy.preflight_continue:
        filters[FILTER] = pack(_policy(policy))
    return RouteParts(filters=filters)


def _policy(policy: CrossOrigin) -> cors_pb2.CorsPolicy:
    everybody = policy.any_origin or policy.fixed_origin
    config = cors_pb2.CorsPolicy(
        allow_methods=",".join(policy.methods),
        allow_headers=",".join(policy.headers),
        expose_headers=",".join(policy.exposed_headers),
        max_age="" if policy.max_age_s is None else str(policy.max_age_s),
        allow_credentials=boolean(policy.credentials),
        allow_private_network_access=boolean(policy.private_network),
        forward_not_matching_preflights=boolean(False),
    )
    for pattern in (".*",) if everybody else policy.origins:
        matcher = string_pb2.StringMatcher()
        matcher.safe_regex.regex = pattern
        config.allow_origin_string_match.append(matcher)
    return config


def _mutations(policy: CrossOrigin) -> header_mutation_pb2.HeaderMutationPerRoute:
    config = header_mutation_pb2.HeaderMutationPerRoute()
    answer = config.mutations.response_mutations
    absent_too = policy.allow_origin_absent
    if policy.any_origin and policy.credentials:
        # `*` is worth nothing to requests with credentials, so those are told their own origin.
        if policy.preflight_continue:
            answer.add(append=header(_ORIGIN, "%REQ(origin)%"))
        if absent_too:
            answer.add(append=header(_ORIGIN, "*", _FILL))
    elif policy.any_origin or policy.fixed_origin:
        told = policy.fixed_origin or "*"
        always = absent_too or policy.preflight_continue
        answer.add(append=header(_ORIGIN, told, _ALWAYS if always else _CHANGE))
    if policy.credentials and (policy.preflight_continue or (policy.fixed_origin and absent_too)):
        answer.add(append=header(_CREDENTIALS, "true"))
    if policy.exposed_headers and policy.preflight_continue:
        answer.add(append=header(_EXPOSED, ",".join(policy.exposed_headers)))
    if not policy.headers and not policy.preflight_continue:
        answer.add(append=header(_ALLOWED_HEADERS, "%REQ(access-control-request-headers)%"))
    if policy.credentials or not policy.any_origin:
        answer.add(append=header("vary", "Origin", _APPEND))
    return config
