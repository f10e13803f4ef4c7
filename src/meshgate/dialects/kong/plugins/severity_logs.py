"""Kong's `syslog` and `loggly`: a message for each request, as severe as its answer (Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from meshgate.dialects.kong.plugins.config import Config, Quotable, Report
from meshgate.dialects.kong.plugins.http_log import LUA, Milliseconds
from meshgate.dialects.kong.plugins.line_logs import Host, Port
from meshgate.dialects.schema import Items, SecretText, fault
from meshgate.model.policies.logs import Loggly, Severities, Severity, Syslog

Level = Literal["debug", "info", "notice", "warning", "err", "crit", "alert", "emerg"]
Facility = Literal[
    "auth",
    "authpriv",
    "cron",
    "daemon",
    "ftp",
    "kern",
    "lpr",
    "mail",
    "news",
    "syslog",
    "user",
    "uucp",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]


def _tag(text: str) -> str:
    if "]" in text:
        raise fault("MG2103", "must not hold brackets")
    return text


class _SeverityConfig(Config):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"custom_fields_by_lua": LUA}

    log_level: Level = "info"
    successful_severity: Level = "info"
    client_errors_severity: Level = "info"
    server_errors_severity: Level = "info"

    def severities(self) -> Severities:
        """The four together."""
        return Severities(
            log_level=Severity[self.log_level.upper()],
            successful=Severity[self.successful_severity.upper()],
            client_errors=Severity[self.client_errors_severity.upper()],
            server_errors=Severity[self.server_errors_severity.upper()],
        )


class SyslogConfig(_SeverityConfig):
    """Every field of `syslog`."""

    facility: Facility = "user"


class LogglyConfig(_SeverityConfig):
    """Every field of `loggly`."""

    key: SecretText
    host: Host = "logs-01.loggly.com"
    port: Port = 514
    tags: Items[Annotated[Quotable, AfterValidator(_tag)]] = ("kong",)
    timeout: Milliseconds = 10_000


def lower_syslog(config: SyslogConfig, report: Report) -> Syslog:
    """The policy."""
    return Syslog(facility=config.facility, severities=config.severities(), origin=report.origin())


def lower_loggly(config: LogglyConfig, report: Report) -> Loggly:
    """The policy."""
    key = config.key.reveal_text()
    if not key or not key.isprintable() or {" ", "]", '"'} & set(key):
        report.error("MG2103", ("key",), "must be a key without spaces, quotes and brackets")
    return Loggly(
        key=config.key,
        host=config.host,
        port=config.port,
        tags=tuple(dict.fromkeys(config.tags)),
        severities=config.severities(),
        timeout_ms=config.timeout,
        origin=report.origin(),
    )
