"""Kong's `request-termination`: an answer of the gateway's in place of the service's.

A refusal at the end of the chain and not a direct response, because those know no limits
and no trigger; so authentication and limits come first, as in Kong.
"""

from __future__ import annotations

import re

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Termination
from meshgate.policies import scripts
from meshgate.policies.denial import denial_filter, either, having, present, refusals, strikes
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import route_says, text_reply

FILTER = "meshgate.request_termination"
ECHO_FILTER = "meshgate.request_termination.echo"
REASON = "request-termination"
_STATUS, _BODY, _TYPE = "termination_status", "termination_body", "termination_type"


def listener_filters(policies: tuple[Termination, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin; a program where it shows the request."""
    found = [denial_filter(FILTER)] if any(p.echo is None for p in policies) else []
    if any(p.echo is not None for p in policies):
        found.append(scripts.script_filter(ECHO_FILTER, "json", "form", "body", "guard", "termination_echo"))
    return tuple(found)


def route_parts(policy: Termination) -> RouteParts:
    """Ends every request, or those with the trigger."""
    if policy.echo is not None:
        return _echo(policy, policy.echo)
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
    kinds = sorted({(p.status, p.content_type) for p in policies if p.echo is None})
    echo = scripts.replies() if any(p.echo is not None for p in policies) else ()
    plain = tuple(
        text_reply(
            REASON,
            status,
            f"%METADATA(ROUTE:meshgate:{_BODY})%",
            content_type,
            when=f"{route_says(_STATUS)} == '{status}' && {route_says(_TYPE)} == '{_quoted(content_type)}'",
        )
        for status, content_type in kinds
    )
    return (*echo, *plain)


def _echo(policy: Termination, message: str) -> RouteParts:
    data = {"status": str(policy.status)}
    if message:
        data["message"] = message
    if policy.trigger:
        data["trigger"] = policy.trigger
    return RouteParts(filters={ECHO_FILTER: scripts.script_data(data)}, body_limit=scripts.BODY_LIMIT_BYTES)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
