"""Kong's `basic-auth`: a username and a password (schema of Kong 3.9.3)."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.config import Config, Line, Quotable, Report
from meshgate.model.policy import BasicAuth


class BasicAuthConfig(Config):
    """Every field of the plugin."""

    hide_credentials: bool = False
    realm: Quotable = "service"
    anonymous: Line = ""


def lower_basic_auth(config: BasicAuthConfig, report: Report) -> BasicAuth:
    """The policy."""
    return BasicAuth(
        hide_credentials=config.hide_credentials,
        realm=config.realm,
        anonymous=config.anonymous,
        origin=report.origin(),
    )
