"""Kong's `openid-connect`, as data: an identity provider says who asks."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.policies.session_store import SessionsInRedis
from meshgate.model.policies.stages import Stage

ClaimPath = tuple[str, ...]
"""Names from the outermost object to the claim."""
Pairs = tuple[tuple[str, str], ...]
"""Names and values, in their order."""
SecretPairs = tuple[tuple[str, Secret], ...]
"""The same, with values that may be keys."""

BODY_BYTES = 16 * 1024
"""How much of a body is read for what a form may bring; longer ones pass unread. Half of what the
gateway holds of a request, so that Envoy holds them back instead of refusing them."""


class OpenidMethod(enum.Enum):
    """A way to show who asks. The bridge looks for credentials in this order, Kong 3.9's."""

    SESSION = "session"
    BEARER = "bearer"
    INTROSPECTION = "introspection"
    USERINFO = "userinfo"
    REFRESH_TOKEN = "refresh_token"
    PASSWORD = "password"
    CLIENT_CREDENTIALS = "client_credentials"
    AUTHORIZATION_CODE = "authorization_code"


class CredentialPlace(enum.Enum):
    """Where a request may bring a credential."""

    HEADER = "header"
    QUERY = "query"
    BODY = "body"
    COOKIE = "cookie"


HEADER_OR_QUERY = frozenset({CredentialPlace.HEADER, CredentialPlace.QUERY})


class OpenidClientAuth(enum.Enum):
    """How a client shows the provider who it is (OpenID Connect Core 1.0, section 9)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    SECRET_JWT = "client_secret_jwt"
    PRIVATE_KEY_JWT = "private_key_jwt"
    NONE = "none"


class OpenidLoginAction(enum.Enum):
    """What follows a login."""

    UPSTREAM = "upstream"
    REDIRECT = "redirect"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidEndpoints:
    """Addresses at the provider; empty ones are those that discovery tells."""

    authorization: str = ""
    token: str = ""
    userinfo: str = ""
    introspection: str = ""
    revocation: str = ""
    end_session: str = ""
    pushed_authorization: str = ""
    jwks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidProvider:
    """The identity provider, and how it is reached."""

    issuer: str
    """Its identifier, or the address of its discovery document."""
    discovers: bool = True
    endpoints: OpenidEndpoints = field(default_factory=OpenidEndpoints)
    issuers_allowed: tuple[str, ...] = ()
    """Whose tokens count; empty: the issuer's own."""
    extra_jwks: tuple[str, ...] = ()
    discovery_headers: SecretPairs = ()
    rediscovery_s: float = 30
    """The least time between two looks for keys that are not known."""
    cache_s: float = 3600
    ssl_verify: bool = True
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidClient:
    """One registration at the provider, and where its users are sent."""

    id: str
    secret: Secret | None = None
    jwk: Secret | None = None
    """A private key as a JSON Web Key."""
    auth: OpenidClientAuth | None = None
    """None: what the provider takes."""
    algorithm: str = ""
    """Of the assertions that it signs; empty: HS256 or what fits the key."""
    redirect_uri: str = ""
    """Empty: the address that was asked for, without its query."""
    login_redirect_uri: str = ""
    logout_redirect_uri: str = ""
    unauthorized_redirect_uri: str = ""
    forbidden_redirect_uri: str = ""
    unexpected_redirect_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSources:
    """Where credentials are looked for."""

    bearer: frozenset[CredentialPlace] = HEADER_OR_QUERY
    bearer_cookie: str = ""
    bearer_header: str = ""
    """The only header that brings tokens; empty: Authorization, Access-Token, X-Access-Token."""
    password: frozenset[CredentialPlace] = HEADER_OR_QUERY
    client_credentials: frozenset[CredentialPlace] = HEADER_OR_QUERY
    refresh_token: frozenset[CredentialPlace] = HEADER_OR_QUERY
    refresh_token_name: str = "refresh_token"
    client_arg: str = "client_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCookie:
    """A cookie's name and attributes."""

    name: str
    path: str = "/"
    domain: str = ""
    same_site: str = ""
    http_only: bool = True
    secure: bool | None = None
    """None: where the request came by HTTPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidSession:
    """What becomes of a login in the client's cookie."""

    secret: Secret | None = None
    """None: one that is made at the bridge's start."""
    audience: str = "default"
    cookie: LoginCookie = field(default_factory=lambda: LoginCookie(name="session", same_site="Lax"))
    idling_s: float = 900
    rolling_s: float = 3600
    absolute_s: float = 86400
    bind: tuple[str, ...] = ()
    """`ip`, `scheme`, `user-agent`: a session ends when one of them is another."""
    disabled_for: frozenset[OpenidMethod] = frozenset()
    reverify: bool = False
    refresh_tokens: bool = True
    store: SessionsInRedis | None = None
    """None: the cookie holds the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidLogin:
    """The authorization code flow."""

    cookie: LoginCookie = field(default_factory=lambda: LoginCookie(name="authorization"))
    lasts_s: float = 600
    scopes: tuple[str, ...] = ("openid",)
    audience: tuple[str, ...] = ()
    arguments: Pairs = ()
    client_arguments: tuple[str, ...] = ()
    """Of the request's query, passed on to the provider."""
    response_mode: str = "query"
    max_age_s: int | None = None
    pkce: bool = True
    pushed: bool | None = None
    """Whether parameters go to the provider first; None: where it demands that."""
    action: OpenidLoginAction = OpenidLoginAction.UPSTREAM
    methods: frozenset[OpenidMethod] = frozenset({OpenidMethod.AUTHORIZATION_CODE})
    tokens: tuple[str, ...] = ("id_token",)
    tokens_in_query: bool = False
    preserve_query: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidLogout:
    """What ends a session; empty: nothing does."""

    methods: tuple[str, ...] = ("POST", "DELETE")
    query_arg: str = ""
    post_arg: str = ""
    uri_suffix: str = ""
    revoke_access: bool = False
    revoke_refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointExtra:
    """What more is said to an endpoint."""

    arguments: SecretPairs = ()
    client_arguments: tuple[str, ...] = ()
    """Names of what the request brings, passed on."""
    headers: SecretPairs = ()
    client_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidIntrospection:
    """How tokens are shown to the provider (RFC 7662)."""

    jwt_too: bool = False
    hint: str = "access_token"
    token_name: str = "token"
    auth: OpenidClientAuth | None = None
    extra: EndpointExtra = field(default_factory=EndpointExtra)
    cached: bool = True

    @property
    def of_token_alone(self) -> bool:
        """Whether an answer is remembered, and depends on nothing else that a request brings."""
        return self.cached and not self.extra.client_arguments and not self.extra.client_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidCaching:
    """How long answers of the provider are remembered, in seconds."""

    default_s: float = 3600
    least_s: float = 0
    most_s: float | None = None
    negative_s: float = 0
    tokens: bool = True
    user_info: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededClaim:
    """A claim that must be there: all words of one of the texts."""

    claim: ClaimPath
    any_of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDemands:
    """What a token must say besides being good."""

    needed: tuple[NeededClaim, ...] = ()
    claims_forbidden: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    leeway_s: float = 0
    shared_secret_signatures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidMapping:
    """Whose request it is, of what tokens say."""

    consumer_claims: tuple[ClaimPath, ...] = ()
    consumer_by: tuple[str, ...] = ("username", "custom_id")
    ignore_case: bool = False
    optional: bool = False
    credential_claim: ClaimPath = ("sub",)
    groups_claim: ClaimPath = ()
    search_user_info: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedTokens:
    """Headers that tell somebody about the tokens; empty names are not sent."""

    access_token: str = ""
    id_token: str = ""
    refresh_token: str = ""
    user_info: str = ""
    introspection: str = ""
    claims: tuple[tuple[str, ClaimPath], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidRefusals:
    """What is said to who may not come in."""

    unauthorized: str = "Unauthorized"
    forbidden: str = "Forbidden"
    forget_unauthorized: bool = True
    forget_forbidden: bool = True
    show_reason: bool = False
    show_error_code: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdConnect:
    """Kong's `openid-connect`: logins of browsers and tokens of programs."""

    STAGE: ClassVar[Stage] = Stage.AUTHENTICATION
    PRIORITY: ClassVar[int] = 1050

    provider: OpenidProvider
    methods: frozenset[OpenidMethod] = frozenset(OpenidMethod)
    clients: tuple[OpenidClient, ...] = ()
    sources: CredentialSources = field(default_factory=CredentialSources)
    session: OpenidSession = field(default_factory=OpenidSession)
    login: OpenidLogin = field(default_factory=OpenidLogin)
    logout: OpenidLogout = field(default_factory=OpenidLogout)
    token_extra: EndpointExtra = field(default_factory=EndpointExtra)
    user_info_extra: EndpointExtra = field(default_factory=EndpointExtra)
    revocation_auth: OpenidClientAuth | None = None
    revocation_token_name: str = "token"
    introspection: OpenidIntrospection = field(default_factory=OpenidIntrospection)
    caching: OpenidCaching = field(default_factory=OpenidCaching)
    demands: TokenDemands = field(default_factory=TokenDemands)
    mapping: OpenidMapping = field(default_factory=OpenidMapping)
    upstream: PassedTokens = field(default_factory=lambda: PassedTokens(access_token="authorization:bearer"))
    downstream: PassedTokens = field(default_factory=PassedTokens)
    refusals: OpenidRefusals = field(default_factory=OpenidRefusals)
    hide_credentials: bool = False
    run_on_preflight: bool = True
    anonymous: str = ""
    origin: Origin = BUILT_IN

    @property
    def deadline_ms(self) -> int:
        """Discovery, keys, tokens and what else the provider is asked, one after the other."""
        return 4 * self.provider.timeout_ms

    @property
    def max_body_bytes(self) -> int:
        """Of forms, where credentials or a logout may be in them."""
        sources = self.sources
        places = sources.bearer | sources.password | sources.client_credentials | sources.refresh_token
        posts = self.login.response_mode == "form_post" and OpenidMethod.AUTHORIZATION_CODE in self.methods
        return BODY_BYTES if posts or CredentialPlace.BODY in places or self.logout.post_arg else 0
