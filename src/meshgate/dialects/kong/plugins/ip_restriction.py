"""Kong's `ip-restriction`: which addresses may call (schema of Kong 3.9.3)."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.dialects.schema import Items, fault
from meshgate.model.policy import IpRestriction


def _network(text: str) -> str:
    try:
        if "%" in text:  # a zone, which only this machine could tell
            raise ValueError
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise fault("MG2103", "must be an IP address or a network like 10.0.0.0/8") from None


Network = Annotated[str, AfterValidator(_network)]


class IpRestrictionConfig(Config):
    """Every field of the plugin."""

    allow: Items[Network] = ()
    deny: Items[Network] = ()
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    message: Line = ""


def lower_ip_restriction(config: IpRestrictionConfig, report: Report) -> IpRestriction:
    """The policy; networks lose what is there twice."""
    if not (config.allow or config.deny):
        report.error("MG2103", (), "must have allow, deny or both, got none")
    return IpRestriction(
        allow=tuple(dict.fromkeys(config.allow)),
        deny=tuple(dict.fromkeys(config.deny)),
        status=config.status or 403,
        message=config.message,
        origin=report.origin(),
    )
