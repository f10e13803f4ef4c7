"""Kong's `jwt`: a signed token says who asks (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line, Quotable, Report, Word
from meshgate.dialects.schema import Items
from meshgate.model.policy import JwtAuth

MAX_EXPIRATION_S = 31_536_000
"""A year."""


class JwtConfig(Config):
    """Every field of the plugin."""

    uri_param_names: Items[Word] = ("jwt",)
    cookie_names: Items[Word] = ()
    header_names: Items[HeaderName] = ("authorization",)
    key_claim_name: Word = "iss"
    secret_is_base64: bool = False
    claims_to_verify: Items[Literal["exp", "nbf"]] = ()
    maximum_expiration: Annotated[int, Field(ge=0, le=MAX_EXPIRATION_S)] = 0
    run_on_preflight: bool = True
    realm: Quotable = ""
    anonymous: Line = ""


def lower_jwt(config: JwtConfig, report: Report) -> JwtAuth:
    """The policy; sets lose what is there twice."""
    if config.maximum_expiration and "exp" not in config.claims_to_verify:
        report.error(
            "MG2103", ("maximum_expiration",), "needs exp in claims_to_verify", "add exp to claims_to_verify"
        )
    return JwtAuth(
        header_names=tuple(dict.fromkeys(config.header_names)),
        uri_param_names=tuple(dict.fromkeys(config.uri_param_names)),
        cookie_names=tuple(dict.fromkeys(config.cookie_names)),
        key_claim_name=config.key_claim_name,
        verify_exp="exp" in config.claims_to_verify,
        verify_nbf="nbf" in config.claims_to_verify,
        secret_is_base64=config.secret_is_base64,
        maximum_expiration_s=config.maximum_expiration,
        run_on_preflight=config.run_on_preflight,
        realm=config.realm,
        anonymous=config.anonymous,
        origin=report.origin(),
    )
