"""Fields about what tokens must say, whose they are, and who gets to know it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line, Quotable
from meshgate.dialects.kong.plugins.openid_connect.login_fields import Method
from meshgate.dialects.kong.plugins.openid_connect.provider_fields import Seconds, Url
from meshgate.dialects.schema import Items

Path = Annotated[Items[Line], Field(min_length=1)]
"""Names from the outermost object to a claim."""
TokenHeader = Annotated[str, Field(pattern=r"^[!#$&'*+.^_`|~0-9A-Za-z-]+(:(bearer|basic))?$")]
"""A header's name; `:bearer` puts the scheme before the token."""


class HeaderMapping(Config):
    """One claim in one header (Kong 3.14)."""

    header: HeaderName
    path: Path


class DemandFields(Config):
    """What a token must say."""

    verify_claims: bool = True
    verify_nonce: bool = True
    verify_signature: bool = True
    verify_parameters: bool = False
    ignore_signature: Items[Method] = ()
    enable_hs_signatures: bool = False
    leeway: Seconds = 0
    domains: Items[Line] = ()
    claims_forbidden: Items[Line] = ()
    scopes_claim: Path = ("scope",)
    scopes_required: Items[Line] = ()
    audience_claim: Path = ("aud",)
    audience_required: Items[Line] = ()
    groups_claim: Path = ("groups",)
    groups_required: Items[Line] = ()
    roles_claim: Path = ("roles",)
    roles_required: Items[Line] = ()
    jwt_session_claim: Line = "sid"
    proof_of_possession_mtls: Literal["off", "optional", "strict"] = "off"
    proof_of_possession_dpop: Literal["off", "optional", "strict"] = "off"
    proof_of_possession_auth_methods_validation: bool = True
    dpop_use_nonce: bool = False
    dpop_proof_lifetime: Seconds = 300
    resolve_distributed_claims: bool = False


class IdentityFields(Config):
    """Whose request it is."""

    consumer_claim: Items[Line] = ()
    consumer_claims: Items[Items[Line]] = ()
    consumer_by: Items[Literal["custom_id", "id", "username"]] = ("username", "custom_id")
    by_username_ignore_case: bool = False
    consumer_optional: bool = False
    consumer_groups_optional: bool = False
    credential_claim: Path = ("sub",)
    authenticated_groups_claim: Items[Line] = ()
    search_user_info: bool = False
    anonymous: Line = ""
    hide_credentials: bool = False
    run_on_preflight: bool = True


class ShownFields(Config):
    """Who is told what."""

    upstream_access_token_header: TokenHeader | None = "authorization:bearer"
    upstream_id_token_header: TokenHeader | None = None
    upstream_refresh_token_header: TokenHeader | None = None
    upstream_user_info_header: HeaderName | None = None
    upstream_introspection_header: HeaderName | None = None
    upstream_headers_names: Items[HeaderName] = ()
    upstream_headers_claims: Items[Line] = ()
    upstream_headers: Items[HeaderMapping] = ()
    downstream_access_token_header: TokenHeader | None = None
    downstream_id_token_header: TokenHeader | None = None
    downstream_refresh_token_header: TokenHeader | None = None
    downstream_user_info_header: HeaderName | None = None
    downstream_introspection_header: HeaderName | None = None
    downstream_headers_names: Items[HeaderName] = ()
    downstream_headers_claims: Items[Line] = ()
    downstream_headers: Items[HeaderMapping] = ()
    unauthorized_error_message: Quotable = "Unauthorized"
    unauthorized_redirect_uri: Items[Url] = ()
    unauthorized_destroy_session: bool = True
    forbidden_error_message: Quotable = "Forbidden"
    forbidden_redirect_uri: Items[Url] = ()
    forbidden_destroy_session: bool = True
    unexpected_redirect_uri: Items[Url] = ()
    display_errors: bool = False
    expose_error_code: bool = True
