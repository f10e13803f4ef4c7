"""Where `basic-auth` finds a username and password: `Proxy-Authorization`, else `Authorization`, as in Kong.

Envoy reads one header, so both become one that is ours; a client's own of that name is replaced.
"""

from __future__ import annotations

from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import BasicAuth
from meshgate.policies.packing import header, http_filter, pack
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.basic_auth.login"
LOGIN_HEADER = "x-meshgate-basic-login"
"""Carries them to the filters behind; never leaves the gateway."""
CREDENTIALS = ("proxy-authorization", "authorization")


def listener_filters(policies: tuple[BasicAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (http_filter(FILTER, pb.HeaderMutation(), disabled=True),) if policies else ()


def route_parts(policy: BasicAuth) -> RouteParts:
    """Gathers the credentials, and keeps them from the service where the plugin says so."""
    config = pb.HeaderMutationPerRoute()
    config.mutations.request_mutations.add(remove=LOGIN_HEADER)
    gathered = header(LOGIN_HEADER, "%REQ(PROXY-AUTHORIZATION?AUTHORIZATION)%")
    config.mutations.request_mutations.add(append=gathered)
    hidden = CREDENTIALS if policy.hide_credentials else ()
    return RouteParts(filters={FILTER: pack(config)}, remove_request_headers=(LOGIN_HEADER, *hidden))
