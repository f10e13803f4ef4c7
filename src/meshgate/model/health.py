"""Active health checks: of endpoints that are no pods, and of what Kong's upstreams ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """Good are statuses from 200 to 399."""

    path: str
    host: str = ""
    """The Host that is asked for; empty: the cluster's name."""
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[int, ...] = ()
    """Good ones; empty: 200 to 399."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """Good is a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCheck:
    """Good is SERVING of grpc.health.v1."""

    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """What proxies ask an endpoint from time to time; times in seconds."""

    action: HttpCheck | TcpCheck | GrpcCheck
    port: int
    period_s: int = 10
    timeout_s: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveCheck:
    """What the gateway asks every endpoint of a service, at the port where it serves."""

    action: HttpCheck | TcpCheck | GrpcCheck
    interval_ms: float
    """Between questions to an endpoint that is well."""
    unhealthy_interval_ms: float
    """And to one that is not."""
    timeout_ms: float = 1000
    successes: int = 1
    """In a row, until an endpoint counts as well again."""
    failures: int = 1
    """In a row, until it no longer does."""
