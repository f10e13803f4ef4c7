"""ServiceEntry: hosts outside of the mesh, or in it without a Service."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.istio.hosts import ExportTo, HostOrWildcard, PortNumber
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem, show
from meshgate.model.declared import Declared
from meshgate.model.external import External, ExternalEndpoint, Resolution
from meshgate.model.names import Name
from meshgate.model.service import AppProtocol, Service, ServicePort

_PROTOCOLS = MappingProxyType(
    {
        "HTTP": AppProtocol.HTTP,
        "HTTP2": AppProtocol.HTTP2,
        "GRPC": AppProtocol.GRPC,
        "GRPC-WEB": AppProtocol.HTTP,
        "HTTPS": AppProtocol.HTTPS,
        "TLS": AppProtocol.TLS,
        "TCP": AppProtocol.TCP,
        "MONGO": AppProtocol.TCP,
        "MYSQL": AppProtocol.TCP,
        "REDIS": AppProtocol.TCP,
        "UDP": AppProtocol.UDP,
        "": AppProtocol.UNKNOWN,
    }
)


class EntryPortSpec(Spec):
    """Istio's `ServicePort`."""

    number: PortNumber
    name: str
    protocol: str = ""
    target_port: PortNumber | None = None


class EndpointSpec(Spec):
    """Istio's `WorkloadEntry` inside of a ServiceEntry."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "network": "all endpoints count as being in one network",
        "locality": "all endpoints count as being in one place",
        "serviceAccount": "the identity of an endpoint outside of the mesh is not checked",
    }

    address: str
    ports: dict[str, PortNumber] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    weight: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class WorkloadSelectorSpec(Spec):
    """Istio's `WorkloadSelector` of the networking group."""

    labels: dict[str, str] = Field(default_factory=dict)


class ServiceEntrySpec(Spec):
    """Istio 1.27's fields."""

    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "subjectAltNames": "are checked where a DestinationRule's tls says them; the host is not added"
    }

    hosts: Items[HostOrWildcard]
    addresses: Items[str] = ()
    ports: Items[EntryPortSpec] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN"] = "NONE"
    endpoints: Items[EndpointSpec] = ()
    workload_selector: WorkloadSelectorSpec | None = None
    export_to: Items[ExportTo] = ()


class ServiceEntry(ObjectSpec):
    spec: ServiceEntrySpec


def lower_service_entry(document: Document) -> Lowered:
    """One service per host (MG1103, MG2002, MG2003, MG2004, MG2006 beside `check`'s)."""
    value, said = check(ServiceEntry, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    _check(spec, document, said)
    ports = tuple(_port(p, ("spec", "ports", i), document, said) for i, p in enumerate(spec.ports))
    labels = spec.workload_selector.labels if spec.workload_selector else {}
    services = tuple(
        Service(
            name=Name(document.namespace, document.ref.name),
            ports=ports,
            selector=MappingProxyType(dict(sorted(labels.items()))),
            external=External(
                host=host,
                resolution=Resolution(spec.resolution),
                endpoints=tuple(_endpoint(e) for e in spec.endpoints),
                addresses=tuple(a for a in spec.addresses if _is_address(a)),
                by_workloads=bool(labels),
                export_to=spec.export_to or ("*",),
            ),
            origin=document.locate(),
        )
        for host in dict.fromkeys(h.lower() for h in spec.hosts)
    )
    return Lowered(declared=Declared(service_entries=services), diagnostics=tuple(said))


def _check(spec: ServiceEntrySpec, document: Document, said: list[Diagnostic]) -> None:
    def add(code: str, path: FieldPath, message: str, *, warn: bool = False) -> None:
        severity = Severity.WARNING if warn else Severity.ERROR
        said.append(problem(document, code, ("spec", *path), message, severity=severity))

    if not spec.hosts:
        add("MG2003", ("hosts",), "must name at least one host")
    if not spec.ports:
        add("MG2003", ("ports",), "must name at least one port")
    for index, host in enumerate(spec.hosts):
        if host == "*":
            add("MG2004", ("hosts", index), "must not be every host")
        elif host.startswith("*") and spec.resolution.startswith("DNS") and not spec.endpoints:
            add("MG2006", ("hosts", index), f"a wildcard cannot be looked up by {spec.resolution}")
    if spec.endpoints and spec.workload_selector:
        add("MG2006", ("workloadSelector",), "must not stand beside endpoints")
    if spec.endpoints and spec.resolution == "NONE":
        add("MG2006", ("endpoints",), "have no place beside resolution NONE")
    if spec.resolution == "STATIC" and not spec.endpoints and not spec.workload_selector:
        add("MG2003", ("endpoints",), "resolution STATIC needs endpoints or a workloadSelector")
    if spec.resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        add("MG2006", ("endpoints",), "DNS_ROUND_ROBIN takes one endpoint at most")
    for index, endpoint in enumerate(spec.endpoints):
        address = endpoint.address
        if not _is_address(address) and (spec.resolution == "STATIC" or not is_dns_name(address.lower())):
            wanted = "an IP address" if spec.resolution == "STATIC" else "an IP address or a DNS name"
            add("MG2004", ("endpoints", index, "address"), f"must be {wanted}, got {show(address)}")
    for index, address in enumerate(spec.addresses):
        if not _is_address(address):
            add("MG1103", ("addresses", index), "only single addresses are followed", warn=True)
    seen: set[object] = set()
    for index, port in enumerate(spec.ports):
        if port.number in seen or port.name in seen:
            add("MG2006", ("ports", index), f"port {port.number} or its name {port.name!r} is there twice")
        seen.update((port.number, port.name))


def _port(spec: EntryPortSpec, path: FieldPath, document: Document, said: list[Diagnostic]) -> ServicePort:
    protocol = _PROTOCOLS.get(spec.protocol.upper())
    if protocol is None:
        names = ", ".join(name for name in _PROTOCOLS if name)
        message = f"must be one of {names}, got {show(spec.protocol)}"
        said.append(problem(document, "MG2002", (*path, "protocol"), message))
    return ServicePort(
        number=spec.number,
        name=spec.name,
        target=spec.target_port or 0,
        protocol=protocol or AppProtocol.UNKNOWN,
        origin=document.locate(path),
    )


def _endpoint(spec: EndpointSpec) -> ExternalEndpoint:
    return ExternalEndpoint(
        address=spec.address.lower(),
        ports=tuple(sorted(spec.ports.items())),
        labels=tuple(sorted(spec.labels.items())),
        weight=1 if spec.weight is None else spec.weight,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


SERVICE_ENTRY = KindParser(
    group="networking.istio.io",
    kind="ServiceEntry",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_service_entry,
    plural="serviceentries",
    short_names=("se",),
)
