"""The order of the gateway's HTTP filters, and what each of them may contribute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.consumer import Consumer
from meshgate.model.edge import EdgeHost
from meshgate.model.policy import JwtAuth, KeyAuth, Policy, RateLimit
from meshgate.policies import consumer_headers, jwt, key_auth, rate_limit_local, rate_limit_service
from meshgate.policies.parts import RouteParts


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePolicies:
    """All that the gateway's filters must know: who may come, and every policy in use."""

    consumers: tuple[Consumer, ...]
    jwt: tuple[JwtAuth, ...]
    key_auth: tuple[KeyAuth, ...]
    rate_limits: tuple[RateLimit, ...]

    @classmethod
    def collect(cls, consumers: Mapping[str, Consumer], hosts: Mapping[str, EdgeHost]) -> EdgePolicies:
        """The distinct policies of all rules, in an order that does not depend on the input's."""
        found: dict[str, Policy] = {}
        for host in sorted(hosts):
            for rule in hosts[host].rules:
                for policy in rule.policies:
                    found[parts_key(policy)] = policy
        every = [found[key] for key in sorted(found)]
        return cls(
            consumers=tuple(consumers[key] for key in sorted(consumers)),
            jwt=tuple(p for p in every if isinstance(p, JwtAuth)),
            key_auth=tuple(p for p in every if isinstance(p, KeyAuth)),
            rate_limits=tuple(p for p in every if isinstance(p, RateLimit)),
        )


def parts_key(policy: Policy) -> str:
    """A text that tells two policies apart, whatever file and line they come from."""
    match policy:
        case RateLimit():
            return f"rate-limit/{policy.rule_id}"
        case JwtAuth():
            return f"jwt/{jwt.requirement_name(policy)}"
        case KeyAuth():
            return f"key-auth/{key_auth.config_name(policy)}"


class EdgeFilter(Protocol):
    """One entry of the chain: what it puts on the listener, and what on a route."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The filters; empty where nothing in use needs them."""
        ...

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        """What a route with these policies adds."""
        ...


class _Jwt:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return jwt.listener_filters(edge.jwt, edge.consumers)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(jwt.route_parts(p) for p in policies if isinstance(p, JwtAuth))


class _KeyAuth:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return key_auth.listener_filters(edge.key_auth, edge.consumers)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(
            key_auth.route_parts(p, edge.consumers) for p in policies if isinstance(p, KeyAuth)
        )


class _ConsumerHeaders:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        if not (edge.jwt or edge.key_auth):
            return ()
        return consumer_headers.listener_filters(edge.consumers, jwt.most_tokens(edge.jwt))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts()


class _LimitHeaders:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return rate_limit_local.removal_filters(edge.rate_limits)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts()


class _LocalLimit:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return rate_limit_local.listener_filters(edge.rate_limits)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(rate_limit_local.route_parts(p) for p in policies if isinstance(p, RateLimit))


class _SharedLimit:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return rate_limit_service.listener_filters(edge.rate_limits)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(
            rate_limit_service.route_parts(p) for p in policies if isinstance(p, RateLimit)
        )


CHAIN: tuple[EdgeFilter, ...] = (
    _LimitHeaders(),  # outermost: takes Envoy's own limit headers away, also from refusals
    _Jwt(),  # who is it? Kong's priority 1450
    _KeyAuth(),  # who is it? Kong's priority 1250; with jwt on one route both must agree to let in
    _ConsumerHeaders(),  # tells the services and the limits below who it is
    _LocalLimit(),  # after authentication, so that each consumer has a bucket; Kong's priority 910
    _SharedLimit(),  # the same against one count for all gateways: last, for it costs a call
)
"""Requests pass from first to last, answers from last to first."""


def route_parts(policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
    """What all policies together add to a route."""
    return RouteParts.merge(entry.route(policies, edge) for entry in CHAIN)
