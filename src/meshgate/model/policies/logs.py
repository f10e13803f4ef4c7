"""Kong's plugins that write down each request, as data: to whom, and how.

They only watch: nothing about them may stop a request. Envoy tells the bridge of requests that have
ended, and the bridge tells the receivers.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.policies.meters import Datadog, Statsd
from meshgate.model.policies.queues import ONE_BY_ONE, QueueLimits
from meshgate.model.policies.tracing import Tracer


class Severity(enum.Enum):
    """Syslog's; the value is its number: the lower, the worse."""

    EMERG = 0
    ALERT = 1
    CRIT = 2
    ERR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Severities:
    """How severe an answer is, by its status, and what is worth telling."""

    log_level: Severity = Severity.INFO
    """What is less severe is not told."""
    successful: Severity = Severity.INFO
    client_errors: Severity = Severity.INFO
    server_errors: Severity = Severity.INFO

    def of(self, status: int) -> Severity | None:
        """The severity of an answer; None where it is not told."""
        found = self.successful
        if status >= 500:
            found = self.server_errors
        elif status >= 400:
            found = self.client_errors
        return found if found.value <= self.log_level.value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLog:
    """Kong's `http-log`."""

    endpoint: Secret
    """A URL, which may hold a password."""
    method: str = "POST"
    content_type: str = "application/json"
    timeout_ms: float = 10_000
    keepalive_ms: float = 60_000
    headers: tuple[tuple[str, Secret], ...] = ()
    queue: QueueLimits = ONE_BY_ONE
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpLog:
    """Kong's `tcp-log`."""

    host: str
    port: int
    timeout_ms: float = 10_000
    keepalive_ms: float = 60_000
    tls: bool = False
    tls_sni: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpLog:
    """Kong's `udp-log`."""

    host: str
    port: int
    timeout_ms: float = 10_000
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLog:
    """Kong's `file-log`."""

    path: str
    reopen: bool = False
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Syslog:
    """Kong's `syslog`: this machine's."""

    facility: str = "user"
    severities: Severities = Severities()
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Loggly:
    """Kong's `loggly`: syslog's form, over UDP, with a customer's key."""

    key: Secret
    host: str = "logs-01.loggly.com"
    port: int = 514
    tags: tuple[str, ...] = ("kong",)
    severities: Severities = Severities()
    timeout_ms: float = 10_000
    origin: Origin = BUILT_IN


Log = HttpLog | Statsd | Datadog | FileLog | UdpLog | TcpLog | Loggly | Syslog

LOGS: tuple[type[Log], ...] = (HttpLog, Statsd, Datadog, FileLog, UdpLog, TcpLog, Loggly, Syslog)
"""All of them, in Kong's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRoute:
    """What the bridge must know to tell of the requests of a route."""

    logs: tuple[Log, ...]
    tracers: tuple[Tracer, ...] = ()
    """In Kong's order."""
    route: str
    """Kong's name of it."""
    service: str
    """Kong's name of it; empty where the route leads to none."""
    host: str = ""
    port: int = 0
    """Of the service."""
    path: str = ""
    """What the route's first match asks for; only where spans say it."""
    correlation_header: str = ""
    """Lower case; the one that `correlation-id` names requests by, where it does."""
