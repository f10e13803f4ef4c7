"""`trafficPolicy` of a DestinationRule: balancing, pools, outliers and TLS to a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.consistent_hash import ConsistentHashSpec, lower_hash
from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.istio.hosts import PortSelectorSpec
from meshgate.dialects.schema import DurationMs, Items, Spec, problem
from meshgate.model.destination import (
    Balance,
    ClientTls,
    ClientTlsMode,
    ConnectionPool,
    Outliers,
    TrafficPolicy,
)

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Percent = Annotated[int, Field(ge=0, le=100)]


class LoadBalancerSpec(Spec):
    """Istio's `LoadBalancerSettings`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "localityLbSetting": "all endpoints count as being in one place",
        "zoneAwareLbSetting": "all endpoints count as being in one place",
        "warmup": "new endpoints get their full share at once",
        "warmupDurationSecs": "new endpoints get their full share at once",
    }

    simple: (
        Literal["UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN"] | None
    ) = None
    consistent_hash: ConsistentHashSpec | None = None


class TcpKeepaliveSpec(Spec):
    """Probes, and in milliseconds the time before the first and between them."""

    probes: Count | None = None
    time: DurationMs | None = None
    interval: DurationMs | None = None


class TcpPoolSpec(Spec):
    """Istio's `TCPSettings`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "idleTimeout": "idle TCP connections are closed after Envoy's own hour"
    }

    max_connections: Count | None = None
    connect_timeout: AtLeast1Ms | None = None
    tcp_keepalive: TcpKeepaliveSpec | None = None
    max_connection_duration: AtLeast1Ms | None = None


class HttpPoolSpec(Spec):
    """Istio's `HTTPSettings`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "http2KeepAlive": "no HTTP/2 pings are sent",
        "useClientProtocol": "proxies speak HTTP/2 to each other whatever the client spoke",
    }

    http1_max_pending_requests: Count | None = None
    http2_max_requests: Count | None = None
    max_requests_per_connection: Count | None = None
    max_retries: Count | None = None
    idle_timeout: DurationMs | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] = "DEFAULT"
    max_concurrent_streams: Count | None = None


class ConnectionPoolSpec(Spec):
    """Istio's `ConnectionPoolSettings`."""

    tcp: TcpPoolSpec = TcpPoolSpec()
    http: HttpPoolSpec = HttpPoolSpec()


class OutlierSpec(Spec):
    """Istio's `OutlierDetection`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "outlierDetectionHttpErrorCodes": "every 5xx counts as an error, and nothing else"
    }

    consecutive_5xx_errors: Annotated[Count | None, Field(alias="consecutive5xxErrors")] = None
    consecutive_errors: Count | None = None
    consecutive_gateway_errors: Count | None = None
    consecutive_local_origin_failures: Count | None = None
    split_external_local_origin_errors: bool = False
    interval: AtLeast1Ms | None = None
    base_ejection_time: AtLeast1Ms | None = None
    max_ejection_percent: Percent | None = None
    min_health_percent: Percent | None = None


class ClientTlsSpec(Spec):
    """Istio's `ClientTLSSettings`; certificates come from Secrets, not from files of a container."""

    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "clientCertificate": "certificates come from a Secret by credentialName; its host is closed",
        "privateKey": "certificates come from a Secret by credentialName; its host is closed",
        "caCrl": "revocation lists are not supported; its host is closed",
    }

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = "DISABLE"
    credential_name: str = ""
    ca_certificates: str = ""
    subject_alt_names: Items[str] = ()
    sni: str = ""
    insecure_skip_verify: bool = False


class PortPolicySpec(Spec):
    """Istio's `PortTrafficPolicy`."""

    port: PortSelectorSpec
    load_balancer: LoadBalancerSpec | None = None
    connection_pool: ConnectionPoolSpec | None = None
    outlier_detection: OutlierSpec | None = None
    tls: ClientTlsSpec | None = None


class TrafficPolicySpec(Spec):
    """Istio's `TrafficPolicy`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "tunnel": "connections go to the service itself",
        "proxyProtocol": "no PROXY header is sent",
        "retryBudget": "retries are limited by connectionPool.http.maxRetries alone",
    }

    load_balancer: LoadBalancerSpec | None = None
    connection_pool: ConnectionPoolSpec | None = None
    outlier_detection: OutlierSpec | None = None
    tls: ClientTlsSpec | None = None
    port_level_settings: Items[PortPolicySpec] = ()


class PolicyLowering:
    """Lowers the traffic policies of one document and collects what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document = document
        self._said = said

    def policy(self, spec: TrafficPolicySpec | None, path: FieldPath) -> TrafficPolicy:
        """A rule's or subset's policy with those of its ports."""
        if spec is None:
            return TrafficPolicy()
        ports: dict[int, TrafficPolicy] = {}
        for index, one in enumerate(spec.port_level_settings):
            here = (*path, "portLevelSettings", index)
            if one.port.number in ports:
                self._add("MG2006", (*here, "port", "number"), f"port {one.port.number} is there twice")
            ports[one.port.number] = self._parts(one, here, ())
        return self._parts(spec, path, tuple(sorted(ports.items())))

    def _parts(
        self,
        spec: TrafficPolicySpec | PortPolicySpec,
        path: FieldPath,
        ports: tuple[tuple[int, TrafficPolicy], ...],
    ) -> TrafficPolicy:
        balancer = spec.load_balancer or LoadBalancerSpec()
        here = (*path, "loadBalancer")
        if balancer.simple and balancer.consistent_hash:
            self._add("MG2006", here, "must have one of simple and consistentHash")
        hashing = balancer.consistent_hash
        return TrafficPolicy(
            balance=_balance(balancer),
            hash=lower_hash(hashing, self._document, (*here, "consistentHash"), self._said)
            if hashing
            else None,
            pool=_pool(spec.connection_pool) if spec.connection_pool else None,
            outliers=self._outliers(spec.outlier_detection, (*path, "outlierDetection")),
            tls=self._tls(spec.tls, (*path, "tls")),
            client_tls=_client_tls(spec.tls),
            ports=ports,
        )

    def _outliers(self, spec: OutlierSpec | None, path: FieldPath) -> Outliers | None:
        if spec is None:
            return None
        consecutive = spec.consecutive_5xx_errors
        if spec.consecutive_errors is not None:
            self._add(
                "MG2007",
                (*path, "consecutiveErrors"),
                "consecutiveErrors is deprecated",
                severity=Severity.WARNING,
                remedy=f"write consecutive5xxErrors: {spec.consecutive_errors}",
            )
            consecutive = spec.consecutive_errors if consecutive is None else consecutive
        return Outliers(
            consecutive_5xx=consecutive,
            consecutive_gateway_errors=spec.consecutive_gateway_errors,
            consecutive_local_origin_failures=spec.consecutive_local_origin_failures,
            split_external_local_origin_errors=spec.split_external_local_origin_errors,
            interval_ms=spec.interval,
            base_ejection_ms=spec.base_ejection_time,
            max_ejection_percent=spec.max_ejection_percent,
            min_health_percent=spec.min_health_percent,
        )

    def _tls(self, spec: ClientTlsSpec | None, path: FieldPath) -> ClientTlsMode | None:
        if spec is None:
            return None
        if spec.mode == "MUTUAL" and not spec.credential_name:
            self._add(
                "MG1104",
                (*path, "mode"),
                "MUTUAL needs a certificate of the client; its host is closed",
                remedy="name a Secret with tls.crt, tls.key and ca.crt in credentialName",
            )
        if spec.ca_certificates not in ("", "system"):
            self._add(
                "MG1104",
                (*path, "caCertificates"),
                "authorities come from a Secret or the system, not from files; its host is closed",
                remedy="name a Secret with ca.crt in credentialName, or write system",
            )
        if spec.mode in ("DISABLE", "ISTIO_MUTUAL"):
            for attribute in sorted(spec.model_fields_set - {"mode"}):
                self._add(
                    "MG1103",
                    (*path, to_camel(attribute)),
                    f"has no effect beside mode {spec.mode}",
                    severity=Severity.WARNING,
                    remedy="use mode SIMPLE or MUTUAL, or remove it",
                )
        return ClientTlsMode(spec.mode)

    def _add(
        self,
        code: str,
        path: FieldPath,
        message: str,
        *,
        severity: Severity = Severity.ERROR,
        remedy: str = "",
    ) -> None:
        self._said.append(problem(self._document, code, path, message, severity=severity, remedy=remedy))


def _client_tls(spec: ClientTlsSpec | None) -> ClientTls | None:
    if spec is None or spec.mode not in ("SIMPLE", "MUTUAL"):
        return None
    return ClientTls(
        sni=spec.sni,
        subject_alt_names=spec.subject_alt_names,
        credential=spec.credential_name.removeprefix("kubernetes://"),
        insecure_skip_verify=spec.insecure_skip_verify,
    )


def _balance(spec: LoadBalancerSpec) -> Balance | None:
    match spec.simple:
        case None | "UNSPECIFIED":
            return None
        case "LEAST_CONN":
            return Balance.LEAST_REQUEST  # the name that Istio used until 1.14
        case _:
            return Balance(spec.simple)


def _pool(spec: ConnectionPoolSpec) -> ConnectionPool:
    keepalive = spec.tcp.tcp_keepalive
    upgrade = {"DEFAULT": None, "DO_NOT_UPGRADE": False, "UPGRADE": True}
    return ConnectionPool(
        max_connections=spec.tcp.max_connections,
        connect_timeout_ms=spec.tcp.connect_timeout,
        tcp_keepalive=(keepalive.probes, _seconds(keepalive.time), _seconds(keepalive.interval))
        if keepalive
        else None,
        max_connection_duration_ms=spec.tcp.max_connection_duration,
        http1_max_pending_requests=spec.http.http1_max_pending_requests,
        http2_max_requests=spec.http.http2_max_requests,
        max_requests_per_connection=spec.http.max_requests_per_connection,
        max_retries=spec.http.max_retries,
        idle_timeout_ms=spec.http.idle_timeout,
        h2_upgrade=upgrade[spec.http.h2_upgrade_policy],
        max_concurrent_streams=spec.http.max_concurrent_streams,
    )


def _seconds(milliseconds: float | None) -> int | None:
    """Whole seconds, which is all that the kernel's keepalive knows; at least one."""
    return None if milliseconds is None else max(1, round(milliseconds / 1000))
