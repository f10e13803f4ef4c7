"""Kong's `acl`: which groups of consumers get in (schema of Kong 3.9.3; `include_consumer_groups` of
its enterprise edition)."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.dialects.schema import Items
from meshgate.model.policy import Acl


class AclConfig(Config):
    """Every field of the plugin."""

    allow: Items[Line] = ()
    deny: Items[Line] = ()
    hide_groups_header: bool = False
    always_use_authenticated_groups: bool = False
    include_consumer_groups: bool = False


def lower_acl(config: AclConfig, report: Report) -> Acl:
    """The policy: exactly one of `allow` and `deny`."""
    if bool(config.allow) == bool(config.deny):
        got = "both" if config.allow else "none"
        report.error("MG2103", (), f"must have exactly one of allow and deny, got {got}")
    return Acl(
        groups=tuple(dict.fromkeys(config.allow or config.deny)),
        deny=bool(config.deny),
        hide_groups_header=config.hide_groups_header,
        credentials_first=config.always_use_authenticated_groups,
        include_consumer_groups=config.include_consumer_groups,
        origin=report.origin(),
    )
