"""Fields about logins, sessions and logouts (schema of Kong 3.9, and newer ones)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line, Word
from meshgate.dialects.kong.plugins.openid_connect.provider_fields import Seconds, Url
from meshgate.dialects.schema import Items, SecretText

Method = Literal[
    "authorization_code",
    "bearer",
    "client_credentials",
    "introspection",
    "kong_oauth2",
    "password",
    "refresh_token",
    "session",
    "userinfo",
]
SameSite = Literal["Default", "Lax", "None", "Strict"]
FormPlace = Literal["body", "header", "query"]
BearerPlace = Literal["body", "cookie", "header", "query"]
SessionHeader = Literal[
    "absolute-timeout", "audience", "id", "idling-timeout", "rolling-timeout", "subject", "timeout"
]

METHODS: tuple[Method, ...] = (
    "authorization_code",
    "bearer",
    "client_credentials",
    "introspection",
    "password",
    "refresh_token",
    "session",
    "userinfo",
)
PLACES: tuple[Literal["header", "query"], ...] = ("header", "query")


class LoginFields(Config):
    """Ways in, and the authorization code flow."""

    auth_methods: Items[Method] = METHODS
    bearer_token_param_type: Items[BearerPlace] = PLACES
    bearer_token_cookie_name: Word | None = None
    bearer_token_header_name: HeaderName | None = None
    password_param_type: Items[FormPlace] = PLACES
    client_credentials_param_type: Items[FormPlace] = PLACES
    refresh_token_param_type: Items[FormPlace] = PLACES
    refresh_token_param_name: Word | None = None
    id_token_param_type: Items[FormPlace] = PLACES
    redirect_uri: Items[Url] = ()
    response_mode: Literal[
        "form_post", "form_post.jwt", "fragment", "fragment.jwt", "jwt", "query", "query.jwt"
    ] = "query"
    response_type: Items[Line] = ("code",)
    scopes: Items[Word] = ("openid",)
    audience: Items[Line] = ()
    authorization_query_args_names: Items[Line] = ()
    authorization_query_args_values: Items[Line] = ()
    authorization_query_args_client: Items[Line] = ()
    max_age: Annotated[int, Field(ge=0)] | None = None
    require_proof_key_for_code_exchange: bool | None = None
    require_pushed_authorization_requests: bool | None = None
    require_signed_request_object: bool | None = None
    authorization_cookie_name: Word = "authorization"
    authorization_cookie_path: Line = "/"
    authorization_cookie_domain: Word | None = None
    authorization_cookie_same_site: SameSite = "Default"
    authorization_cookie_http_only: bool = True
    authorization_cookie_secure: bool | None = None
    authorization_rolling_timeout: Seconds = 600
    preserve_query_args: bool = False
    login_action: Literal["redirect", "response", "upstream"] = "upstream"
    login_methods: Items[Method] = ("authorization_code",)
    login_tokens: Items[Literal["access_token", "id_token", "introspection", "refresh_token", "tokens"]] = (
        "id_token",
    )
    login_redirect_mode: Literal["fragment", "query"] = "fragment"
    login_redirect_uri: Items[Url] = ()
    logout_methods: Items[Literal["DELETE", "GET", "POST"]] = ("POST", "DELETE")
    logout_query_arg: Word | None = None
    logout_post_arg: Word | None = None
    logout_uri_suffix: Line | None = None
    logout_redirect_uri: Items[Url] = ()
    logout_revoke: bool = False
    logout_revoke_access_token: bool = True
    logout_revoke_refresh_token: bool = True


class SessionFields(Config):
    """What becomes of a login in the client's cookie."""

    session_secret: SecretText | None = None
    session_audience: Line = "default"
    session_cookie_name: Word = "session"
    session_cookie_path: Line = "/"
    session_cookie_domain: Word | None = None
    session_cookie_same_site: SameSite = "Lax"
    session_cookie_http_only: bool = True
    session_cookie_secure: bool | None = None
    session_rolling_timeout: Seconds = 3600
    session_absolute_timeout: Seconds = 86400
    session_idling_timeout: Seconds = 900
    session_bind: Items[Literal["ip", "scheme", "user-agent"]] = ()
    disable_session: Items[Method] = ()
    refresh_tokens: bool = True
    reverify: bool = False
    session_storage: Literal["cookie", "memcache", "memcached", "redis"] = "cookie"
    session_store_metadata: bool = False
    session_enforce_same_subject: bool = False
    session_hash_subject: bool = False
    session_hash_storage_key: bool = False
    session_remember: bool = False
    session_remember_cookie_name: Word = "remember"
    session_remember_rolling_timeout: Seconds = 604800
    session_remember_absolute_timeout: Seconds = 2592000
    session_request_headers: Items[SessionHeader] = ()
    session_response_headers: Items[SessionHeader] = ()
    session_memcached_host: Line = "127.0.0.1"
    session_memcached_port: int = 11211
    session_memcached_ssl_verify: bool = True
