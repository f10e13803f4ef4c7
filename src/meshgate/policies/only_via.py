"""Kong's `protocols: grpc` and `snis` on a route, with Envoy's `rbac`.

Kong's router looks at the server name; another route never gets such a request here. Envoy
writes X-Forwarded-Proto from the connection, whatever the client put there.
"""

from __future__ import annotations

from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import OnlyVia
from meshgate.policies.denial import both, denial_filter, either, having, neither, refusals, strikes
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import error_reply

FILTER = "meshgate.only_via"
GRPC_REASON, NAME_REASON = "no-grpc-request", "other-server-name"


def listener_filters(policies: tuple[OnlyVia, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route wants it."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: OnlyVia) -> RouteParts:
    """Refuses what is no gRPC, and what came over TLS by another name."""
    reasons: dict[str, rbac_pb2.Policy] = {}
    if policy.server_names:
        named = either(*(_asked_for(name) for name in policy.server_names))
        reasons[NAME_REASON] = strikes(both(having(_secure()), neither(named)))
    if policy.grpc:
        call = route_pb.HeaderMatcher(name="content-type")
        call.string_match.prefix = "application/grpc"
        reasons[GRPC_REASON] = strikes(neither(having(call)))
    return RouteParts(filters={FILTER: refusals(reasons)})


def replies(policies: tuple[OnlyVia, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answers."""
    if not policies:
        return ()
    return (
        error_reply(NAME_REASON, 404, "no Route matched with those values"),
        error_reply(GRPC_REASON, 415, "Non-gRPC request matched gRPC route"),
    )


def _secure() -> route_pb.HeaderMatcher:
    found = route_pb.HeaderMatcher(name="x-forwarded-proto")
    found.string_match.exact = "https"
    return found


def _asked_for(name: str) -> rbac_pb2.Permission:
    found = rbac_pb2.Permission()
    found.requested_server_name.exact = name
    found.requested_server_name.ignore_case = True
    return found
