"""Kong's `key-auth`: a key that only the consumer knows (schema of Kong 3.9.3)."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Line, Quotable, Report
from meshgate.dialects.schema import Items
from meshgate.model.policy import KeyAuth


class KeyAuthConfig(Config):
    """Every field of the plugin."""

    key_names: Items[HeaderName] = ("apikey",)
    hide_credentials: bool = False
    key_in_header: bool = True
    key_in_query: bool = True
    key_in_body: bool = False
    run_on_preflight: bool = True
    realm: Quotable = ""
    anonymous: Line = ""


def lower_key_auth(config: KeyAuthConfig, report: Report) -> KeyAuth:
    """The policy."""
    if not config.key_names:
        report.error("MG2103", ("key_names",), "must name at least one header or parameter")
    if not (config.key_in_header or config.key_in_query or config.key_in_body):
        report.error(
            "MG2103",
            ("key_in_header",),
            "must be true where key_in_query and key_in_body are false, or no key is ever found",
        )
    return KeyAuth(
        key_names=tuple(dict.fromkeys(config.key_names)),
        hide_credentials=config.hide_credentials,
        key_in_header=config.key_in_header,
        key_in_query=config.key_in_query,
        key_in_body=config.key_in_body,
        run_on_preflight=config.run_on_preflight,
        realm=config.realm,
        anonymous=config.anonymous,
        origin=report.origin(),
    )
