"""Kong's `protocols: https` on a route: what plain HTTP gets in place of the service.

Envoy writes X-Forwarded-Proto from the connection, whatever the client put there.
"""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.http.header_to_metadata.v3 import header_to_metadata_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import HttpsOnly
from meshgate.policies.denial import denial_filter, having, neither, refusals, strikes
from meshgate.policies.packing import header, http_filter, switched_on
from meshgate.policies.parts import METADATA_NAMESPACE, RouteParts
from meshgate.policies.replies import route_says, text_reply

FILTER, HOST_FILTER = "meshgate.https_only", "meshgate.https_only.host"
REASON = "https-only"
UPGRADE_REQUIRED = 426
_STATUS = "https_status"
_HOST_KEY = "https_host"
_HOST = f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{_HOST_KEY})%"
"""The request's host without its port."""


def listener_filters(policies: tuple[HttpsOnly, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route wants it; before it one that notes the host without its port."""
    if not policies:
        return ()
    config = pb.Config()
    rule = config.request_rules.add(header=":authority")
    rule.on_header_present.metadata_namespace = METADATA_NAMESPACE
    rule.on_header_present.key = _HOST_KEY
    rule.on_header_present.type = pb.Config.STRING
    rewrite = rule.on_header_present.regex_value_rewrite
    rewrite.pattern.regex = r"^(\[.*\]|[^:]*)(?::[0-9]*)?$"
    rewrite.substitution = r"\1"
    return http_filter(HOST_FILTER, config, disabled=True), denial_filter(FILTER)


def route_parts(policy: HttpsOnly) -> RouteParts:
    """Refuses what did not come over TLS."""
    secure = route_pb.HeaderMatcher(name="x-forwarded-proto")
    secure.string_match.exact = "https"
    reasons = {REASON: strikes(neither(having(secure)))}
    filters = {HOST_FILTER: switched_on(), FILTER: refusals(reasons)}
    return RouteParts(filters=filters, metadata={_STATUS: str(policy.status)})


def replies(policies: tuple[HttpsOnly, ...], https_port: int) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer for each status in use; Kong always sends to 443, this to where HTTPS is served."""
    port = "" if https_port in (0, 443) else f":{https_port}"
    found = []
    for status in sorted({p.status for p in policies}):
        body = '{"message":"Please use HTTPS protocol"}'
        mapper = text_reply(REASON, status, body, when=f"{route_says(_STATUS)} == '{status}'")
        if status != UPGRADE_REQUIRED:  # Envoy takes Kong's `Upgrade` header out of every answer
            mapper.headers_to_add.append(header("Location", f"https://{_HOST}{port}%REQ(:path)%"))
        found.append(mapper)
    return tuple(found)
