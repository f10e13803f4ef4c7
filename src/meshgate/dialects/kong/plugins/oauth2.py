"""Kong's `oauth2`: the gateway hands out tokens (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line, Quotable, Report, Word
from meshgate.dialects.schema import Items, SecretText
from meshgate.model.policy import OAuth2

MAX_S = 2**31 - 1
GRANTS = {
    "enable_authorization_code": "authorization_code",
    "enable_implicit_grant": "implicit",
    "enable_client_credentials": "client_credentials",
    "enable_password_grant": "password",
}
"""Field -> the grant that it allows."""
_NEED_KEY = {"authorization_code", "implicit", "password"}


class OAuth2Config(Config):
    """Every field of the plugin."""

    scopes: Items[Word] | None = None
    mandatory_scope: bool = False
    provision_key: SecretText | None = None
    token_expiration: Annotated[int, Field(ge=0, le=MAX_S)] = 7200
    enable_authorization_code: bool = False
    enable_implicit_grant: bool = False
    enable_client_credentials: bool = False
    enable_password_grant: bool = False
    hide_credentials: bool = False
    accept_http_if_already_terminated: bool = False
    anonymous: Line = ""
    global_credentials: bool = False
    auth_header_name: HeaderName = "authorization"
    refresh_token_ttl: Annotated[int, Field(ge=0, le=MAX_S)] = 1_209_600
    reuse_refresh_token: bool = False
    pkce: Literal["none", "lax", "strict"] = "lax"
    realm: Quotable = ""


def lower_oauth2(config: OAuth2Config, report: Report) -> OAuth2:
    """The policy."""
    grants = frozenset(grant for field, grant in GRANTS.items() if getattr(config, field))
    if not grants:
        report.error("MG2103", (), f"must have at least one of {', '.join(GRANTS)}")
    if config.mandatory_scope and not config.scopes:
        report.error("MG2103", ("mandatory_scope",), "needs scopes", "add scopes")
    if config.provision_key is not None and not config.provision_key.reveal():
        report.error("MG2103", ("provision_key",), "must not be empty")
    if config.provision_key is None and grants & _NEED_KEY:
        report.warn(
            "MG2103",
            ("provision_key",),
            "without it nobody can ask for a token in a user's name; Kong would invent one",
            "set provision_key to a long random text that only your login page knows",
        )
    name = report.document.ref
    return OAuth2(
        name=f"{name.namespace}/{name.name}",
        scopes=tuple(dict.fromkeys(config.scopes)) if config.scopes is not None else None,
        mandatory_scope=config.mandatory_scope,
        provision_key=config.provision_key,
        token_expiration_s=config.token_expiration,
        refresh_token_ttl_s=config.refresh_token_ttl,
        reuse_refresh_token=config.reuse_refresh_token,
        grants=grants,
        pkce=config.pkce,
        hide_credentials=config.hide_credentials,
        global_credentials=config.global_credentials,
        accept_http_if_already_terminated=config.accept_http_if_already_terminated,
        auth_header_name=config.auth_header_name,
        realm=config.realm,
        anonymous=config.anonymous,
        origin=report.origin(),
    )
