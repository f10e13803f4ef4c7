"""Kong's `acl` with Envoy's `rbac`, on the groups that the consumer's lookup noted.

They stand in a header that only the gateway can set: a client's own is removed before
anything reads the request, and the service never sees it.
"""

from __future__ import annotations

from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Acl
from meshgate.policies.consumer_headers import (
    CONSUMER_ID,
    CREDENTIAL_GROUPS,
    CREDENTIAL_ID,
    GROUP_NAMES,
    GROUPS,
    UNKNOWN_GROUP,
    quoted_consumer_group,
    quoted_credential_group,
    quoted_group,
)
from meshgate.policies.denial import both, denial_filter, either, having, neither, present, refusals, strikes
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import error_reply

FILTER = "meshgate.acl"
_STRANGER = "x-anonymous-consumer"
ANONYMOUS, REASON = "acl-nobody", "acl"


def listener_filters(policies: tuple[Acl, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: Acl) -> RouteParts:
    """Refuses who is nobody, and then whom the groups exclude."""
    consumer, groups = having(present(CONSUMER_ID)), having(present(GROUPS))
    # A credential may be good, and even say groups, and be no consumer's.
    credential = having(present(CREDENTIAL_ID))
    member = _member(policy)
    excluded = member if policy.deny else neither(member)
    nobody = neither(either(consumer, groups, credential))
    if not policy.deny:
        # Who stands for strangers and is in no group at all is told like a stranger.
        nobody = either(nobody, both(having(present(_STRANGER)), neither(groups)))
    # Kong 3.9 refuses a credential without consumer and groups also where it only denies.
    excluded = either(excluded, both(credential, neither(either(consumer, groups))))
    reasons = {ANONYMOUS: strikes(nobody), REASON: strikes(both(neither(nobody), excluded))}
    shown = () if policy.hide_groups_header else (("X-Consumer-Groups", f"%REQ({GROUP_NAMES})%"),)
    return RouteParts(filters={FILTER: refusals(reasons)}, set_request_headers=shown)


def _member(policy: Acl) -> rbac_pb2.Permission:
    """Whether a group of the plugin is one of those that count."""
    members = [having(_group(quoted_group(name))) for name in policy.groups]
    if policy.include_consumer_groups:
        members += [having(_group(quoted_consumer_group(name))) for name in policy.groups]
    if policy.deny:
        members.append(having(_group(f",{UNKNOWN_GROUP},")))
    if not policy.credentials_first:
        return either(*members)
    said = having(_group(CREDENTIAL_GROUPS))
    own = [having(_group(quoted_credential_group(name))) for name in policy.groups]
    return either(both(said, either(*own)), both(neither(said), either(*members)))


def replies(policies: tuple[Acl, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's two answers."""
    if not policies:
        return ()
    return (
        error_reply(ANONYMOUS, 401, "Unauthorized"),
        error_reply(REASON, 403, "You cannot consume this service"),
    )


def _group(quoted: str) -> route_pb.HeaderMatcher:
    matcher = route_pb.HeaderMatcher(name=GROUPS)
    matcher.string_match.contains = quoted
    return matcher
