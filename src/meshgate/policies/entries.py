"""The kinds of entries that the chain of the gateway's filters is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.consumer import Consumer
from meshgate.model.policies.bridged import Stage
from meshgate.model.policy import (
    AUTHENTICATION,
    Authentication,
    BasicAuth,
    CrossOrigin,
    HttpsOnly,
    JwtAuth,
    KeyAuth,
    Policy,
    RateLimit,
)
from meshgate.policies import (
    anonymous,
    bridge,
    captures,
    consumer_headers,
    cors,
    grpc_json,
    https_only,
    key_auth_native,
    rate_limit_local,
    rate_limit_windows,
    verdict_cache,
)
from meshgate.policies.edge_policies import EdgeFilter, EdgePolicies, P
from meshgate.policies.parts import RouteParts


def _no_parts(policy: Policy) -> RouteParts:
    return RouteParts()


def _no_replies(policies: tuple[Policy, ...]) -> tuple[hcm.ResponseMapper, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Plain(Generic[P]):
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
class OfListener:
    """An entry of which a route's part depends on more than its policies; see `virtual_host`."""

    filters: Callable[[EdgePolicies], tuple[hcm.HttpFilter, ...]]

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return self.filters(edge)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class NativeAuthentication(Generic[P]):
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


class ConsumerHeaders:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        if not any(isinstance(policy, JwtAuth | KeyAuth | BasicAuth) for policy in edge.policies):
            return ()
        return consumer_headers.listener_filters(edge.consumers, native=edge.native_filters)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return consumer_headers.route_parts(policies)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


class Captures:
    """What routes switch on for themselves, rule by rule."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return captures.listener_filters(edge.policies)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts()

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


class OnlyHttps:
    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return https_only.listener_filters(edge.of(HttpsOnly))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(https_only.route_parts(p) for p in policies if isinstance(p, HttpsOnly))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return https_only.replies(edge.of(HttpsOnly), edge.https_port)


class Cors:
    """Envoy's `cors` is in every listener, for a VirtualService may ask for it on any route."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return (*cors.listener_filters(edge.of(CrossOrigin), echoes=edge.cors_echoes), cors.cors_filter())

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return RouteParts.merge(cors.route_parts(p) for p in policies if isinstance(p, CrossOrigin))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


class Strangers:
    """The consumer that stands for them, whichever plugins let them in."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        policies = _authentications(edge)
        return anonymous.listener_filters(policies, edge.consumers, native=edge.native_filters)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        found = (p for kind in AUTHENTICATION for p in policies if isinstance(p, kind))
        return anonymous.route_parts(tuple(found))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return anonymous.replies(_authentications(edge))


class Repeated:
    """What the bridge has said before, where it need not be asked again."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return verdict_cache.listener_filters(edge.policies)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        rule = bridge.rule_id(bridge.bridged(policies, Stage.AUTHENTICATION))
        return verdict_cache.route_parts(policies, rule, edge.consumers_digest)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the bridge is asked about at one stage."""

    stage: Stage

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return bridge.listener_filters(edge.policies, self.stage)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return bridge.route_parts(policies, self.stage)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        # The same for both stages: once is enough.
        return bridge.replies(edge.policies) if self.stage is Stage.AUTHENTICATION else ()


class NativeKeys:
    """Keys in our own filter, where the proxy has it."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        if not edge.native_filters:
            return ()
        return key_auth_native.listener_filters(edge.of(KeyAuth), edge.consumers)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        policy = key_auth_native.decides(policies) if edge.native_filters else None
        if policy is None:
            return RouteParts()
        limits = _limits(policies) if key_auth_native.counts_too(policies, edge) else ()
        return key_auth_native.route_parts(policy, limits)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class UnlessNative:
    """An entry that has nothing to do where our own filter decides about keys."""

    entry: EdgeFilter

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return self.entry.listener(edge)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        if edge.native_filters and key_auth_native.decides(policies):
            return RouteParts()
        return self.entry.route(policies, edge)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return self.entry.replies(edge)


class LocalLimits:
    """Limits that the gateway counts for itself: in our own filter, or in Envoy's token buckets."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        if edge.native_filters:
            return rate_limit_windows.listener_filters(edge.of(RateLimit))
        return rate_limit_local.listener_filters(edge.of(RateLimit))

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        if not edge.native_filters:
            return RouteParts.merge(map(rate_limit_local.route_parts, _limits(policies)))
        if key_auth_native.counts_too(policies, edge):
            return RouteParts()
        return rate_limit_windows.route_parts(_limits(policies))

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return ()


class Transcoder:
    """JSON for gRPC, whichever plugin asks for it; needs to know what the route's service speaks."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        return grpc_json.transcoder_filters(edge.policies)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        return grpc_json.transcoder_parts(policies, edge.descriptors)

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        return grpc_json.transcoder_replies(edge.policies)


def _limits(policies: tuple[Policy, ...]) -> tuple[RateLimit, ...]:
    return tuple(p for p in policies if isinstance(p, RateLimit))


def _authentications(edge: EdgePolicies) -> tuple[Authentication, ...]:
    return tuple(p for kind in AUTHENTICATION for p in edge.of(kind))
