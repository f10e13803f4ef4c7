"""Refusals by Envoy's `rbac`: what a route refuses, under a name that the answer is found by.

Each plugin that refuses has a filter of its own in the chain, off until a route switches it
on. Every rule is a DENY with the name of its reason; Envoy puts that name into the response
code details, from which `replies` makes Kong's answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as filter_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2

from meshgate.policies.packing import http_filter, pack

ANY_PERMISSION = rbac_pb2.Permission(any=True)
ANY_PRINCIPAL = rbac_pb2.Principal(any=True)


def denial_filter(name: str) -> hcm.HttpFilter:
    """A filter that refuses nothing by itself."""
    return http_filter(name, filter_pb.RBAC(), disabled=True)


def refusals(reasons: Mapping[str, rbac_pb2.Policy]) -> any_pb2.Any:
    """A route's refusals: reason -> whom it strikes."""
    rules = rbac_pb2.RBAC(action=rbac_pb2.RBAC.DENY)
    for reason, policy in reasons.items():
        rules.policies[reason].CopyFrom(policy)
    return pack(filter_pb.RBACPerRoute(rbac=filter_pb.RBAC(rules=rules)))


def strikes(
    permission: rbac_pb2.Permission = ANY_PERMISSION, principal: rbac_pb2.Principal = ANY_PRINCIPAL
) -> rbac_pb2.Policy:
    """Requests that both hold for; without arguments, all of them."""
    return rbac_pb2.Policy(permissions=[permission], principals=[principal])


def having(header: route_pb.HeaderMatcher) -> rbac_pb2.Permission:
    """Requests with such a header."""
    return rbac_pb2.Permission(header=header)


def both(*permissions: rbac_pb2.Permission) -> rbac_pb2.Permission:
    """Requests that all of them hold for."""
    return rbac_pb2.Permission(and_rules=rbac_pb2.Permission.Set(rules=permissions))


def either(*permissions: rbac_pb2.Permission) -> rbac_pb2.Permission:
    """Requests that one of them holds for."""
    return rbac_pb2.Permission(or_rules=rbac_pb2.Permission.Set(rules=permissions))


def neither(permission: rbac_pb2.Permission) -> rbac_pb2.Permission:
    """Requests that it does not hold for."""
    return rbac_pb2.Permission(not_rule=permission)


def present(name: str) -> route_pb.HeaderMatcher:
    """A header that is there."""
    return route_pb.HeaderMatcher(name=name, present_match=True)
