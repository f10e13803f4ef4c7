"""Addresses in a config."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from meshgate.dialects.schema import fault


def http_url(text: str) -> str:
    """Refuses what is no absolute http or https address."""
    if not _good(text):
        raise fault("MG2103", "must be an http:// or https:// address")
    return text


def _good(text: str) -> bool:
    if not text.isprintable() or any(sign in text for sign in " #\\"):
        return False
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not parts.username
        )
    except ValueError:
        return False


def is_local(url: str) -> bool:
    """Whether the address is this machine's own, which nobody else can listen to."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
