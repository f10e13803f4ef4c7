"""What holds for the whole mesh: Istio's MeshConfig, from the ConfigMap `istio` in the root namespace.

Without that ConfigMap everything has Istio's own defaults.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.service import EMPTY

MESH_CONFIG_REF = ObjectRef("ConfigMap", ROOT_NAMESPACE, "istio")
"""The object that says it."""


DETECTION_TIMEOUT_MS = 200.0


class OutboundMode(enum.Enum):
    """What a sidecar does with requests to hosts that the mesh does not know."""

    ALLOW_ANY = "ALLOW_ANY"
    """They go where the application sends them."""
    REGISTRY_ONLY = "REGISTRY_ONLY"
    """They are answered 502; other connections are closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAddress:
    """Where an extension provider answers."""

    service: str
    """`[<namespace>/]<host>`, as written; the host is a service's or a ServiceEntry's."""
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBodyInCheck:
    max_request_bytes: int
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtAuthz:
    """`envoyExtAuthzHttp` or `envoyExtAuthzGrpc`: who decides for CUSTOM policies."""

    address: ProviderAddress
    grpc: bool
    timeout_ms: float = 600_000
    """Istio's default is 10 minutes."""
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str = "403"
    """HTTP status of a request that could not be decided."""
    request_body: RequestBodyInCheck | None = None
    path_prefix: str = ""
    """HTTP only, as all that follow."""
    include_request_headers: tuple[str, ...] = ()
    include_additional_headers: Mapping[str, str] = EMPTY
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipkinTracing:
    address: ProviderAddress
    path: str = "/api/v2/spans"
    max_tag_length: int = 256
    enable_64bit_trace_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTelemetryTracing:
    address: ProviderAddress
    max_tag_length: int = 256
    http_path: str | None = None
    """None: spans go over gRPC."""
    http_timeout_ms: float = 5_000
    http_headers: tuple[tuple[str, str], ...] = ()
    environment_resource: bool = False
    """Attributes of the resource come from OTEL_RESOURCE_ATTRIBUTES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusMetrics:
    """The metrics that a scrape of the proxies gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """At most one of text and labels is set; both empty mean Istio's default line or object."""

    text: str = ""
    labels: Mapping[str, str] = EMPTY
    """JSON: key -> text with Envoy's command operators."""
    json: bool = False
    """JSON, also without labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAccessLog:
    path: str = "/dev/stdout"
    format: LogFormat = LogFormat()
    omit_empty_values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTelemetryAccessLog:
    address: ProviderAddress
    log_name: str = ""
    format: LogFormat = LogFormat()


Provider: TypeAlias = (
    ExtAuthz
    | ZipkinTracing
    | OpenTelemetryTracing
    | PrometheusMetrics
    | FileAccessLog
    | OpenTelemetryAccessLog
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionProvider:
    """A provider by the name that policies and Telemetry say."""

    name: str
    provider: Provider | None
    """None: one that is not supported or has errors (said at its place); what needs it stays closed."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultProviders:
    """Names of the providers that serve where no Telemetry names one."""

    tracing: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    access_logging: tuple[str, ...] = ()


class ClientCertificateHeader(enum.Enum):
    """What becomes of `x-forwarded-client-cert`, in Envoy's words."""

    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTopology:
    """What stands before the gateway."""

    trusted_proxies: int = 0
    """So many proxies add to X-Forwarded-For before the gateway does; the client is who the first
    of them saw. 0: the client is who connects."""
    proxy_protocol: bool = False
    """Each connection begins with a PROXY protocol header, and one without it is closed."""
    client_certificate: ClientCertificateHeader = ClientCertificateHeader.SANITIZE_SET
    """Istio's default at gateways: a client's own copy is replaced by what its certificate says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """ProxyConfig, from the mesh's `defaultConfig`, a ProxyConfig object or a pod's annotation.

    None and empty: not said here.
    """

    concurrency: int | None = None
    """Envoy's worker threads; 0: one for each core."""
    hold_application_until_proxy_starts: bool | None = None
    termination_drain_s: float | None = None
    proxy_metadata: Mapping[str, str] = EMPTY
    """Environment of the proxy, and its metadata for patches that match by it."""
    tracing_sampling_percent: float | None = None
    topology: GatewayTopology = GatewayTopology()

    def over(self, wider: ProxySettings) -> ProxySettings:
        """These settings, and the wider ones where these say nothing; metadata of both."""
        return ProxySettings(
            concurrency=wider.concurrency if self.concurrency is None else self.concurrency,
            hold_application_until_proxy_starts=wider.hold_application_until_proxy_starts
            if self.hold_application_until_proxy_starts is None
            else self.hold_application_until_proxy_starts,
            termination_drain_s=wider.termination_drain_s
            if self.termination_drain_s is None
            else self.termination_drain_s,
            proxy_metadata={**wider.proxy_metadata, **self.proxy_metadata},
            tracing_sampling_percent=wider.tracing_sampling_percent
            if self.tracing_sampling_percent is None
            else self.tracing_sampling_percent,
            topology=wider.topology,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalitySetting:
    """`localityLbSetting`: where requests go by the places of client and endpoints."""

    enabled: bool | None = None
    """None: on."""
    distribute: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = ()
    """(from, ((to, percent), ...)); places are `region/zone/subzone`, with `*`."""
    failover: tuple[tuple[str, str], ...] = ()
    """(from, to), regions."""
    failover_priority: tuple[str, ...] = ()
    """Labels, `key` or `key=value`, the most important first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshConfig:
    """The mesh-wide settings, with Istio's defaults."""

    outbound_mode: OutboundMode = OutboundMode.ALLOW_ANY
    protocol_detection_timeout_ms: float = DETECTION_TIMEOUT_MS
    """How long a connection's first bytes are waited for where they decide its way; 0: for ever."""
    trust_domain_aliases: tuple[str, ...] = ()
    enable_auto_mtls: bool = True
    access_log_file: str = ""
    """Empty: no access log."""
    access_log_format: LogFormat = LogFormat()
    """`accessLogFormat` and `accessLogEncoding`."""
    enable_tracing: bool = True
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders = DefaultProviders()
    defaults: ProxySettings = ProxySettings()
    """`defaultConfig`."""
    default_service_export_to: tuple[str, ...] = ("*",)
    default_virtual_service_export_to: tuple[str, ...] = ("*",)
    default_destination_rule_export_to: tuple[str, ...] = ("*",)
    locality: LocalitySetting = LocalitySetting()
    origin: Origin = BUILT_IN

    def provider(self, name: str) -> ExtensionProvider | None:
        """The provider of that name; None where there is none."""
        return next((p for p in self.extension_providers if p.name == name), None)
