"""The order of the gateway's HTTP filters, and what each of them may contribute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.core.origin import BUILT_IN
from meshgate.model.consumer import Consumer
from meshgate.model.edge import EdgeHost
from meshgate.model.policy import (
    Acl,
    BasicAuth,
    BotDetection,
    CorrelationId,
    CrossOrigin,
    GrpcWeb,
    HttpsOnly,
    IpRestriction,
    JwtAuth,
    KeyAuth,
    Policy,
    RateLimit,
    Redirection,
    RequestSize,
    RequestTransformer,
    ResponseTransformer,
    Termination,
)
from meshgate.policies import (
    acl,
    anonymous,
    basic_auth,
    bot_detection,
    consumer_headers,
    correlation_id,
    cors,
    grpc_web,
    https_only,
    ip_restriction,
    jwt,
    key_auth,
    optional_credentials,
    rate_limit_local,
    rate_limit_service,
    redirect,
    request_size,
    request_termination,
    transformers,
)
from meshgate.policies.parts import RouteParts

P = TypeVar("P", bound=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePolicies:
    """All that the gateway's filters must know: who may come, and every policy in use."""

    consumers: tuple[Consumer, ...]
    policies: tuple[Policy, ...]
    """Each once, in an order that does not depend on the input's."""
    https_port: int = 443
    """Where HTTPS is served; 0: nowhere."""
    claims_choose: bool = False
    """Whether a route asks for a claim of a token."""

    @classmethod
    def collect(cls, consumers: Mapping[str, Consumer], hosts: Mapping[str, EdgeHost]) -> EdgePolicies:
        """The distinct policies of all rules."""
        found: dict[str, Policy] = {}
        for host in sorted(hosts):
            for rule in hosts[host].rules:
                for policy in rule.policies:
                    found[parts_key(policy)] = policy
        claims = any(
            h.is_claim for host in hosts.values() for r in host.rules for m in r.matches for h in m.headers
        )
        return cls(
            consumers=tuple(consumers[key] for key in sorted(consumers)),
            policies=tuple(found[key] for key in sorted(found)),
            claims_choose=claims,
        )

    def of(self, kind: type[P]) -> tuple[P, ...]:
        """Those of one kind."""
        return tuple(p for p in self.policies if isinstance(p, kind))


def parts_key(policy: Policy) -> str:
    """A text that tells two policies apart, whatever file and line they come from."""
    match policy:
        case RateLimit():
            return f"rate-limit/{policy.rule_id}"
        case JwtAuth():
            return f"jwt/{jwt.requirement_name(policy)}"
        case KeyAuth():
            return f"key-auth/{key_auth.config_name(policy)}/{policy.anonymous}"
        case _:
            return repr(replace(policy, origin=BUILT_IN))


class EdgeFilter(Protocol):
    """One entry of the chain: what it puts on the listener, and what on a route."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The filters; empty where nothing in use needs them."""
        ...

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        """What a route with these policies adds."""
        ...

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """The gateway's own answers that are this entry's."""
        ...


def _no_parts(policy: Policy) -> RouteParts:
    return RouteParts()


def _no_replies(policies: tuple[Policy, ...]) -> tuple[hcm.ResponseMapper, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class _Plain(Generic[P]):
    """An entry that depends on one kind of policy, and on no consumer."""

    kind: type[P]
    filters: Callable[[tuple[P, ...]], tuple[hcm.HttpFilter, ...]]
    parts: Callable[[P], RouteParts] = _no_parts
    answers: Callable[[tuple[P, ...]], tuple[hcm.ResponseMapper, ...]] = _no_replies

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return self.filters(edge.of(self.kind))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(self.parts(p) for p in policies if isinstance(p, self.kind))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return self.answers(edge.of(self.kind))


@dataclass(frozen=True, slots=True)
class _Authentication(Generic[P]):
    """An entry that lets consumers in by their credentials."""

    kind: type[P]
    filters: Callable[[tuple[P, ...], tuple[Consumer, ...]], tuple[hcm.HttpFilter, ...]]
    parts: Callable[[P, tuple[Consumer, ...]], RouteParts]
    answers: Callable[[tuple[P, ...]], tuple[hcm.ResponseMapper, ...]] = _no_replies

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return self.filters(edge.of(self.kind), edge.consumers)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(self.parts(p, edge.consumers) for p in policies if isinstance(p, self.kind))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return self.answers(edge.of(self.kind))


class _ConsumerHeaders:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        if not any(isinstance(policy, JwtAuth | KeyAuth | BasicAuth) for policy in edge.policies):
            return ()
        return consumer_headers.listener_filters(edge.consumers, jwt.most_tokens(edge.of(JwtAuth)))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


class _HttpsOnly:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return https_only.listener_filters(edge.of(HttpsOnly))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(https_only.route_parts(p) for p in policies if isinstance(p, HttpsOnly))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return https_only.replies(edge.of(HttpsOnly), edge.https_port)


class _Cors:
    """Envoy's `cors` is in every listener, for a VirtualService may ask for it on any route."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return (*cors.listener_filters(edge.of(CrossOrigin)), cors.cors_filter())

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(cors.route_parts(p) for p in policies if isinstance(p, CrossOrigin))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


class _Strangers:
    """The consumer that stands for them, whichever plugins let them in."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return anonymous.listener_filters(self._authentications(edge), edge.consumers)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        found = (p for kind in (JwtAuth, KeyAuth, BasicAuth) for p in policies if isinstance(p, kind))
        return anonymous.route_parts(tuple(found))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return anonymous.replies(self._authentications(edge))

    @staticmethod
    def _authentications(edge: EdgePolicies) -> tuple[anonymous.Authentication, ...]:
        return (*edge.of(JwtAuth), *edge.of(KeyAuth), *edge.of(BasicAuth))


AUTHENTICATED: EdgeFilter = _Strangers()
"""The entry behind which Istio's policies stand: they want to know nothing of Kong's plugins."""

CHAIN: tuple[EdgeFilter, ...] = (
    # Outermost, so that it changes what all others put into an answer; Kong's priority 800.
    _Plain(ResponseTransformer, transformers.response_filters, transformers.response_parts),
    # Kong's router decides this before any plugin runs.
    _HttpsOnly(),
    # Kong's priority 100001: all that follows may want to know the id.
    _Plain(CorrelationId, correlation_id.listener_filters, correlation_id.route_parts),
    # Kong's priority 2500: robots get nothing, not even a preflight's answer.
    _Plain(BotDetection, bot_detection.listener_filters, bot_detection.route_parts, bot_detection.replies),
    # Kong's priority 2000: preflights come without credentials.
    _Cors(),
    # Outside of all limits: takes Envoy's own limit headers away, also from refusals.
    _Plain(RateLimit, rate_limit_local.removal_filters),
    # Who is it? Kong's priority 1450.
    _Authentication(JwtAuth, jwt.listener_filters, lambda policy, _: jwt.route_parts(policy)),
    # Who is it? Kong's priority 1250; with jwt on one route both must agree to let in.
    _Authentication(KeyAuth, key_auth.listener_filters, key_auth.route_parts),
    # Who is it? Kong's priority 1100; with others on one route all must agree.
    _Authentication(
        BasicAuth,
        basic_auth.listener_filters,
        lambda policy, _: basic_auth.route_parts(policy),
        basic_auth.replies,
    ),
    # Tells the services and all that follows who it is.
    _ConsumerHeaders(),
    # Other ways in where one is enough: Kong tries key-auth before basic-auth.
    _Authentication(
        KeyAuth, optional_credentials.key_filters, lambda policy, _: optional_credentials.key_parts(policy)
    ),
    _Authentication(
        BasicAuth,
        optional_credentials.basic_filters,
        lambda policy, _: optional_credentials.basic_parts(policy),
    ),
    # Whoever is still nobody goes on as the consumer for strangers, or not at all.
    AUTHENTICATED,
    # Kong's priority 990: after authentication, before all that counts.
    _Plain(
        IpRestriction, ip_restriction.listener_filters, ip_restriction.route_parts, ip_restriction.replies
    ),
    # Kong's priority 951: a body that is too long is refused whoever sends it.
    _Plain(RequestSize, request_size.listener_filters, request_size.route_parts, request_size.replies),
    # Kong's priority 950: needs to know the consumer, and refuses before anything is counted.
    _Plain(Acl, acl.listener_filters, acl.route_parts, acl.replies),
    # After authentication, so that each consumer has a bucket; Kong's priority 910.
    _Plain(RateLimit, rate_limit_local.listener_filters, rate_limit_local.route_parts),
    # The same against one count for all gateways: after the local ones, for it costs a call.
    _Plain(RateLimit, rate_limit_service.listener_filters, rate_limit_service.route_parts),
    # Kong's priority 801: nothing behind it reads what it changes.
    _Plain(RequestTransformer, transformers.request_filters, transformers.request_parts),
    # Kong's priority 779: only those who may come are sent elsewhere.
    _Plain(Redirection, redirect.listener_filters, redirect.route_parts, redirect.replies),
    # Kong's priority 3: next to the service.
    _Plain(GrpcWeb, grpc_web.listener_filters, grpc_web.route_parts, grpc_web.replies),
    # Kong's priority 2: whatever else may refuse has done so.
    _Plain(
        Termination,
        request_termination.listener_filters,
        request_termination.route_parts,
        request_termination.replies,
    ),
)
"""Requests pass from first to last, answers from last to first."""


def route_parts(policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
    """What all policies together add to a route."""
    return RouteParts.merge(entry.route(policies, edge) for entry in CHAIN)


def plugin_replies(edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
    """The gateway's own answers of all entries."""
    return tuple(mapper for entry in CHAIN for mapper in entry.replies(edge))
