"""ServiceEntry: hosts outside of the mesh, or in it without a Service."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.hosts import ExportTo, HostOrWildcard, PortNumber
from meshgate.dialects.istio.workload_entry import EndpointSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem, show
from meshgate.model.declared import Declared
from meshgate.model.external import UNIX, External, Resolution
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


class WorkloadSelectorSpec(Spec):
    """Istio's `WorkloadSelector` of the networking group."""

    labels: dict[str, str] = Field(default_factory=dict)


class ServiceEntrySpec(Spec):
    """Istio 1.27's fields."""

    hosts: Items[HostOrWildcard]
    addresses: Items[str] = ()
    ports: Items[EntryPortSpec] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: Items[EndpointSpec] = ()
    workload_selector: WorkloadSelectorSpec | None = None
    subject_alt_names: Items[str] = ()
    export_to: Items[ExportTo] = ()


class ServiceEntry(ObjectSpec):
    spec: ServiceEntrySpec


def lower_service_entry(document: Document) -> Lowered:
    """One service per host (MG2002, MG2003, MG2004, MG2006 beside `check`'s)."""
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
                endpoints=tuple(e.lower(document.namespace) for e in spec.endpoints),
                addresses=tuple(a for a in spec.addresses if _is_network(a)),
                by_workloads=bool(labels),
                subject_alt_names=spec.subject_alt_names,
                internal=spec.location == "MESH_INTERNAL",
                export_to=spec.export_to,
            ),
            origin=document.locate(),
        )
        for host in dict.fromkeys(h.lower() for h in spec.hosts)
    )
    return Lowered(declared=Declared(service_entries=services), diagnostics=tuple(said))


def _check(spec: ServiceEntrySpec, document: Document, said: list[Diagnostic]) -> None:
    def add(code: str, path: FieldPath, message: str) -> None:
        said.append(problem(document, code, ("spec", *path), message))

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
    if spec.endpoints and spec.resolution in ("NONE", "DYNAMIC_DNS"):
        add("MG2006", ("endpoints",), f"have no place beside resolution {spec.resolution}")
    if spec.resolution == "DYNAMIC_DNS":
        _check_dynamic(spec, add)
    if spec.resolution == "STATIC" and not spec.endpoints and not spec.workload_selector:
        add("MG2003", ("endpoints",), "resolution STATIC needs endpoints or a workloadSelector")
    if spec.resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        add("MG2006", ("endpoints",), "DNS_ROUND_ROBIN takes one endpoint at most")
    by_name = spec.resolution.startswith("DNS")
    for index, endpoint in enumerate(spec.endpoints):
        path, wrong = endpoint.wrong(names=by_name)
        if not wrong and by_name and endpoint.address.startswith(UNIX):
            wrong = f"a Unix socket cannot be looked up by {spec.resolution}"
        if wrong:
            add("MG2004", ("endpoints", index, *path), wrong)
    for index, address in enumerate(spec.addresses):
        if not _is_network(address):
            add("MG2004", ("addresses", index), f"must be an address or a range, got {show(address)}")
    seen: set[object] = set()
    for index, port in enumerate(spec.ports):
        if port.number in seen or port.name in seen:
            add("MG2006", ("ports", index), f"port {port.number} or its name {port.name!r} is there twice")
        seen.update((port.number, port.name))


def _check_dynamic(spec: ServiceEntrySpec, add: Callable[[str, FieldPath, str], None]) -> None:
    """Each request or connection must say by itself which of the names it means."""
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            add("MG2006", ("hosts", index), "must be a wildcard; for one name use resolution DNS")
    if spec.workload_selector:
        add("MG2006", ("workloadSelector",), "has no place beside resolution DYNAMIC_DNS")
    for index, port in enumerate(spec.ports):
        if _PROTOCOLS.get(port.protocol.upper()) in (AppProtocol.TCP, AppProtocol.UDP, AppProtocol.UNKNOWN):
            message = f"must be of HTTP or TLS, whose beginning says the name, got {show(port.protocol)}"
            add("MG2006", ("ports", index, "protocol"), message)


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


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
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
