"""The order of the gateway's HTTP filters."""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.bridged import Stage
from meshgate.model.policy import (
    Acl,
    Acme,
    BasicAuth,
    BotDetection,
    Buffering,
    CorrelationId,
    ExternalAuth,
    GrpcGateway,
    GrpcWeb,
    IpRestriction,
    JwtAuth,
    KeyAuth,
    MtlsAuth,
    OnlyVia,
    Policy,
    ProxyCache,
    RateLimit,
    Redirection,
    RequestSize,
    RequestTransformer,
    ResponseRateLimit,
    ResponseTransformer,
    Termination,
)
from meshgate.policies import (
    acl,
    acme,
    anonymous,
    basic_auth,
    basic_login,
    bot_detection,
    buffering,
    client_certificate,
    correlation_id,
    external_auth,
    grpc_json,
    grpc_web,
    ip_restriction,
    jwt,
    key_auth,
    key_duplicates,
    key_hidden,
    key_in_body,
    only_via,
    optional_credentials,
    proxy_cache,
    rate_limit_quota,
    rate_limit_service,
    redirect,
    request_size,
    request_termination,
    response_rate_limit,
    route_logs,
    standing,
    transformers,
)
from meshgate.policies.edge_policies import EdgeFilter, EdgePolicies
from meshgate.policies.entries import (
    Asked,
    Captures,
    ConsumerHeaders,
    Cors,
    LocalLimits,
    NativeAuthentication,
    NativeKeys,
    OfListener,
    OnlyHttps,
    Plain,
    Repeated,
    Strangers,
    Transcoder,
    UnlessNative,
)
from meshgate.policies.functions import Functions, Place
from meshgate.policies.late import LateGrpcWeb, LateRequests
from meshgate.policies.parts import RouteParts
from meshgate.policies.standing import Standing, denials
from meshgate.policies.traces import Traced
from meshgate.policies.variants import Chooser, LateAnswers

AUTHENTICATED: EdgeFilter = Standing(Strangers(), denials(anonymous.REQUIRED_FILTER))
"""The entry behind which Istio's policies stand: they want to know nothing of Kong's plugins."""

CHAIN: tuple[EdgeFilter, ...] = (
    # Outside of all: notes what the client sent and what it gets.
    OfListener(route_logs.listener_filters),
    # Kong's priority -1000: behind all others, so the last that sees an answer.
    Functions(Place.OUTER),
    # Outermost, so that it changes what all others put into an answer; Kong's priority 800.
    Plain(ResponseTransformer, transformers.response_filters, transformers.response_parts),
    # Kong's priority 1705: only what the gateway answers for an authority.
    Plain(Acme, acme.listener_filters, answers=acme.replies),
    # Kong's router decides this before any plugin runs.
    OnlyHttps(),
    Plain(OnlyVia, only_via.listener_filters, only_via.route_parts, only_via.replies),
    # What programs further down may want to know of the path, before anything changes it.
    Captures(),
    # Kong's priority 1000000: people's own Lua before all other plugins.
    Functions(Place.FIRST),
    # Kong's priority 100001: all that follows may want to know the id.
    Plain(CorrelationId, correlation_id.listener_filters, correlation_id.route_parts),
    # Kong's priority 100000: what follows is part of the trace, and who is refused is told of too.
    Traced(),
    # Kong's priority 2500: robots get nothing, not even a preflight's answer.
    Plain(BotDetection, bot_detection.listener_filters, bot_detection.route_parts, bot_detection.replies),
    # Kong's priority 2000: preflights come without credentials.
    Cors(),
    # Who is it? Kong's priority 1450.
    Standing(
        NativeAuthentication(
            JwtAuth, jwt.listener_filters, lambda policy, _: jwt.route_parts(policy), jwt.replies
        ),
        standing.jwt_spare,
    ),
    # Where a key may be in the body, it is found before somebody asks for it.
    Plain(KeyAuth, key_in_body.listener_filters, key_in_body.route_parts, key_in_body.replies),
    # Kong takes no key that is there twice; Envoy's filter would take the first.
    Standing(
        UnlessNative(
            Plain(
                KeyAuth, key_duplicates.listener_filters, key_duplicates.route_parts, key_duplicates.replies
            )
        ),
        denials(key_duplicates.FILTER),
    ),
    # Who is it? Kong's priority 1250; with jwt on one route both must agree to let in.
    Standing(
        UnlessNative(NativeAuthentication(KeyAuth, key_auth.listener_filters, key_auth.route_parts)),
        standing.key_spare,
    ),
    # Both in one filter of our own, and what tells the service, where nothing else says who it is.
    Standing(NativeKeys(), standing.native_key_spare),
    # Where a username and password may be, before somebody asks for them.
    Plain(BasicAuth, basic_login.listener_filters, basic_login.route_parts),
    # Who is it? Kong's priority 1100; with others on one route all must agree.
    Standing(
        NativeAuthentication(
            BasicAuth,
            basic_auth.listener_filters,
            lambda policy, _: basic_auth.route_parts(policy),
            basic_auth.replies,
        ),
        standing.basic_spare,
    ),
    # Tells the services and all that follows who it is.
    UnlessNative(ConsumerHeaders()),
    # Other ways in where one is enough: Kong tries key-auth before basic-auth.
    NativeAuthentication(
        KeyAuth, optional_credentials.key_filters, lambda policy, _: optional_credentials.key_parts(policy)
    ),
    NativeAuthentication(
        BasicAuth,
        optional_credentials.basic_filters,
        lambda policy, _: optional_credentials.basic_parts(policy),
    ),
    # What the question after it is about.
    Plain(MtlsAuth, client_certificate.listener_filters, client_certificate.route_parts),
    # What the next one has said of the same token before.
    Repeated(),
    # Ways in that Envoy does not know, in Kong's order among themselves: one question for all of them.
    Standing(Asked(Stage.AUTHENTICATION), standing.bridge_spare(Stage.AUTHENTICATION)),
    # Whoever is still nobody goes on as the consumer for strangers, or not at all.
    AUTHENTICATED,
    # Nobody needs the key any more; all that follows may show the query to somebody.
    Plain(KeyAuth, key_hidden.listener_filters, key_hidden.route_parts, key_hidden.replies),
    # It is known who asks: who has plugins of his own meets them from here on.
    Chooser(),
    # What has run before, for who has it of his own.
    LateRequests(),
    LateAnswers(),
    # Kong's priority 998: every answer from here on may be read by any browser; OPTIONS is answered.
    Plain(GrpcGateway, grpc_json.gateway_filters, grpc_json.gateway_parts, grpc_json.gateway_replies),
    # Kong's priority 990: after authentication, before all that counts.
    Standing(
        Plain(
            IpRestriction, ip_restriction.listener_filters, ip_restriction.route_parts, ip_restriction.replies
        ),
        denials(ip_restriction.FILTER),
    ),
    # Kong's priority 951: a body that is too long is refused whoever sends it.
    Plain(RequestSize, request_size.listener_filters, request_size.route_parts, request_size.replies),
    # Kong's priority 950: needs to know the consumer, and refuses before anything is counted.
    Standing(Plain(Acl, acl.listener_filters, acl.route_parts, acl.replies), denials(acl.FILTER)),
    # What somebody else decides by who it is; Kong's priority 920.
    Standing(Asked(Stage.ACCESS), standing.bridge_spare(Stage.ACCESS)),
    # The Gateway API's way to ask somebody else.
    Plain(ExternalAuth, external_auth.listener_filters, external_auth.route_parts, external_auth.replies),
    # After authentication, so that each consumer has a bucket; Kong's priority 910.
    LocalLimits(),
    # The same against one count for all gateways: after the local ones, for it costs a call.
    Plain(RateLimit, rate_limit_service.listener_filters, rate_limit_service.route_parts),
    # The same, lent to each gateway in advance.
    Plain(
        RateLimit,
        rate_limit_quota.listener_filters,
        rate_limit_quota.route_parts,
        rate_limit_quota.replies,
    ),
    # Kong's priority 900: what answers cost counts, and the service is told what is left.
    Plain(
        ResponseRateLimit,
        response_rate_limit.listener_filters,
        response_rate_limit.route_parts,
        response_rate_limit.replies,
    ),
    # Kong's priority 801: nothing behind it reads what it changes.
    Plain(
        RequestTransformer,
        transformers.request_filters,
        transformers.request_parts,
        transformers.request_replies,
    ),
    # Kong's priority 779: only those who may come are sent elsewhere.
    Plain(Redirection, redirect.listener_filters, redirect.route_parts, redirect.replies),
    # Kong's priority 100: what all others have changed and let pass is looked up, and kept as it comes.
    Plain(ProxyCache, proxy_cache.listener_filters, proxy_cache.route_parts, proxy_cache.replies),
    # Kong's priority 3: next to the service.
    Plain(GrpcWeb, grpc_web.listener_filters, grpc_web.route_parts, grpc_web.replies),
    LateGrpcWeb(),
    # Kong's priority 2: whatever else may refuse has done so.
    Plain(
        Termination,
        request_termination.listener_filters,
        request_termination.route_parts,
        request_termination.replies,
    ),
    # Kong's priority -1000.
    Functions(Place.LAST),
    # What people's Lua does first with an answer: innermost.
    Functions(Place.INNER),
    # Next to the service: nothing is held back before all others have let it pass.
    Plain(Buffering, buffering.listener_filters, buffering.route_parts),
    # Last, so that all others see and answer JSON, by the path that the client sent.
    Transcoder(),
)
"""Requests pass from first to last, answers from last to first."""


def route_parts(policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
    """What all policies together add to a route."""
    return RouteParts.merge(entry.route(policies, edge) for entry in CHAIN)


def plugin_replies(edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
    """The gateway's own answers of all entries, each once."""
    found = (mapper for entry in CHAIN for mapper in entry.replies(edge))
    return tuple({mapper.SerializeToString(deterministic=True): mapper for mapper in found}.values())
