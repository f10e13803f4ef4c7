"""Kong's `request-termination`: an answer of the gateway's in place of the service's.

A refusal at the end of the chain and not a direct response, because those know no limits
and no trigger; so authentication and limits come first, as in Kong.
"""

from __future__ import annotations

import re

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Termination
from meshgate.policies.denial import denial_filter, either, having, present, refusals, strikes
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import route_says, text_reply

FILTER = "meshgate.request_termination"
REASON = "request-termination"
_STATUS, _BODY, _TYPE = "termination_status", "termination_body", "termination_type"


def listener_filters(policies: tuple[Termination, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: Termination) -> RouteParts:
    """Ends every request, or those with the trigger."""
    whom = strikes()
    if policy.trigger:
        query = route_pb.HeaderMatcher(name=":path")
        name = re.escape(policy.trigger)
        query.string_match.safe_regex.regex = rf"[^?]*\?(?:.*&)?{name}(?:[=&].*)?"
        whom = strikes(either(having(present(policy.trigger)), having(query)))
    metadata = {_STATUS: str(policy.status), _BODY: policy.body, _TYPE: policy.content_type}
    return RouteParts(filters={FILTER: refusals({REASON: whom})}, metadata=metadata)


def replies(policies: tuple[Termination, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """An answer for each status and content type in use; the body comes from the route."""
    kinds = sorted({(p.status, p.content_type) for p in policies})
    return tuple(
        text_reply(
            REASON,
            status,
            f"%METADATA(ROUTE:meshgate:{_BODY})%",
            content_type,
            when=f"{route_says(_STATUS)} == '{status}' && {route_says(_TYPE)} == '{_quoted(content_type)}'",
        )
        for status, content_type in kinds
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
