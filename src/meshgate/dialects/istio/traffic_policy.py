"""`trafficPolicy` of a DestinationRule: balancing, pools, outliers and TLS to a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.certificate_files import SYSTEM, FilePath, file_path
from meshgate.dialects.istio.connection_pool import ConnectionPoolSpec, Count, lower_pool
from meshgate.dialects.istio.hosts import Host, PortNumber, PortSelectorSpec
from meshgate.dialects.istio.load_balancer import LoadBalancerSpec, lower_balancer
from meshgate.dialects.istio.locality import idle_failover
from meshgate.dialects.istio.outlier_detection import OutlierSpec, lower_outliers
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.destination import ClientTls, ClientTlsMode, RetryBudget, TrafficPolicy, Tunnel
from meshgate.model.edge import PairFiles

RETRY_PERCENT = 20
RETRY_CONCURRENCY = 3
"""Istio's defaults of a retry budget."""


def _authorities(text: str) -> str:
    return text if text == SYSTEM else file_path(text)


class ClientTlsSpec(Spec):
    """Istio's `ClientTLSSettings`."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = "DISABLE"
    credential_name: str = ""
    client_certificate: FilePath = ""
    private_key: FilePath = ""
    ca_certificates: Annotated[str, AfterValidator(_authorities)] = ""
    ca_crl: FilePath = ""
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


class TunnelSpec(Spec):
    """Istio's `TunnelSettings`."""

    protocol: Literal["CONNECT", "POST"] = "CONNECT"
    target_host: Host
    target_port: PortNumber

    def lower(self) -> Tunnel:
        """The same, for the model."""
        return Tunnel(host=self.target_host, port=self.target_port, post=self.protocol == "POST")


class ProxyProtocolSpec(Spec):
    """Istio's `ProxyProtocol`."""

    version: Literal["V1", "V2"] = "V1"


class RetryBudgetSpec(Spec):
    """Istio's `RetryBudget`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "budgetInterval": "the budget is of what is under way at the moment (Envoy 1.40)"
    }

    percent: Annotated[float, Field(ge=0, le=100)] = RETRY_PERCENT
    min_retry_concurrency: Count = RETRY_CONCURRENCY

    def lower(self) -> RetryBudget:
        """The same, for the model."""
        return RetryBudget(percent=self.percent, min_concurrency=self.min_retry_concurrency)


class TrafficPolicySpec(Spec):
    """Istio's `TrafficPolicy`."""

    load_balancer: LoadBalancerSpec | None = None
    connection_pool: ConnectionPoolSpec | None = None
    outlier_detection: OutlierSpec | None = None
    tls: ClientTlsSpec | None = None
    port_level_settings: Items[PortPolicySpec] = ()
    tunnel: TunnelSpec | None = None
    proxy_protocol: ProxyProtocolSpec | None = None
    retry_budget: RetryBudgetSpec | None = None


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
        balancer, outliers = spec.load_balancer, spec.outlier_detection
        here = (*path, "loadBalancer")
        locality = balancer.locality_lb_setting if balancer else None
        if locality is not None and outliers is None:
            self._said.extend(idle_failover(locality, self._document, (*here, "localityLbSetting")))
        whole = spec if isinstance(spec, TrafficPolicySpec) else TrafficPolicySpec()
        return TrafficPolicy(
            balancer=lower_balancer(balancer, self._document, here, self._said) if balancer else None,
            pool=lower_pool(spec.connection_pool) if spec.connection_pool else None,
            outliers=lower_outliers(outliers, self._document, (*path, "outlierDetection"), self._said)
            if outliers
            else None,
            tls=self._tls(spec.tls, (*path, "tls")),
            client_tls=_client_tls(spec.tls),
            retry_budget=whole.retry_budget.lower() if whole.retry_budget else None,
            tunnel=whole.tunnel.lower() if whole.tunnel else None,
            proxy_protocol=int(whole.proxy_protocol.version[1:]) if whole.proxy_protocol else 0,
            ports=ports,
        )

    def _tls(self, spec: ClientTlsSpec | None, path: FieldPath) -> ClientTlsMode | None:
        if spec is None:
            return None
        pair = (spec.client_certificate, spec.private_key)
        if spec.mode == "MUTUAL" and not spec.credential_name and not all(pair):
            self._add(
                "MG1104",
                (*path, "mode"),
                "MUTUAL needs a certificate of the client; its host is closed",
                remedy="name a Secret with tls.crt, tls.key and ca.crt in credentialName, or two files",
            )
        if spec.credential_name and (any(pair) or spec.ca_certificates not in ("", SYSTEM) or spec.ca_crl):
            self._add("MG2006", (*path, "credentialName"), "cannot be set together with files")
        if spec.mode == "SIMPLE" and any(pair):
            self._add("MG2006", (*path, "clientCertificate"), "has no place beside mode SIMPLE; use MUTUAL")
        if spec.ca_crl and spec.ca_certificates in ("", SYSTEM):
            self._add("MG2006", (*path, "caCrl"), "goes with a file of caCertificates")
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
        files=PairFiles(chain=spec.client_certificate, key=spec.private_key)
        if spec.mode == "MUTUAL" and spec.client_certificate and not spec.credential_name
        else None,
        authorities_file="" if spec.ca_certificates == SYSTEM else spec.ca_certificates,
        crl_file=spec.ca_crl,
        insecure_skip_verify=spec.insecure_skip_verify,
    )
