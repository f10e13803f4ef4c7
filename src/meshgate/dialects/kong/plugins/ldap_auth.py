"""Kong's `ldap-auth`: a directory knows the password (schema of Kong 3.9.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Line, Quotable, Report
from meshgate.dialects.schema import fault
from meshgate.model.policies.directory import LdapAuth

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|\d+(\.\d+)+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def _attribute(text: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        raise fault("MG2103", "must be the name of an attribute, like uid or cn")
    return text


def _scheme(text: str) -> str:
    if not _SCHEME.fullmatch(text):
        raise fault("MG2103", "must be one word of letters, digits and hyphens")
    return text


class LdapAuthConfig(Config):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"keepalive": "each question has a connection of its own"}

    ldap_host: Line
    ldap_port: Annotated[int, Field(ge=1, le=65535)] = 389
    ldaps: bool = False
    start_tls: bool = False
    verify_ldap_host: bool = False
    base_dn: Line
    attribute: Annotated[str, AfterValidator(_attribute)]
    cache_ttl: Annotated[float, Field(ge=0)] = 60
    hide_credentials: bool = False
    timeout: Annotated[float, Field(gt=0, le=60_000)] = 10_000
    anonymous: Line = ""
    header_type: Annotated[str, AfterValidator(_scheme)] = "ldap"
    realm: Quotable = ""


def lower_ldap_auth(config: LdapAuthConfig, report: Report) -> LdapAuth:
    """The policy."""
    if not config.ldap_host or not config.base_dn:
        missing = "base_dn" if config.ldap_host else "ldap_host"
        report.error("MG2103", (missing,), "must not be empty")
    if config.ldaps and config.start_tls:
        report.error("MG2103", ("start_tls",), "cannot be set beside ldaps", "keep one of the two")
    return LdapAuth(
        host=config.ldap_host,
        port=config.ldap_port,
        ldaps=config.ldaps,
        start_tls=config.start_tls,
        verify_host=config.verify_ldap_host,
        base_dn=config.base_dn,
        attribute=config.attribute,
        cache_s=config.cache_ttl,
        timeout_ms=config.timeout,
        hide_credentials=config.hide_credentials,
        header_type=config.header_type,
        realm=config.realm,
        anonymous=config.anonymous,
        origin=report.origin(),
    )
