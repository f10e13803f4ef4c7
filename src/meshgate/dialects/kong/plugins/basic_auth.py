"""Kong's `basic-auth`: a username and a password (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.dialects.kong.plugins.config import Config, Quotable, Report
from meshgate.model.policy import BasicAuth


class BasicAuthConfig(Config):
    """Every field of the plugin."""

    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "anonymous": "an anonymous consumer is not supported; the plugin stays closed"
    }

    hide_credentials: bool = False
    realm: Quotable = "service"


def lower_basic_auth(config: BasicAuthConfig, report: Report) -> BasicAuth:
    """The policy."""
    return BasicAuth(hide_credentials=config.hide_credentials, realm=config.realm, origin=report.origin())
