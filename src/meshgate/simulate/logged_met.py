"""What plugins that only watch say to a request; see `plugins_met`."""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never
from urllib.parse import urlsplit

from meshgate.model.policies.logs import FileLog, HttpLog, Log, Loggly, Syslog, TcpLog, UdpLog
from meshgate.model.policies.meters import Datadog, Statsd
from meshgate.model.policies.receivers import server_of
from meshgate.model.policies.tracing import Tracer, Zipkin
from meshgate.policies import traces
from meshgate.policies.route_logs import FILTER
from meshgate.simulate.verdict import PolicyMet


def logged_met(policy: Log, on: Collection[str]) -> PolicyMet | None:
    """The plugin's part; None where the route's filters `on` note nothing."""
    if FILTER not in on and not isinstance(policy, Statsd | Datadog):
        return None
    kind, whither = _whither(policy)
    return PolicyMet(kind=kind, says=f"is written down for {whither}", origin=policy.origin)


def traced_met(policy: Tracer, on: Collection[str]) -> PolicyMet | None:
    """The plugin's part; None where the route's filters `on` carry no trace."""
    if not {traces.FILTER, traces.LATE_FILTER} & set(on):
        return None
    kind, ratio = (
        ("zipkin", policy.sample_ratio)
        if isinstance(policy, Zipkin)
        else ("opentelemetry", policy.sampling_ratio)
    )
    says = "carries its trace on"
    if policy.endpoint is not None:
        says += f"; {server_of(policy.endpoint)[0]} is sent spans of {ratio * 100:.6g}% of such requests"
    return PolicyMet(kind=kind, says=says, origin=policy.origin)


def _whither(policy: Log) -> tuple[str, str]:
    match policy:
        case HttpLog():
            # Nothing else of the URL: it may hold a password or a key.
            return "http-log", urlsplit(policy.endpoint.reveal_text()).hostname or "a server"
        case TcpLog():
            return "tcp-log", f"{policy.host}:{policy.port}"
        case UdpLog():
            return "udp-log", f"{policy.host}:{policy.port}"
        case FileLog():
            return "file-log", policy.path
        case Syslog():
            return "syslog", "this machine's syslog"
        case Loggly():
            return "loggly", f"{policy.host}:{policy.port}"
        case Statsd():
            return "statsd", f"{policy.host}:{policy.port}"
        case Datadog():
            return "datadog", f"{policy.host}:{policy.port}"
        case _:
            assert_never(policy)
