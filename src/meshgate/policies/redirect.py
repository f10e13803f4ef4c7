"""Kong's `redirect`: a refusal with a Location, so that authentication and limits come first."""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Redirection
from meshgate.policies.denial import denial_filter, refusals, strikes
from meshgate.policies.packing import header
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import route_says, text_reply

FILTER = "meshgate.redirect"
REASON = "redirect"
_STATUS, _LOCATION, _KEEP = "redirect_status", "redirect_location", "redirect_keep_path"


def listener_filters(policies: tuple[Redirection, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: Redirection) -> RouteParts:
    """Sends every request elsewhere."""
    metadata = {
        _STATUS: str(policy.status),
        _LOCATION: policy.location,
        _KEEP: "yes" if policy.keep_path else "no",
    }
    return RouteParts(filters={FILTER: refusals({REASON: strikes()})}, metadata=metadata)


def replies(policies: tuple[Redirection, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """An answer for each status in use; the location comes from the route."""
    found = []
    for status, keep in sorted({(p.status, p.keep_path) for p in policies}):
        word = "yes" if keep else "no"
        when = f"{route_says(_STATUS)} == '{status}' && {route_says(_KEEP)} == '{word}'"
        mapper = text_reply(REASON, status, "redirecting", "text/plain; charset=utf-8", when=when)
        path = "%REQ(:path)%" if keep else ""
        mapper.headers_to_add.append(header("Location", f"%METADATA(ROUTE:meshgate:{_LOCATION})%{path}"))
        found.append(mapper)
    return tuple(found)
