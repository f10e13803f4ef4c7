"""How a service is reached: subsets, balancing, pools, outliers, TLS (DestinationRule)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.edge import PairFiles
from meshgate.model.health import ActiveCheck
from meshgate.model.mesh_config import LocalitySetting


class Balance(enum.Enum):
    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistentHash:
    """Exactly one of the keys is set, `header` to `capture`."""

    header: str = ""
    cookie: str = ""
    cookie_path: str = ""
    cookie_ttl_ms: float | None = None
    cookie_attributes: tuple[tuple[str, str], ...] = ()
    """(name, value), for the cookie that Envoy sets."""
    source_ip: bool = False
    query_parameter: str = ""
    path: bool = False
    """The request's path without its query."""
    capture: str = ""
    """Number or name of a group of the route's regular expression; routes without it have no such key."""
    fallback: ConsistentHash | None = None
    """For requests that do not have the key."""
    maglev_table_size: int = 0
    """Non-zero chooses Maglev."""
    minimum_ring_size: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """New endpoints begin with a small share that grows."""

    duration_ms: float
    minimum_percent: float | None = None
    """Of its full share at the beginning; Envoy's 10 where unset."""
    aggression: float | None = None
    """1, as where unset: grows in a straight line; more: faster at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """How an endpoint is chosen. Set as a whole: a narrower one replaces the wider's, part for part."""

    simple: Balance | None = None
    hash: ConsistentHash | None = None
    locality: LocalitySetting | None = None
    """None: as the mesh-wide setting says."""
    warmup: Warmup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """Retries at once, as a share of the requests that are under way; stands in for `max_retries`."""

    percent: float = 20
    min_concurrency: int = 3
    """Allowed in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """Connections are asked for at the service, which is a proxy that carries them on."""

    host: str
    port: int
    post: bool = False
    """By POST in place of CONNECT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPool:
    """None leaves Envoy's (or Istio's) default."""

    max_connections: int | None = None
    connect_timeout_ms: float | None = None
    tcp_keepalive: tuple[int | None, int | None, int | None] | None = None
    """(probes, time in s, interval in s)."""
    max_connection_duration_ms: float | None = None
    tcp_idle_timeout_ms: float | None = None
    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_retries: int | None = None
    idle_timeout_ms: float | None = None
    h2_upgrade: bool | None = None
    """False: HTTP/1.1 also between proxies. True and None: HTTP/2 wherever both ends have a proxy."""
    max_concurrent_streams: int | None = None
    use_client_protocol: bool = False
    """HTTP/1.1 for what came in HTTP/1.1, HTTP/2 for HTTP/2."""
    http2_keepalive_ms: tuple[float, float] | None = None
    """(between pings, until one counts as lost)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """Ejection of endpoints that fail; times in ms. Istio's defaults where unset."""

    consecutive_5xx: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_local_origin_failures: int | None = None
    split_external_local_origin_errors: bool = False
    interval_ms: float | None = None
    base_ejection_ms: float | None = None
    max_ejection_percent: int | None = None
    min_health_percent: int | None = None
    error_codes: tuple[int, ...] = ()
    """Statuses that count as errors; empty: every 5xx."""


class ClientTlsMode(enum.Enum):
    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What SIMPLE and MUTUAL are done with."""

    sni: str = ""
    """Empty: the host itself, or with a wildcard host the one that a request asks for."""
    subject_alt_names: tuple[str, ...] = ()
    """Of which the server's certificate must have one; empty for the server name."""
    wildcards: bool = False
    """Whether `*.` before a name stands for one label of the certificate's (Gateway API); else it is text."""
    credential: str = ""
    """Name of a Secret beside the rule; empty for the authorities that the system trusts."""
    files: PairFiles | None = None
    """The client's own certificate (MUTUAL), instead of `credential`."""
    authorities_file: str = ""
    crl_file: str = ""
    insecure_skip_verify: bool = False
    named_by_request: bool = False
    """The server's name is the Host that is sent to it."""
    verify_depth: int | None = None
    """Authorities between the server's certificate and a trusted one, at most."""
    system_authorities: bool = False
    """Those that the system trusts, though there is a `credential` (for the client's certificate)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPolicy:
    """Every part may be None: then the wider policy's part holds (subset over port over rule)."""

    balancer: LoadBalancer | None = None
    pool: ConnectionPool | None = None
    outliers: Outliers | None = None
    tls: ClientTlsMode | None = None
    """None: mTLS by itself wherever the other side is meshed."""
    client_tls: ClientTls | None = None
    """Goes with `tls`. SIMPLE or MUTUAL without it cannot be had: the host is closed."""
    retry_budget: RetryBudget | None = None
    tunnel: Tunnel | None = None
    proxy_protocol: int = 0
    """Version of the PROXY header that is sent; 0 for none."""
    check: ActiveCheck | None = None
    """What the gateway asks endpoints by itself."""
    least_healthy_percent: float = 0
    """Where fewer endpoints are well, the service is down. Not with `hash`."""
    ports: tuple[tuple[int, TrafficPolicy], ...] = ()
    """Port-level policies; each replaces the rule's for that port, part by part unset = default."""

    @property
    def hash(self) -> ConsistentHash | None:
        """What makes the same client reach the same endpoint."""
        return self.balancer.hash if self.balancer else None

    @property
    def warmup(self) -> Warmup | None:
        """How new endpoints begin."""
        return self.balancer.warmup if self.balancer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    name: str
    labels: Mapping[str, str]
    policy: TrafficPolicy = TrafficPolicy()
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationPolicy:
    """What one namespace's DestinationRules for a host say together, after Istio's merge."""

    host: str
    namespace: str
    policy: TrafficPolicy = TrafficPolicy()
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ("*",)
    selector: tuple[tuple[str, str], ...] | None = None
    """Labels of the pods of its own namespace that it is for; None: for every client."""
    origin: Origin = BUILT_IN

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether it is for a client in this namespace with these labels."""
        if self.selector is None:
            return True
        return namespace == self.namespace and set(self.selector) <= set(labels.items())

    def subset(self, name: str) -> Subset | None:
        """The subset of that name."""
        return next((s for s in self.subsets if s.name == name), None)
