"""Policies of edge traffic as data; `policies/` turns each into Envoy's filters."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.policies.access import (
    Acl,
    BasicAuth,
    BotDetection,
    HttpsOnly,
    IpRestriction,
    Redirection,
    RequestSize,
    Termination,
)
from meshgate.model.policies.bridged import (
    BRIDGED_AUTHENTICATION,
    BridgedAuthentication,
    HmacAuth,
    LdapAuth,
    MtlsAuth,
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
from meshgate.model.policies.grpc import GrpcGateway, GrpcWeb

__all__ = [
    "AUTHENTICATION",
    "Acl",
    "Authentication",
    "BasicAuth",
    "BotDetection",
    "ConsumerLimits",
    "CorrelationId",
    "CrossOrigin",
    "GrpcGateway",
    "GrpcWeb",
    "HmacAuth",
    "HttpsOnly",
    "IpRestriction",
    "JwtAuth",
    "KeyAuth",
    "LdapAuth",
    "LimitBy",
    "LimitStore",
    "Limits",
    "MtlsAuth",
    "Opa",
    "OpenIdConnect",
    "Policy",
    "PostFunction",
    "PreFunction",
    "ProxyCache",
    "RateLimit",
    "Redirection",
    "RedisTarget",
    "RequestSize",
    "RequestTransformer",
    "ResponseTransformer",
    "Session",
    "Termination",
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


class LimitBy(enum.Enum):
    CONSUMER = "consumer"
    CREDENTIAL = "credential"
    IP = "ip"
    SERVICE = "service"
    HEADER = "header"
    PATH = "path"


class LimitStore(enum.Enum):
    LOCAL = "local"
    """Each gateway counts for itself, in Envoy."""
    REDIS = "redis"
    """One exact count for all gateways."""
    QUOTA = "quota"
    """One limit for all gateways, each of which is lent a part of it and counts in Envoy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Requests per calendar window; None where there is no limit."""

    second: int | None = None
    minute: int | None = None
    hour: int | None = None
    day: int | None = None
    month: int | None = None
    year: int | None = None

    def windows(self) -> tuple[tuple[str, int], ...]:
        """The limits that are set, shortest window first: `(("minute", 100), ...)`."""
        names = ("second", "minute", "hour", "day", "month", "year")
        return tuple((n, v) for n in names if (v := getattr(self, n)) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTarget:
    host: str
    """A DNS name or address; the name of a Service of ours leads to its pods."""
    port: int = 6379
    username: str = ""
    password: Secret | None = None
    database: int = 0
    ssl: bool = False
    ssl_verify: bool = False
    server_name: str = ""
    timeout_ms: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerLimits:
    """Limits that replace a rule's own for one consumer."""

    consumer_id: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Kong's `rate-limiting`."""

    rule_id: str
    """Names the counter: the same for all rules made of one edge rule."""
    limits: Limits
    store: LimitStore = LimitStore.LOCAL
    limit_by: LimitBy = LimitBy.CONSUMER
    header_name: str = ""
    path: str = ""
    redis: RedisTarget | None = None
    fault_tolerant: bool = True
    hide_client_headers: bool = False
    error_code: int = 429
    error_message: str = "API rate limit exceeded"
    service_id: str = ""
    consumer_limits: tuple[ConsumerLimits, ...] = ()
    origin: Origin = BUILT_IN


Policy = (
    Acl
    | BasicAuth
    | BotDetection
    | CorrelationId
    | CrossOrigin
    | GrpcGateway
    | GrpcWeb
    | HmacAuth
    | HttpsOnly
    | IpRestriction
    | JwtAuth
    | KeyAuth
    | LdapAuth
    | MtlsAuth
    | OpenIdConnect
    | PostFunction
    | PreFunction
    | Opa
    | ProxyCache
    | RateLimit
    | Redirection
    | RequestSize
    | RequestTransformer
    | ResponseTransformer
    | Session
    | Termination
)

Authentication = JwtAuth | KeyAuth | BasicAuth | BridgedAuthentication
"""Those that say who asks."""

AUTHENTICATION: tuple[type[Authentication], ...] = (JwtAuth, KeyAuth, BasicAuth, *BRIDGED_AUTHENTICATION)
"""The same, in the order in which their `anonymous` is looked for."""
