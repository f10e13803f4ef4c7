"""Cross-origin requests as a VirtualService rules them (Kong's are in `policies.cors`).

The filter is in every listener and does nothing on routes without a policy, so that a rule
that gets one changes a route and never a listener.
"""

from __future__ import annotations

from envoy.extensions.filters.http.cors.v3 import cors_pb2

from meshgate.model.route import Cors
from meshgate.policies.cors import FILTER, cors_filter
from meshgate.policies.packing import boolean
from meshgate.translate.match import string_match

__all__ = ["FILTER", "cors_filter", "cors_policy"]


def cors_policy(rule: Cors) -> cors_pb2.CorsPolicy:
    """The rule for one route; preflights of other origins go on to the service, as Envoy does by itself."""
    policy = cors_pb2.CorsPolicy(
        allow_origin_string_match=[string_match(origin) for origin in rule.allow_origins],
        allow_methods=",".join(rule.allow_methods),
        allow_headers=",".join(rule.allow_headers),
        expose_headers=",".join(rule.expose_headers),
        max_age="" if rule.max_age_s is None else str(rule.max_age_s),
    )
    if rule.allow_credentials is not None:
        policy.allow_credentials.CopyFrom(boolean(rule.allow_credentials))
    if not rule.forward_unmatched:
        policy.forward_not_matching_preflights.CopyFrom(boolean(False))
    return policy
