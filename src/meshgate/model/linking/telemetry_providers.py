"""Where telemetry goes: providers by name, and what MeshConfig says where nobody else does.

Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.linking.input import Input
from meshgate.model.mesh_config import FileAccessLog, LogFormat, PrometheusMetrics, Provider, ProviderAddress
from meshgate.model.names import ROOT_NAMESPACE, requested_host
from meshgate.model.route import Destination
from meshgate.model.telemetry import AccessLog

DEFAULT_SAMPLING_PERCENT = 1.0
"""Istio's."""
_BUILT_IN: Mapping[str, Provider] = MappingProxyType(
    {"envoy": FileAccessLog(), "prometheus": PrometheusMetrics()}
)
"""Providers that Istio has without MeshConfig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What MeshConfig says."""

    tracing: tuple[str, ...]
    metrics: tuple[str, ...]
    access_logs: tuple[str, ...]
    sampling_percent: float
    origin: Origin


class Providers:
    """The providers of a mesh; says MG3031 once for each place that names one in vain."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._given, self._findings = given, findings
        self._said: set[tuple[Origin, str]] = set()

    def named(self, name: str, origin: Origin, ref: ObjectRef) -> Provider | None:
        """The provider of that name, in any case; MG3031 where there is none."""
        for one in self._given.mesh_config.extension_providers:
            if one.name.lower() == name.lower():
                return one.provider
        found = _BUILT_IN.get(name.lower())
        if found is None:
            self.missing(name, origin, ref, "MeshConfig has no extension provider of that name")
        return found

    def collector(
        self, name: str, address: ProviderAddress, origin: Origin, ref: ObjectRef
    ) -> Destination | None:
        """Where a provider answers; MG3031 where that is no service's port."""
        host = requested_host(address.service.rpartition("/")[2], ROOT_NAMESPACE)
        service = self._given.hosts.get(host)
        if service is None or service.port(address.port) is None:
            where = f"{address.service} port {address.port}"
            self.missing(name, origin, ref, f"its service {where} does not exist; nothing is sent")
            return None
        return Destination(host=host, port=address.port)

    def missing(self, name: str, origin: Origin, ref: ObjectRef, why: str) -> None:
        """Says MG3031 once for each place."""
        if (origin, name) in self._said:
            return
        self._said.add((origin, name))
        self._findings.warn("MG3031", origin, ref, f"provider {name}: {why}", "see extensionProviders")

    def mesh_log_format(self) -> LogFormat:
        """What MeshConfig says for logs whose provider says nothing."""
        return self._given.mesh_config.access_log_format

    def mesh_log(self) -> AccessLog | None:
        """`accessLogFile`: the log where neither Telemetry nor a default provider says anything."""
        path = self._given.mesh_config.access_log_file
        if not path:
            return None
        return AccessLog(provider=FileAccessLog(path=path, format=self.mesh_log_format()))

    @property
    def defaults(self) -> Defaults:
        """What holds where no Telemetry says anything."""
        config = self._given.mesh_config
        sampling = config.defaults.tracing_sampling_percent
        return Defaults(
            tracing=config.default_providers.tracing,
            metrics=config.default_providers.metrics or ("prometheus",),
            access_logs=config.default_providers.access_logging,
            sampling_percent=DEFAULT_SAMPLING_PERCENT if sampling is None else sampling,
            origin=config.origin,
        )
