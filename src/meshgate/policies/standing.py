"""Filters that stand in the gateway before a route needs them.

A change of plugins reaches Envoy as a listener and as routes, one after the other, and connections that
are there keep the filters with which they began while their requests meet the new routes. Envoy (1.40)
passes by what a route says to a filter that is not there, so a route that goes from one plugin that
refuses to another would let everybody in for that moment. So where anybody is asked who he is, what could
ask instead is there too: switched off, and with nobody's credentials, so that whoever meets it too early
is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.bridged import Stage
from meshgate.model.policy import AUTHENTICATION, Acl, IpRestriction, Policy
from meshgate.policies import (
    basic_auth,
    bridge,
    jwt,
    key_auth,
    key_auth_native,
)
from meshgate.policies.denial import denial_filter
from meshgate.policies.edge_policies import EdgeFilter, EdgePolicies
from meshgate.policies.parts import RouteParts

_REFUSING = (*AUTHENTICATION, Acl, IpRestriction)


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry with filters that are there as soon as any route refuses anybody."""

    entry: EdgeFilter
    spare: Callable[[EdgePolicies], tuple[hcm.HttpFilter, ...]]
    """Those, in their order, with nothing in them; the entry's own come in their place."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        own = self.entry.listener(edge)
        if not any(isinstance(policy, _REFUSING) for policy in edge.policies):
            return own
        names = {one.name for one in own}
        return (*own, *(one for one in self.spare(edge) if one.name not in names))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return self.entry.route(policies, edge)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return self.entry.replies(edge)


def denials(*names: str) -> Callable[[EdgePolicies], tuple[hcm.HttpFilter, ...]]:
    """Such filters say nothing but what a route says to them."""
    return lambda edge: tuple(map(denial_filter, names))


def jwt_spare(edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
    """Whoever has not been verified before it is refused."""
    return (jwt.spare_filter(),)


def key_spare(edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
    return (key_auth.spare_filter(),)


def native_key_spare(edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
    return (key_auth_native.spare_filter(),) if edge.native_filters else ()


def basic_spare(edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
    return (basic_auth.spare_filter(),)


def bridge_spare(stage: Stage) -> Callable[[EdgePolicies], tuple[hcm.HttpFilter, ...]]:
    """Without a bridge whoever asks it is told of an error."""
    return lambda edge: (bridge.spare_filter(stage),)
