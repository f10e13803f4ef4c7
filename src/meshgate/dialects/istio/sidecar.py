"""Sidecar: which hosts a workload's proxy knows, what becomes of others, which ports it offers.

A Sidecar with errors opens nothing: unless it plainly says ALLOW_ANY, unknown hosts are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, Json, is_dns_label
from meshgate.dialects.istio.connection_pool import ConnectionPoolSpec, lower_pool
from meshgate.dialects.istio.envoy_filter import WorkloadSelectorSpec
from meshgate.dialects.istio.hosts import DestinationSpec, host_or_wildcard
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.protocol import port_protocol
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault, problem, show
from meshgate.model.declared import Declared
from meshgate.model.mesh_config import OutboundMode
from meshgate.model.names import ROOT_NAMESPACE, complete_host
from meshgate.model.route import Destination
from meshgate.model.service import AppProtocol
from meshgate.model.sidecar import Egress, EgressHost, Ingress, Sidecar

UNIX = "unix://"
_ENDPOINT = re.compile(r"(127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):([0-9]{1,5})")
_BIND = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]+")
_PROTOCOLS = frozenset(
    {"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "MONGO", "MYSQL", "REDIS"}
)


def _egress_host(text: str) -> str:
    namespace, slash, host = text.partition("/")
    if not slash:
        raise fault(
            "MG2004", "must be namespace/host", "write */* for every host, ./* for the namespace's own"
        )
    if namespace not in ("*", ".", "~") and not is_dns_label(namespace):
        raise fault("MG2004", "must begin with a namespace, `*`, `.` or `~`")
    host_or_wildcard(host)
    return text


def _default_endpoint(text: str) -> str:
    found = _ENDPOINT.fullmatch(text)
    port = int(found.group(2)) if found else 0
    socket = text.removeprefix(UNIX)
    if text and not 1 <= port <= 65535 and not (socket != text and socket.startswith("/")):
        raise fault("MG2002", "must be 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///PATH")
    return text


def _bind(text: str) -> str:
    socket = text.removeprefix(UNIX)
    if text and not _BIND.fullmatch(text) and not (socket != text and socket.startswith("/")):
        raise fault("MG2002", "must be an IP address or unix:///PATH")
    return text


class SidecarPortSpec(Spec):
    """Istio's `SidecarPort`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"targetPort": "is deprecated; say it by defaultEndpoint"}

    number: Annotated[int, Field(ge=0, le=65535)] = 0
    protocol: str = ""
    name: str = ""


class IngressSpec(Spec):
    """Istio's `IstioIngressListener`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "bind": "the proxy listens where redirected connections come in",
        "captureMode": "connections are redirected in any case",
    }
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "tls": "the sidecar would take plaintext; let a Gateway end TLS"
    }

    port: SidecarPortSpec
    default_endpoint: Annotated[str, AfterValidator(_default_endpoint)] = ""
    connection_pool: ConnectionPoolSpec | None = None


class EgressSpec(Spec):
    """Istio's `IstioEgressListener`."""

    port: SidecarPortSpec | None = None
    bind: Annotated[str, AfterValidator(_bind)] = ""
    capture_mode: Literal["DEFAULT", "IPTABLES", "NONE"] = "DEFAULT"
    hosts: Annotated[Items[Annotated[str, AfterValidator(_egress_host)]], Field(min_length=1)]


class OutboundTrafficPolicySpec(Spec):
    """Istio's `OutboundTrafficPolicy`."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: DestinationSpec | None = None


class SidecarSpec(Spec):
    """Istio 1.27's fields."""

    workload_selector: WorkloadSelectorSpec | None = None
    ingress: Items[IngressSpec] = ()
    egress: Items[EgressSpec] = ()
    inbound_connection_pool: ConnectionPoolSpec | None = None
    outbound_traffic_policy: OutboundTrafficPolicySpec | None = None


class SidecarObject(ObjectSpec):
    spec: SidecarSpec = SidecarSpec()


def lower_sidecar(document: Document) -> Lowered:
    """One Sidecar (MG2003, MG2006 where its parts do not fit)."""
    value, said = check(SidecarObject, document)
    if value is None:
        return _closed(document, said)
    spec = value.spec
    lowering = _Lowering(document, said)
    selector = spec.workload_selector.labels if spec.workload_selector else {}
    if selector and document.namespace == ROOT_NAMESPACE:
        said.append(
            problem(
                document,
                "MG2006",
                ("spec", "workloadSelector"),
                "the root namespace's Sidecar is for the whole mesh; with a selector it is for pods there",
                severity=Severity.WARNING,
                key=True,
            )
        )
    policy = spec.outbound_traffic_policy
    proxy = policy.egress_proxy.lower() if policy is not None and policy.egress_proxy else None
    if proxy is not None and not proxy.port:
        lowering.add("MG2003", ("spec", "outboundTrafficPolicy", "egressProxy", "port"), "is required")
    sidecar = Sidecar(
        ref=document.ref,
        namespace=document.namespace,
        selector=MappingProxyType(dict(sorted(selector.items()))),
        egress=tuple(lowering.egress(i, one) for i, one in enumerate(spec.egress)),
        ingress=tuple(lowering.ingress(i, one) for i, one in enumerate(spec.ingress)),
        inbound_pool=lower_pool(spec.inbound_connection_pool) if spec.inbound_connection_pool else None,
        outbound_mode=OutboundMode(policy.mode) if policy is not None else None,
        egress_proxy=_full(proxy, document.namespace) if proxy is not None else None,
        created=document.created,
        origin=document.locate(),
    )
    if has_errors(said):
        return _closed(document, said)
    return Lowered(declared=Declared(sidecars=(sidecar,)), diagnostics=tuple(said))


def _full(proxy: Destination, namespace: str) -> Destination:
    return replace(proxy, host=complete_host(proxy.host, namespace))


class _Lowering:
    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document, self._said = document, said
        self._ports: dict[str, set[int]] = {"ingress": set(), "egress": set()}

    def add(self, code: str, path: FieldPath, message: str) -> None:
        """Notes an error."""
        self._said.append(problem(self._document, code, path, message))

    def egress(self, index: int, spec: EgressSpec) -> Egress:
        """One egress listener."""
        path: FieldPath = ("spec", "egress", index)
        port = self._port(spec.port, "egress", path) if spec.port else 0
        socket = spec.bind.startswith(UNIX)
        if spec.bind and not port and not socket:
            self.add("MG2003", (*path, "port"), "is required with bind")
        if spec.capture_mode == "NONE" and not port and not socket:
            self.add("MG2003", (*path, "port"), "is required with captureMode NONE")
        bind = spec.bind or ("127.0.0.1" if spec.capture_mode == "NONE" else "")
        hosts = []
        for written in spec.hosts:
            namespace, _, host = written.partition("/")
            hosts.append(EgressHost(namespace=namespace, host=host.lower()))
        protocol = self._protocol(spec.port, path) if spec.port else AppProtocol.UNKNOWN
        return Egress(hosts=tuple(hosts), port=port, protocol=protocol, bind=bind)

    def ingress(self, index: int, spec: IngressSpec) -> Ingress:
        """One ingress listener."""
        path: FieldPath = ("spec", "ingress", index)
        return Ingress(
            port=self._port(spec.port, "ingress", path),
            protocol=self._protocol(spec.port, path),
            endpoint=spec.default_endpoint,
            pool=lower_pool(spec.connection_pool) if spec.connection_pool else None,
        )

    def _port(self, spec: SidecarPortSpec, side: str, path: FieldPath) -> int:
        if not spec.number:
            self.add("MG2003", (*path, "port", "number"), "is required")
        elif spec.number in self._ports[side]:
            self.add("MG2006", (*path, "port", "number"), f"port {spec.number} is there twice")
        self._ports[side].add(spec.number)
        return spec.number

    def _protocol(self, spec: SidecarPortSpec, path: FieldPath) -> AppProtocol:
        if spec.protocol and spec.protocol.upper() not in _PROTOCOLS:
            listed = ", ".join(sorted(_PROTOCOLS))
            self.add(
                "MG2002",
                (*path, "port", "protocol"),
                f"must be one of {listed}, got {show(spec.protocol)}",
            )
        return port_protocol(
            app_protocol=spec.protocol or None, name=spec.name, number=spec.number, transport="TCP"
        )


def _closed(document: Document, said: list[Diagnostic]) -> Lowered:
    """What holds for the workloads that it selects while it has errors."""
    spec = _child(document.data, "spec")
    labels = _child(_child(spec, "workloadSelector"), "labels")
    selector: dict[str, str] = {}
    if isinstance(labels, Mapping) and all(isinstance(v, str) for v in labels.values()):
        selector = {k: str(v) for k, v in sorted(labels.items())}
    policy = _child(spec, "outboundTrafficPolicy")
    mode: OutboundMode | None = None
    if policy is not None:
        plain = _child(policy, "mode") == OutboundMode.ALLOW_ANY.value
        mode = OutboundMode.ALLOW_ANY if plain else OutboundMode.REGISTRY_ONLY
    sidecar = Sidecar(
        ref=document.ref,
        namespace=document.namespace,
        selector=MappingProxyType(selector),
        outbound_mode=mode,
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(sidecars=(sidecar,)), diagnostics=tuple(said), keep=True)


def _child(node: Json, key: str) -> Json:
    return node.get(key) if isinstance(node, Mapping) else None


SIDECAR = KindParser(
    group="networking.istio.io",
    kind="Sidecar",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_sidecar,
    plural="sidecars",
)
