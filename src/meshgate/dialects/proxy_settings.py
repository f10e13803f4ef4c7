"""Istio's proxy settings: `defaultConfig` of MeshConfig, and the annotation `proxy.istio.io/config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.dialects.schema import DurationMs, Spec
from meshgate.model.mesh_config import ClientCertificateHeader, GatewayTopology, ProxySettings
from meshgate.model.service import EMPTY


class TracingSpec(Spec):
    """`tracing` of the old configuration; Telemetry says the same in newer manifests."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("zipkin", "lightstep", "datadog", "stackdriver", "openCensusAgent", "customTags"),
        "name a provider in a Telemetry instead",
    ) | {
        "maxPathTagLength": "paths are cut at Envoy's own length",
        "tlsSettings": "spans are sent as the provider's service is reached",
        "enableIstioTags": "spans have Envoy's own tags",
    }

    sampling: Annotated[float, Field(ge=0, le=100)] | None = None


class NoFields(Spec):
    """An object that only has to be there."""


class GatewayTopologySpec(Spec):
    """Istio 1.27's `Topology`."""

    num_trusted_proxies: Annotated[int, Field(ge=0, le=1024)] = 0
    forward_client_cert_details: Literal[
        "UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"
    ] = "UNDEFINED"
    proxy_protocol: NoFields | None = None

    def lower(self) -> GatewayTopology:
        """The same, for the model."""
        said = self.forward_client_cert_details
        default = GatewayTopology()
        return GatewayTopology(
            trusted_proxies=self.num_trusted_proxies,
            proxy_protocol=self.proxy_protocol is not None,
            client_certificate=(
                default.client_certificate if said == "UNDEFINED" else ClientCertificateHeader(said)
            ),
        )


class ProxySettingsSpec(Spec):
    """Istio 1.27's `ProxyConfig` of MeshConfig."""

    IGNORED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "image",
            "configPath",
            "binaryPath",
            "customConfigFile",
            "proxyBootstrapTemplatePath",
            "serviceCluster",
            "discoveryAddress",
            "discoveryRefreshDelay",
            "proxyAdminPort",
            "statusPort",
            "controlPlaneAuthPolicy",
            "availabilityZone",
            "meshId",
            "parentShutdownDuration",
            "connectTimeout",
        ),
        "Meshgate starts the proxy itself",
    )
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "drainDuration": "connections are drained as terminationDrainDuration says",
        "zipkinAddress": "name a provider in a Telemetry instead",
        "statsdUdpAddress": "metrics are scraped",
        "interceptionMode": "traffic is redirected as `meshgate up --isolation` says",
        "sds": "certificates come over the proxy's own connection",
        "envoyAccessLogService": "name a provider in a Telemetry instead",
        "envoyMetricsService": "metrics are scraped",
        "runtimeValues": "Envoy's runtime stays as it is",
        "extraStatTags": "metrics keep their labels",
        "readinessProbe": "a sidecar is ready when it has its listeners",
        "proxyStatsMatcher": "all of Envoy's own metrics are there",
        "caCertificatesPem": "only the mesh's own authority is trusted",
        "privateKeyProvider": "keys are in memory",
        "proxyHeaders": "Envoy's own headers stay as they are",
        "statsCompression": "answers of metrics are not compressed",
        "statNameLength": "names keep their length",
        "fileFlushInterval": "logs are written as Envoy does by itself",
        "fileFlushMinSizeKb": "logs are written as Envoy does by itself",
    }

    concurrency: Annotated[int, Field(ge=0, le=1024)] | None = None
    hold_application_until_proxy_starts: bool | None = None
    termination_drain_duration: DurationMs | None = None
    proxy_metadata: Mapping[str, str] = EMPTY
    tracing: TracingSpec = TracingSpec()
    gateway_topology: GatewayTopologySpec = GatewayTopologySpec()

    def lower(self) -> ProxySettings:
        """What is said, for the model."""
        drain = self.termination_drain_duration
        return ProxySettings(
            concurrency=self.concurrency,
            hold_application_until_proxy_starts=self.hold_application_until_proxy_starts,
            termination_drain_s=drain / 1000 if drain is not None else None,
            proxy_metadata=self.proxy_metadata,
            tracing_sampling_percent=self.tracing.sampling,
            topology=self.gateway_topology.lower(),
        )
