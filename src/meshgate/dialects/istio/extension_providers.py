"""`extensionProviders` of MeshConfig: who decides, traces, measures and logs beside the proxies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.log_format import checked_format
from meshgate.dialects.schema import DurationMs, Items, Spec, problem
from meshgate.model.mesh_config import (
    ExtAuthz,
    ExtensionProvider,
    FileAccessLog,
    LogFormat,
    OpenTelemetryAccessLog,
    OpenTelemetryTracing,
    PrometheusMetrics,
    Provider,
    ProviderAddress,
    RequestBodyInCheck,
    ZipkinTracing,
)
from meshgate.model.service import EMPTY

Port = Annotated[int, Field(ge=1, le=65535)]
TagLength = Annotated[int, Field(ge=1, le=2**31 - 1)]


class ServiceSpec(Spec):
    """Where most providers answer."""

    service: Annotated[str, Field(min_length=1)]
    port: Port

    def address(self) -> ProviderAddress:
        """The address as written."""
        return ProviderAddress(service=self.service, port=self.port)


class RequestBodySpec(Spec):
    """How much of a request's body the authorizer sees."""

    max_request_bytes: Annotated[int, Field(ge=1, le=2**32 - 1)]
    allow_partial_message: bool = False
    pack_as_bytes: bool = False

    def lower(self) -> RequestBodyInCheck:
        """The same, for the model."""
        return RequestBodyInCheck(
            max_request_bytes=self.max_request_bytes,
            allow_partial_message=self.allow_partial_message,
            pack_as_bytes=self.pack_as_bytes,
        )


class ExtAuthzGrpcSpec(ServiceSpec):
    """Istio's `EnvoyExternalAuthorizationGrpcProvider`."""

    timeout: DurationMs = 600_000
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: Annotated[str, Field(pattern=r"^[1-5][0-9][0-9]$")] = "403"
    include_request_body_in_check: RequestBodySpec | None = None

    def lower(self) -> ExtAuthz:
        """Asked over gRPC."""
        body = self.include_request_body_in_check
        return ExtAuthz(
            address=self.address(),
            grpc=True,
            timeout_ms=self.timeout,
            fail_open=self.fail_open,
            clear_route_cache=self.clear_route_cache,
            status_on_error=self.status_on_error,
            request_body=body.lower() if body else None,
        )


class ExtAuthzHttpSpec(ExtAuthzGrpcSpec):
    """Istio's `EnvoyExternalAuthorizationHttpProvider`."""

    path_prefix: Annotated[str, Field(pattern=r"^(/|$)")] = ""
    include_headers_in_check: Items[str] = ()
    include_request_headers_in_check: Items[str] = ()
    include_additional_headers_in_check: Mapping[str, str] = EMPTY
    headers_to_upstream_on_allow: Items[str] = ()
    headers_to_downstream_on_deny: Items[str] = ()
    headers_to_downstream_on_allow: Items[str] = ()

    def lower(self) -> ExtAuthz:
        """Asked over HTTP."""
        body = self.include_request_body_in_check
        return ExtAuthz(
            address=self.address(),
            grpc=False,
            timeout_ms=self.timeout,
            fail_open=self.fail_open,
            clear_route_cache=self.clear_route_cache,
            status_on_error=self.status_on_error,
            request_body=body.lower() if body else None,
            path_prefix=self.path_prefix,
            # The first is the old name of the second (Istio 1.9).
            include_request_headers=self.include_request_headers_in_check or self.include_headers_in_check,
            include_additional_headers=self.include_additional_headers_in_check,
            headers_to_upstream_on_allow=self.headers_to_upstream_on_allow,
            headers_to_downstream_on_deny=self.headers_to_downstream_on_deny,
            headers_to_downstream_on_allow=self.headers_to_downstream_on_allow,
        )


class ZipkinSpec(ServiceSpec):
    """Istio's `ZipkinTracingProvider`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "traceContextOption": "B3 and W3C's trace context are both understood and both sent",
        "timeout": "Envoy's own timeout holds",
        "headers": "no headers are added to the spans' requests",
    }

    path: str = "/api/v2/spans"
    max_tag_length: TagLength = 256
    enable_64bit_trace_id: Annotated[bool, Field(alias="enable64bitTraceId")] = False

    def lower(self) -> ZipkinTracing:
        """Spans in Zipkin's JSON."""
        return ZipkinTracing(
            address=self.address(),
            path=self.path,
            max_tag_length=self.max_tag_length,
            enable_64bit_trace_id=self.enable_64bit_trace_id,
        )


class OtelHeaderSpec(Spec):
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "envName": "values from the environment are not supported; the server would refuse the spans"
    }

    name: str
    value: str = ""


class OtelHttpSpec(Spec):
    path: str
    timeout: DurationMs = 5_000
    headers: Items[OtelHeaderSpec] = ()


class OtelResourcesSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"dynatrace": "only the environment is read"}

    environment: Mapping[str, object] | None = None


class OpenTelemetrySpec(ServiceSpec):
    """Istio's `OpenTelemetryTracingProvider`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "dynatraceSampler": "sampling is as Telemetry says",
        "grpc": "Envoy's own timeout holds and no metadata is sent",
    }

    max_tag_length: TagLength = 256
    http: OtelHttpSpec | None = None
    resource_detectors: OtelResourcesSpec = OtelResourcesSpec()

    def lower(self) -> OpenTelemetryTracing:
        """Spans in OTLP."""
        http = self.http
        return OpenTelemetryTracing(
            address=self.address(),
            max_tag_length=self.max_tag_length,
            http_path=http.path if http else None,
            http_timeout_ms=http.timeout if http else 5_000,
            http_headers=tuple((h.name, h.value) for h in http.headers) if http else (),
            environment_resource=self.resource_detectors.environment is not None,
        )


class PrometheusSpec(Spec):
    """Istio's `PrometheusMetricsProvider` has no fields."""

    def lower(self) -> PrometheusMetrics:
        """Metrics at the proxies' own endpoint."""
        return PrometheusMetrics()


class FileLogFormatSpec(Spec):
    text: str = ""
    labels: Mapping[str, str] = EMPTY

    def lower(self) -> LogFormat:
        """The same, for the model."""
        return LogFormat(text=self.text, labels=self.labels)


class FileAccessLogSpec(Spec):
    """Istio's `EnvoyFileAccessLogProvider`."""

    path: Annotated[str, Field(min_length=1)] = "/dev/stdout"
    log_format: FileLogFormatSpec = FileLogFormatSpec()
    omit_empty_values: bool = False

    def lower(self) -> FileAccessLog:
        """Lines into a file."""
        return FileAccessLog(
            path=self.path, format=self.log_format.lower(), omit_empty_values=self.omit_empty_values
        )


class OtelAccessLogSpec(ServiceSpec):
    """Istio's `EnvoyOpenTelemetryLogProvider`."""

    log_name: str = ""
    log_format: FileLogFormatSpec = FileLogFormatSpec()

    def lower(self) -> OpenTelemetryAccessLog:
        """Records in OTLP."""
        return OpenTelemetryAccessLog(
            address=self.address(), log_name=self.log_name, format=self.log_format.lower()
        )


class ExtensionProviderSpec(Spec):
    """A name and exactly one provider."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "lightstep",
            "datadog",
            "stackdriver",
            "opencensus",
            "skywalking",
            "envoyHttpAls",
            "envoyTcpAls",
            "sds",
        ),
        "is not supported; what names it goes without",
    )

    name: Annotated[str, Field(min_length=1)]
    envoy_ext_authz_http: ExtAuthzHttpSpec | None = None
    envoy_ext_authz_grpc: ExtAuthzGrpcSpec | None = None
    zipkin: ZipkinSpec | None = None
    opentelemetry: OpenTelemetrySpec | None = None
    prometheus: PrometheusSpec | None = None
    envoy_file_access_log: FileAccessLogSpec | None = None
    envoy_otel_als: OtelAccessLogSpec | None = None

    def chosen(self) -> list[Provider]:
        """Every provider that is set; one is allowed."""
        kinds = (
            self.envoy_ext_authz_http,
            self.envoy_ext_authz_grpc,
            self.zipkin,
            self.opentelemetry,
            self.prometheus,
            self.envoy_file_access_log,
            self.envoy_otel_als,
        )
        return [spec.lower() for spec in kinds if spec is not None]


def lower_providers(
    specs: tuple[ExtensionProviderSpec, ...], document: Document, said: list[Diagnostic]
) -> tuple[ExtensionProvider, ...]:
    """The providers by name; MG2006 for a name that is there twice and for two kinds in one."""
    found: dict[str, ExtensionProvider] = {}
    for index, spec in enumerate(specs):
        path: FieldPath = ("extensionProviders", index)
        chosen = spec.chosen()
        if spec.name in found:
            said.append(problem(document, "MG2006", (*path, "name"), f"provider {spec.name} is there twice"))
        elif len(chosen) > 1:
            said.append(problem(document, "MG2006", path, "must have one kind of provider, not several"))
        found.setdefault(
            spec.name,
            ExtensionProvider(
                name=spec.name,
                provider=_checked(chosen[0], document, path, said) if len(chosen) == 1 else None,
                origin=document.locate(path),
            ),
        )
    return tuple(found.values())


def _checked(provider: Provider, document: Document, path: FieldPath, said: list[Diagnostic]) -> Provider:
    """The provider, with a format that Envoy takes where it is one of access logs."""
    match provider:
        case FileAccessLog():
            at = (*path, "envoyFileAccessLog", "logFormat")
            return replace(provider, format=checked_format(provider.format, document, at, said))
        case OpenTelemetryAccessLog():
            at = (*path, "envoyOtelAls", "logFormat")
            return replace(provider, format=checked_format(provider.format, document, at, said))
        case _:
            return provider
