"""Kong's `protocols: https` on a route: what plain HTTP gets in place of the service.

Envoy writes X-Forwarded-Proto from the connection, whatever the client put there.
"""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import HttpsOnly
from meshgate.policies.denial import denial_filter, having, neither, refusals, strikes
from meshgate.policies.packing import header
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import route_says, text_reply

FILTER = "meshgate.https_only"
REASON = "https-only"
UPGRADE_REQUIRED = 426
_STATUS = "https_status"


def listener_filters(policies: tuple[HttpsOnly, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route wants it."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: HttpsOnly) -> RouteParts:
    """Refuses what did not come over TLS."""
    secure = route_pb.HeaderMatcher(name="x-forwarded-proto")
    secure.string_match.exact = "https"
    reasons = {REASON: strikes(neither(having(secure)))}
    return RouteParts(filters={FILTER: refusals(reasons)}, metadata={_STATUS: str(policy.status)})


def replies(policies: tuple[HttpsOnly, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer for each status in use."""
    found = []
    for status in sorted({p.status for p in policies}):
        body = '{"message":"Please use HTTPS protocol"}'
        mapper = text_reply(REASON, status, body, when=f"{route_says(_STATUS)} == '{status}'")
        if status != UPGRADE_REQUIRED:  # Envoy takes Kong's `Upgrade` header out of every answer
            mapper.headers_to_add.append(header("Location", "https://%REQ(:authority)%%REQ(:path)%"))
        found.append(mapper)
    return tuple(found)
