"""Cross-origin requests as a VirtualService rules them (Kong's are in `policies.cors`).

The filter is in every listener and does nothing on routes without a policy, so that a rule
that gets one changes a route and never a listener.
"""

from __future__ import annotations

from envoy.extensions.filters.http.cors.v3 import cors_pb2

from meshgate.model.route import Cors
from meshgate.policies.cors import FILTER, HEADERS_FILTER, cors_filter, echo
from meshgate.policies.packing import boolean
from meshgate.translate.match import string_match

__all__ = ["FILTER", "HEADERS_FILTER", "cors_filter", "cors_policy", "echo"]


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


def cors_policy(rule: Cors, *, echoing: bool = False) -> cors_pb2.CorsPolicy:
    """The rule for one route; preflights of other origins go on to the service, as Envoy does by itself.

    With credentials a browser takes no `*`: unless it is replaced (`echoing`), all methods are named.
    """
    methods, exposed = rule.allow_methods, rule.expose_headers
    if rule.allow_credentials:
        exposed = tuple(name for name in exposed if name != "*")
        methods = _METHODS if "*" in methods and not echoing else methods
    policy = cors_pb2.CorsPolicy(
        allow_origin_string_match=[string_match(origin) for origin in rule.allow_origins],
        allow_methods=",".join(methods),
        allow_headers=",".join(rule.allow_headers),
        expose_headers=",".join(exposed),
        max_age="" if rule.max_age_s is None else str(rule.max_age_s),
    )
    if rule.allow_credentials is not None:
        policy.allow_credentials.CopyFrom(boolean(rule.allow_credentials))
    if not rule.forward_unmatched:
        policy.forward_not_matching_preflights.CopyFrom(boolean(False))
    return policy
