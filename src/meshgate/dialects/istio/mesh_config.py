"""MeshConfig: the key `mesh` of the ConfigMap `istio` in the root namespace (Istio 1.27).

A MeshConfig with errors does not open anything: of what cannot be read the mode for unknown
hosts is REGISTRY_ONLY, and no extension provider can be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.dialects.document import Document, Json
from meshgate.dialects.istio.extension_providers import ExtensionProviderSpec, lower_providers
from meshgate.dialects.istio.hosts import ExportTo
from meshgate.dialects.istio.locality import LocalitySpec, check_locality
from meshgate.dialects.istio.log_format import checked_format, json_labels, wrong_format
from meshgate.dialects.kind import Lowered
from meshgate.dialects.proxy_settings import ProxySettingsSpec
from meshgate.dialects.schema import DurationMs, Items, Spec, check, problem
from meshgate.dialects.yaml_inside import inner_document, placed
from meshgate.model.declared import Declared
from meshgate.model.mesh_config import (
    DETECTION_TIMEOUT_MS,
    DefaultProviders,
    LogFormat,
    MeshConfig,
    OutboundMode,
)
from meshgate.model.names import ROOT_NAMESPACE, TRUST_DOMAIN
from meshgate.model.service import EMPTY

KEY = ("data", "mesh")

NOT_YET = MappingProxyType(
    {
        "enableAutoMtls": "proxies speak mTLS wherever both ends have one",
    }
)
"""Fields that are read and in the model, and that nothing acts on yet: a warning each (MG1103)."""


class OutboundTrafficPolicySpec(Spec):
    mode: Literal["ALLOW_ANY", "REGISTRY_ONLY"] = "ALLOW_ANY"


class DefaultProvidersSpec(Spec):
    tracing: Items[str] = ()
    metrics: Items[str] = ()
    access_logging: Items[str] = ()

    def lower(self) -> DefaultProviders:
        """The same, for the model."""
        return DefaultProviders(
            tracing=self.tracing, metrics=self.metrics, access_logging=self.access_logging
        )


class MeshConfigSpec(Spec):
    """Istio 1.27's `MeshConfig`."""

    IGNORED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "ingressClass",
            "ingressService",
            "ingressControllerMode",
            "ingressSelector",
            "configSources",
            "certificates",
            "ca",
            "sdsUdsPath",
            "proxyListenPort",
            "proxyInboundListenPort",
            "proxyHttpPort",
            "disableEnvoyListenerLog",
            "enablePrometheusMerge",
            "dnsRefreshRate",
        ),
        "Kubernetes' business, or where processes of Istio's own listen",
    )
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "connectTimeout": "connections to services have 10 s, or what a DestinationRule says",
        "tcpKeepalive": "set it in a DestinationRule",
        "enableEnvoyAccessLogService": "name a provider in a Telemetry instead",
        "inboundTrafficPolicy": "ports that no service names are let through to the application",
        "h2UpgradePolicy": "proxies speak HTTP/2 to each other in any case",
        "inboundClusterStatName": "metrics keep their names",
        "outboundClusterStatName": "metrics keep their names",
        "discoverySelectors": "all namespaces are read",
        "serviceSettings": "services have their usual scope",
        "serviceScopeConfigs": "services have their usual scope",
        "defaultHttpRetryPolicy": "set retries in a VirtualService",
        "pathNormalization": "as with DECODE_AND_MERGE_SLASHES where policies hold, with BASE elsewhere",
        "hboneConfigs": "there is no ambient mode",
    }
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "caCertificates": "other authorities cannot be trusted mesh-wide",
        "verifyCertificateAtClient": "set TLS in a DestinationRule",
        "meshMTLS": "the TLS version and ciphers of the mesh cannot be set",
        "tlsDefaults": "the TLS version and ciphers outside of the mesh cannot be set",
    }

    outbound_traffic_policy: OutboundTrafficPolicySpec = OutboundTrafficPolicySpec()
    protocol_detection_timeout: DurationMs = DETECTION_TIMEOUT_MS
    trust_domain: str = TRUST_DOMAIN
    trust_domain_aliases: Items[str] = ()
    root_namespace: str = ROOT_NAMESPACE
    enable_auto_mtls: bool = True
    access_log_file: str = ""
    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    access_log_format: str = ""
    enable_tracing: bool = True
    extension_providers: Items[ExtensionProviderSpec] = ()
    default_providers: DefaultProvidersSpec = DefaultProvidersSpec()
    default_config: ProxySettingsSpec = ProxySettingsSpec()
    locality_lb_setting: LocalitySpec = LocalitySpec()
    default_service_export_to: Items[ExportTo] = ("*",)
    default_virtual_service_export_to: Items[ExportTo] = ("*",)
    default_destination_rule_export_to: Items[ExportTo] = ("*",)


def lower_mesh_config(document: Document) -> Lowered:
    """The settings of the key `mesh`; nothing where there is no such key."""
    data = document.data.get("data")
    text = data.get("mesh") if isinstance(data, Mapping) else None
    if not isinstance(text, str):
        return Lowered()
    inner, problems = inner_document(document, KEY, text)
    if inner is None:
        return _closed(document, problems, None)
    spec, said = check(MeshConfigSpec, inner)
    if spec is None:
        return _closed(document, placed(said, document, inner, KEY), inner.data)
    providers = lower_providers(spec.extension_providers, inner, said)
    log_format = _log_format(spec, inner, said)
    said.extend(check_locality(spec.locality_lb_setting, inner, ("localityLbSetting",)))
    _report(spec, inner, said)
    found = placed(said, document, inner, KEY)
    if has_errors(found):
        return _closed(document, found, inner.data)
    config = MeshConfig(
        outbound_mode=OutboundMode(spec.outbound_traffic_policy.mode),
        protocol_detection_timeout_ms=spec.protocol_detection_timeout,
        trust_domain_aliases=spec.trust_domain_aliases,
        enable_auto_mtls=spec.enable_auto_mtls,
        access_log_file=spec.access_log_file,
        access_log_format=log_format,
        enable_tracing=spec.enable_tracing,
        extension_providers=providers,
        default_providers=spec.default_providers.lower(),
        defaults=spec.default_config.lower(),
        default_service_export_to=spec.default_service_export_to,
        default_virtual_service_export_to=spec.default_virtual_service_export_to,
        default_destination_rule_export_to=spec.default_destination_rule_export_to,
        locality=spec.locality_lb_setting.lower(),
        origin=document.locate(KEY),
    )
    return Lowered(declared=Declared(mesh_configs=(config,)), diagnostics=found)


def _report(spec: MeshConfigSpec, inner: Document, said: list[Diagnostic]) -> None:
    """MG1103 for what has no effect: names that cannot be changed, and what nothing acts on yet."""
    fixed = (
        ("trustDomain", spec.trust_domain, TRUST_DOMAIN),
        ("rootNamespace", spec.root_namespace, ROOT_NAMESPACE),
    )
    for name, written, real in fixed:
        if written != real:
            said.append(_without_effect(inner, name, f"it is always {real}"))
    said.extend(_without_effect(inner, name, why) for name, why in NOT_YET.items() if name in inner.data)


def _log_format(spec: MeshConfigSpec, inner: Document, said: list[Diagnostic]) -> LogFormat:
    """`accessLogFormat` as `accessLogEncoding` reads it; Istio's default where it is wrong (MG2002)."""
    text, json_wanted = spec.access_log_format, spec.access_log_encoding == "JSON"
    labels, wrong = json_labels(text) if json_wanted and text else (EMPTY, "")
    if wrong:
        said.append(wrong_format(inner, ("accessLogFormat",), wrong))
    found = LogFormat(text="" if json_wanted else text, labels=labels, json=json_wanted)
    return checked_format(found, inner, ("accessLogFormat",), said)


def _without_effect(inner: Document, name: str, why: str) -> Diagnostic:
    message = f"has no effect: {why}"
    return problem(inner, "MG1103", (name,), message, severity=Severity.WARNING, key=True)


def _closed(document: Document, found: tuple[Diagnostic, ...], data: Json) -> Lowered:
    """What holds while the object has errors: nothing that it might have kept shut is opened."""
    policy = data.get("outboundTrafficPolicy", EMPTY) if isinstance(data, Mapping) else None
    mode = policy.get("mode", "ALLOW_ANY") if isinstance(policy, Mapping) else None
    outbound = OutboundMode.ALLOW_ANY if mode == "ALLOW_ANY" else OutboundMode.REGISTRY_ONLY
    config = MeshConfig(outbound_mode=outbound, origin=document.locate(KEY))
    return Lowered(declared=Declared(mesh_configs=(config,)), diagnostics=found, keep=True)
