"""Fields about the identity provider and what the gateway is to it (schema of Kong 3.9, and newer ones)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from meshgate.core.secret import Secret
from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line
from meshgate.dialects.kong.plugins.openid_connect.addresses import http_url
from meshgate.dialects.schema import Items, SecretText

Url = Annotated[str, AfterValidator(http_url)]
"""An absolute http or https address without a fragment."""
Seconds = Annotated[float, Field(ge=0, le=10 * 365 * 86400)]
ClientAuth = Literal[
    "client_secret_basic",
    "client_secret_jwt",
    "client_secret_post",
    "none",
    "private_key_jwt",
    "self_signed_tls_client_auth",
    "tls_client_auth",
]
Algorithm = Literal[
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "HS256",
    "HS384",
    "HS512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
]
SecretItems = Items[SecretText]


class JwkConfig(Config):
    """A private key as a JSON Web Key."""

    kty: Literal["RSA", "EC", "OKP", "oct"] | None = None
    use: Line | None = None
    key_ops: Items[Line] = ()
    alg: Algorithm | None = None
    kid: Line | None = None
    issuer: Line | None = None
    crv: Line | None = None
    x: Line | None = None
    y: Line | None = None
    n: Line | None = None
    e: Line | None = None
    d: SecretText | None = None
    p: SecretText | None = None
    q: SecretText | None = None
    dp: SecretText | None = None
    dq: SecretText | None = None
    qi: SecretText | None = None
    k: SecretText | None = None
    oth: SecretText | None = None
    r: SecretText | None = None
    t: SecretText | None = None
    x5u: Line | None = None
    x5c: Items[Line] = ()
    x5t: Line | None = None
    x5t_s256: Annotated[Line | None, Field(alias="x5t#S256")] = None

    def members(self) -> dict[str, str]:
        """What makes the key, in the clear."""
        names = ("kty", "alg", "kid", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi", "k")
        found = {name: getattr(self, name) for name in names}
        return {n: v.reveal_text() if isinstance(v, Secret) else v for n, v in found.items() if v is not None}


class ProviderFields(Config):
    """Where the provider is."""

    issuer: Url
    using_pseudo_issuer: bool = False
    discovery_headers_names: Items[HeaderName] = ()
    discovery_headers_values: SecretItems = ()
    rediscovery_lifetime: Seconds = 30
    extra_jwks_uris: Items[Url] = ()
    jwks_endpoint: Url | None = None
    issuers_allowed: Items[Line] = ()
    authorization_endpoint: Url | None = None
    token_endpoint: Url | None = None
    introspection_endpoint: Url | None = None
    userinfo_endpoint: Url | None = None
    revocation_endpoint: Url | None = None
    end_session_endpoint: Url | None = None
    pushed_authorization_request_endpoint: Url | None = None
    ssl_verify: bool = True
    timeout: Annotated[float, Field(gt=0, le=120_000)] = 10_000
    http_version: float = 1.1
    keepalive: bool = True


class ClientFields(Config):
    """What the gateway is to the provider."""

    client_id: Items[Line] = ()
    client_secret: SecretItems = ()
    client_auth: Items[ClientAuth] = ()
    client_alg: Items[Algorithm] = ()
    client_jwk: Items[JwkConfig] = ()
    client_arg: Line = "client_id"
    token_endpoint_auth_method: ClientAuth | None = None
    introspection_endpoint_auth_method: ClientAuth | None = None
    revocation_endpoint_auth_method: ClientAuth | None = None
    pushed_authorization_request_endpoint_auth_method: ClientAuth | None = None
    token_headers_names: Items[HeaderName] = ()
    token_headers_values: SecretItems = ()
    token_headers_client: Items[HeaderName] = ()
    token_post_args_names: Items[Line] = ()
    token_post_args_values: SecretItems = ()
    token_post_args_client: Items[Line] = ()
    introspection_accept: Literal[
        "application/json", "application/jwt", "application/token-introspection+jwt"
    ] = "application/json"
    introspection_hint: Line = "access_token"
    introspection_token_param_name: Line = "token"
    introspection_check_active: bool = True
    introspection_headers_names: Items[HeaderName] = ()
    introspection_headers_values: SecretItems = ()
    introspection_headers_client: Items[HeaderName] = ()
    introspection_post_args_names: Items[Line] = ()
    introspection_post_args_values: SecretItems = ()
    introspection_post_args_client: Items[Line] = ()
    introspect_jwt_tokens: bool = False
    userinfo_accept: Literal["application/json", "application/jwt"] = "application/json"
    userinfo_headers_names: Items[HeaderName] = ()
    userinfo_headers_values: SecretItems = ()
    userinfo_headers_client: Items[HeaderName] = ()
    userinfo_query_args_names: Items[Line] = ()
    userinfo_query_args_values: SecretItems = ()
    userinfo_query_args_client: Items[Line] = ()
    revocation_token_param_name: Line = "token"
    cache_ttl: Seconds = 3600
    cache_ttl_min: Seconds | None = None
    cache_ttl_max: Seconds | None = None
    cache_ttl_neg: Seconds | None = None
    cache_introspection: bool = True
    cache_tokens: bool = True
    cache_user_info: bool = True
    cache_token_exchange: bool = True
    token_cache_key_include_scope: bool = False
    cluster_cache_strategy: Literal["off", "redis"] = "off"
    tls_client_auth_ssl_verify: bool = True
