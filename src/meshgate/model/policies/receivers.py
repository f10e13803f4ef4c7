"""To whom plugins that only watch tell of requests, where that may be a service of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, assert_never
from urllib.parse import urlsplit, urlunsplit

from meshgate.core.secret import Secret
from meshgate.model.policies.logs import FileLog, HttpLog, Log, Loggly, Syslog, TcpLog, UdpLog
from meshgate.model.policies.meters import Datadog, Statsd
from meshgate.model.policies.tracing import OpenTelemetry, Tracer, Zipkin

T = TypeVar("T", bound=Log | Tracer)
_PORTS = {"http": 80, "https": 443}


def receivers(policy: Log | Tracer) -> tuple[tuple[str, int], ...]:
    """(host, port) of those that it tells; none where it tells nobody over a network."""
    match policy:
        case HttpLog():
            return (server_of(policy.endpoint),)
        case Zipkin() | OpenTelemetry():
            return (server_of(policy.endpoint),) if policy.endpoint is not None else ()
        case TcpLog() | UdpLog() | Loggly() | Statsd() | Datadog():
            return ((policy.host, policy.port),)
        case FileLog() | Syslog():
            return ()
        case _:
            assert_never(policy)


def with_hosts(policy: T, full: Callable[[str], str]) -> T:
    """The policy with its receiver's host by another name."""
    match policy:
        case HttpLog():
            return replace(policy, endpoint=_renamed(policy.endpoint, full))
        case Zipkin() | OpenTelemetry():
            endpoint = _renamed(policy.endpoint, full) if policy.endpoint is not None else None
            return replace(policy, endpoint=endpoint)
        case TcpLog() | UdpLog() | Loggly() | Statsd() | Datadog():
            return replace(policy, host=full(policy.host))
        case FileLog() | Syslog():
            return policy
        case _:
            assert_never(policy)


def server_of(url: Secret) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url.reveal_text())
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)


def _renamed(url: Secret, full: Callable[[str], str]) -> Secret:
    parts = urlsplit(url.reveal_text())
    host = parts.hostname or ""
    name = full(host)
    if name == host:
        return url
    login, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port is not None else ""
    return Secret.of(urlunsplit(parts._replace(netloc=f"{login}{at}{name}{port}")))
