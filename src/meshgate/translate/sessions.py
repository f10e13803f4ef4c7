"""Session persistence: the requests of one session go to one endpoint (Envoy's stateful sessions)."""

from __future__ import annotations

from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2 as pb
from envoy.extensions.http.stateful_session.cookie.v3 import cookie_pb2
from envoy.extensions.http.stateful_session.header.v3 import header_pb2

from meshgate.model.route import SessionPersistence
from meshgate.policies.packing import duration, pack

FILTER = "envoy.filters.http.stateful_session"


def per_route(wanted: SessionPersistence) -> pb.StatefulSessionPerRoute:
    """The session of one route; an endpoint that is gone is replaced by another."""
    found = pb.StatefulSessionPerRoute()
    state = found.stateful_session.session_state
    if wanted.header:
        state.name = "envoy.http.stateful_session.header"
        state.typed_config.CopyFrom(pack(header_pb2.HeaderBasedSessionState(name=wanted.header)))
        return found
    cookie = cookie_pb2.CookieBasedSessionState()
    cookie.cookie.name, cookie.cookie.path = wanted.cookie, wanted.path
    if wanted.ttl_ms:
        cookie.cookie.ttl.CopyFrom(duration(wanted.ttl_ms))
    state.name = "envoy.http.stateful_session.cookie"
    state.typed_config.CopyFrom(pack(cookie))
    return found
