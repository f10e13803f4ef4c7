"""`connectionPool` of a traffic policy: how many connections and requests, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.schema import DurationMs, Spec
from meshgate.model.destination import ConnectionPool

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]

KEEPALIVE_TIMEOUT_MS = 10_000
"""Until a ping counts as lost, where a rule names the interval alone."""
KEEPALIVE_INTERVAL_MS = 30_000


class TcpKeepaliveSpec(Spec):
    """Probes, and in milliseconds the time before the first and between them."""

    probes: Count | None = None
    time: DurationMs | None = None
    interval: DurationMs | None = None


class TcpPoolSpec(Spec):
    """Istio's `TCPSettings`."""

    max_connections: Count | None = None
    connect_timeout: AtLeast1Ms | None = None
    tcp_keepalive: TcpKeepaliveSpec | None = None
    max_connection_duration: AtLeast1Ms | None = None
    idle_timeout: DurationMs | None = None


class Http2KeepaliveSpec(Spec):
    """Istio's `ConnectionKeepalive`."""

    interval: AtLeast1Ms | None = None
    timeout: AtLeast1Ms | None = None


class HttpPoolSpec(Spec):
    """Istio's `HTTPSettings`."""

    http1_max_pending_requests: Count | None = None
    http2_max_requests: Count | None = None
    max_requests_per_connection: Count | None = None
    max_retries: Count | None = None
    idle_timeout: DurationMs | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] = "DEFAULT"
    use_client_protocol: bool = False
    max_concurrent_streams: Count | None = None
    http2_keep_alive: Annotated[Http2KeepaliveSpec | None, Field(alias="http2KeepAlive")] = None


class ConnectionPoolSpec(Spec):
    """Istio's `ConnectionPoolSettings`."""

    tcp: TcpPoolSpec = TcpPoolSpec()
    http: HttpPoolSpec = HttpPoolSpec()


def lower_pool(spec: ConnectionPoolSpec) -> ConnectionPool:
    """The pool. A limit of 0 counts as none, as in Istio."""
    keepalive, pings = spec.tcp.tcp_keepalive, spec.http.http2_keep_alive
    upgrade = {"DEFAULT": None, "DO_NOT_UPGRADE": False, "UPGRADE": True}
    return ConnectionPool(
        max_connections=spec.tcp.max_connections or None,
        connect_timeout_ms=spec.tcp.connect_timeout,
        tcp_keepalive=(keepalive.probes, _seconds(keepalive.time), _seconds(keepalive.interval))
        if keepalive
        else None,
        max_connection_duration_ms=spec.tcp.max_connection_duration,
        tcp_idle_timeout_ms=spec.tcp.idle_timeout,
        http1_max_pending_requests=spec.http.http1_max_pending_requests or None,
        http2_max_requests=spec.http.http2_max_requests or None,
        max_requests_per_connection=spec.http.max_requests_per_connection,
        max_retries=spec.http.max_retries or None,
        idle_timeout_ms=spec.http.idle_timeout,
        h2_upgrade=upgrade[spec.http.h2_upgrade_policy],
        max_concurrent_streams=spec.http.max_concurrent_streams,
        use_client_protocol=spec.http.use_client_protocol,
        http2_keepalive_ms=(
            (pings.interval or KEEPALIVE_INTERVAL_MS, pings.timeout or KEEPALIVE_TIMEOUT_MS)
            if pings
            else None
        ),
    )


def _seconds(milliseconds: float | None) -> int | None:
    """Whole seconds, which is all that the kernel's keepalive knows; at least one."""
    return None if milliseconds is None else max(1, round(milliseconds / 1000))
