"""Kong's `hmac-auth`: a signature over parts of the request says who asks (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, Line, Quotable, Report, Word
from meshgate.dialects.schema import Items
from meshgate.model.policy import HmacAuth

Algorithm = Literal["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]


class HmacAuthConfig(Config):
    """Every field of the plugin."""

    hide_credentials: bool = False
    clock_skew: Annotated[float, Field(gt=0, le=31_536_000)] = 300
    anonymous: Line = ""
    validate_request_body: bool = False
    enforce_headers: Items[Word] = ()
    algorithms: Items[Algorithm] = ("hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512")
    realm: Quotable = ""


def lower_hmac_auth(config: HmacAuthConfig, report: Report) -> HmacAuth:
    """The policy; `hmac-sha224`, which only newer Kongs know, must be asked for."""
    if not config.algorithms:
        report.error("MG2103", ("algorithms",), "must name at least one, or no signature is ever good")
    return HmacAuth(
        hide_credentials=config.hide_credentials,
        clock_skew_s=config.clock_skew,
        anonymous=config.anonymous,
        validate_request_body=config.validate_request_body,
        enforce_headers=tuple(dict.fromkeys(name.lower() for name in config.enforce_headers)),
        algorithms=tuple(dict.fromkeys(config.algorithms)),
        realm=config.realm,
        origin=report.origin(),
    )
