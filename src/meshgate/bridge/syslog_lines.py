"""Log entries in syslog's two forms: the machine's own (RFC 3164) and Loggly's (RFC 5424)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from meshgate.model.policies.logs import Loggly, Severities, Severity, Syslog

SENDER = "kong"
_USER = 1
"""The facility of what programs say."""
_LOGGLY_ENTERPRISE = 41058
"""Loggly's number at IANA, in its structured data."""
FACILITIES: Mapping[str, int] = MappingProxyType(
    {
        "kern": 0,
        "user": _USER,
        "mail": 2,
        "daemon": 3,
        "auth": 4,
        "syslog": 5,
        "lpr": 6,
        "news": 7,
        "uucp": 8,
        "cron": 9,
        "authpriv": 10,
        "ftp": 11,
        **{f"local{n}": 16 + n for n in range(8)},
    }
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def syslog_message(policy: Syslog, values: Mapping[str, object], text: bytes, now: datetime) -> bytes | None:
    """What goes into the machine's socket; None where it is not severe enough."""
    severity = _severity(policy.severities, values)
    if severity is None:
        return None
    local = now.astimezone()
    when = f"{_MONTHS[local.month - 1]} {local.day:2} {local:%H:%M:%S}"
    return f"<{FACILITIES[policy.facility] * 8 + severity.value}>{when} {SENDER}: ".encode() + text


def loggly_message(
    policy: Loggly, values: Mapping[str, object], text: bytes, now: datetime, host: str
) -> bytes | None:
    """What goes to Loggly; None where it is not severe enough."""
    severity = _severity(policy.severities, values)
    if severity is None:
        return None
    tags = " ".join(f'tag="{tag}"' for tag in policy.tags)
    told = f"[{policy.key.reveal_text()}@{_LOGGLY_ENTERPRISE} {tags}]"
    head = f"<{_USER * 8 + severity.value}>1 {now:%Y-%m-%dT%H:%M:%SZ} {host} {SENDER} - - {told} "
    return head.encode() + text


def _severity(severities: Severities, values: Mapping[str, object]) -> Severity | None:
    response = values["response"]
    assert isinstance(response, dict)
    return severities.of(response["status"])
