"""Policies of edge traffic as data; `policies/` turns each into Envoy's filters."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policies.access import (
    Acl,
    BasicAuth,
    BotDetection,
    Buffering,
    HttpsOnly,
    IpRestriction,
    OnlyVia,
    Redirection,
    RequestSize,
    Termination,
)
from meshgate.model.policies.acme import Acme
from meshgate.model.policies.bridged import (
    BRIDGED_AUTHENTICATION,
    BridgedAuthentication,
    HmacAuth,
    LdapAuth,
    MtlsAuth,
    OAuth2,
    Opa,
    OpenIdConnect,
    Session,
)
from meshgate.model.policies.cached import ProxyCache
from meshgate.model.policies.change import (
    CorrelationId,
    CrossOrigin,
    PostFunction,
    PreFunction,
    RequestTransformer,
    ResponseTransformer,
)
from meshgate.model.policies.counts import Prometheus
from meshgate.model.policies.external_auth import ExternalAuth
from meshgate.model.policies.grpc import GrpcGateway, GrpcWeb
from meshgate.model.policies.limits import (
    ConsumerLimits,
    LimitBy,
    Limits,
    LimitStore,
    NamedLimits,
    RateLimit,
    RedisTarget,
    ResponseRateLimit,
)
from meshgate.model.policies.logs import LOGS, FileLog, HttpLog, Log, Loggly, Syslog, TcpLog, UdpLog
from meshgate.model.policies.meters import Datadog, Statsd
from meshgate.model.policies.tracing import TRACERS, OpenTelemetry, Tracer, Zipkin

__all__ = [
    "AUTHENTICATION",
    "LOGS",
    "TRACERS",
    "Acl",
    "Acme",
    "Authentication",
    "BasicAuth",
    "BotDetection",
    "Buffering",
    "ConsumerLimits",
    "CorrelationId",
    "CrossOrigin",
    "Datadog",
    "ExternalAuth",
    "FileLog",
    "GrpcGateway",
    "GrpcWeb",
    "HmacAuth",
    "HttpLog",
    "HttpsOnly",
    "IpRestriction",
    "JwtAuth",
    "KeyAuth",
    "LdapAuth",
    "LimitBy",
    "LimitStore",
    "Limits",
    "Log",
    "Loggly",
    "MtlsAuth",
    "NamedLimits",
    "OAuth2",
    "OnlyVia",
    "Opa",
    "OpenIdConnect",
    "OpenTelemetry",
    "Policy",
    "PostFunction",
    "PreFunction",
    "Prometheus",
    "ProxyCache",
    "RateLimit",
    "Redirection",
    "RedisTarget",
    "RequestSize",
    "RequestTransformer",
    "ResponseRateLimit",
    "ResponseTransformer",
    "Session",
    "Statsd",
    "Syslog",
    "TcpLog",
    "Termination",
    "Tracer",
    "UdpLog",
    "Zipkin",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtAuth:
    """Kong's `jwt`: the token's issuer names a consumer's credential, its key verifies."""

    header_names: tuple[str, ...] = ("authorization",)
    uri_param_names: tuple[str, ...] = ("jwt",)
    cookie_names: tuple[str, ...] = ()
    key_claim_name: str = "iss"
    verify_exp: bool = False
    """`claims_to_verify` holds `exp`: the claim must be there."""
    verify_nbf: bool = False
    secret_is_base64: bool = False
    maximum_expiration_s: int = 0
    """0: no limit."""
    run_on_preflight: bool = True
    realm: str = ""
    anonymous: str = ""
    """Username or id of the consumer that stands for who has no valid token; empty: they are refused."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAuth:
    """Kong's `key-auth`."""

    key_names: tuple[str, ...] = ("apikey",)
    hide_credentials: bool = False
    key_in_header: bool = True
    key_in_query: bool = True
    key_in_body: bool = False
    run_on_preflight: bool = True
    realm: str = ""
    anonymous: str = ""
    """Username or id of the consumer that stands for who has no valid key; empty: they are refused."""
    origin: Origin = BUILT_IN


Policy = (
    Acl
    | Acme
    | BasicAuth
    | BotDetection
    | Buffering
    | CorrelationId
    | CrossOrigin
    | ExternalAuth
    | GrpcGateway
    | GrpcWeb
    | HmacAuth
    | HttpsOnly
    | IpRestriction
    | JwtAuth
    | KeyAuth
    | LdapAuth
    | Log
    | MtlsAuth
    | OAuth2
    | OnlyVia
    | OpenIdConnect
    | PostFunction
    | PreFunction
    | Prometheus
    | Opa
    | ProxyCache
    | RateLimit
    | Redirection
    | RequestSize
    | RequestTransformer
    | ResponseRateLimit
    | ResponseTransformer
    | Session
    | Termination
    | Tracer
)

Authentication = JwtAuth | KeyAuth | BasicAuth | BridgedAuthentication
"""Those that say who asks."""

AUTHENTICATION: tuple[type[Authentication], ...] = (JwtAuth, KeyAuth, BasicAuth, *BRIDGED_AUTHENTICATION)
"""The same, in the order in which their `anonymous` is looked for."""
