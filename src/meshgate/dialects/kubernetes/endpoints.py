"""v1 Endpoints and discovery.k8s.io/v1 EndpointSlice: what answers for a Service, by address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.service import PortNumber
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault, problem
from meshgate.model.declared import Declared
from meshgate.model.external import EndpointList, ExternalEndpoint, is_address
from meshgate.model.names import Name

SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLERS = frozenset({"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"})
_ONE_MACHINE = "there is one machine"


def _address(text: str) -> str:
    if not is_address(text):
        raise fault("MG2004", "must be an IP address")
    return text


IpAddress = Annotated[str, AfterValidator(_address)]


class PortSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"appProtocol": "the Service says what its ports speak"}

    name: str = ""
    port: PortNumber | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class ConditionsSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = dict.fromkeys(("serving", "terminating"), "ready decides")

    ready: bool = True


class SliceEndpointSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "deprecatedTopology": _ONE_MACHINE,
        "hints": _ONE_MACHINE,
        "hostname": "only the Service has a name",
        "nodeName": _ONE_MACHINE,
        "targetRef": "the addresses decide",
    }

    addresses: Items[str]
    conditions: ConditionsSpec = ConditionsSpec()
    zone: str = ""


class EndpointSliceSpec(ObjectSpec):
    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: Items[SliceEndpointSpec] = ()
    ports: Items[PortSpec] = ()


class SubsetAddressSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "hostname": "only the Service has a name",
        "nodeName": _ONE_MACHINE,
        "targetRef": "the addresses decide",
    }

    ip: IpAddress


class SubsetSpec(Spec):
    addresses: Items[SubsetAddressSpec] = ()
    not_ready_addresses: Items[SubsetAddressSpec] = ()
    ports: Items[PortSpec] = ()


class EndpointsSpec(ObjectSpec):
    subsets: Items[SubsetSpec] = ()


def lower_slice(document: Document) -> Lowered:
    """The ready endpoints of a slice, for the Service that its label names."""
    value, said = check(EndpointSliceSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    service = value.metadata.labels.get(SERVICE_NAME, "")
    said.extend(_slice_problems(value, service, document))
    if not service or value.address_type == "FQDN":
        return Lowered(diagnostics=tuple(said))
    endpoints = tuple(
        ExternalEndpoint(
            # Of several addresses of one endpoint any will do (the API's word); the first is one.
            address=endpoint.addresses[0],
            ports=_ports(value.ports),
            locality=f"/{endpoint.zone}" if endpoint.zone else "",
        )
        for endpoint in value.endpoints
        if endpoint.conditions.ready and endpoint.addresses
    )
    found = EndpointList(
        kind=document.ref.kind,
        name=Name(document.namespace, document.ref.name),
        service=Name(document.namespace, service),
        endpoints=endpoints,
        made_by_cluster=value.metadata.labels.get(_MANAGED_BY, "") in _CONTROLLERS,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(endpoint_lists=(found,)), diagnostics=tuple(said))


def lower_endpoints(document: Document) -> Lowered:
    """The ready addresses of all subsets, for the Service of the same name."""
    value, said = check(EndpointsSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    for i, subset in enumerate(value.subsets):
        said.extend(_port_problems(subset.ports, ("subsets", i), document))
    name = Name(document.namespace, document.ref.name)
    found = EndpointList(
        kind=document.ref.kind,
        name=name,
        service=name,
        endpoints=tuple(
            ExternalEndpoint(address=address.ip, ports=_ports(subset.ports))
            for subset in value.subsets
            for address in subset.addresses
        ),
        origin=document.locate(),
    )
    return Lowered(declared=Declared(endpoint_lists=(found,)), diagnostics=tuple(said))


def _ports(ports: tuple[PortSpec, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((p.name, p.port) for p in ports if p.port is not None)


def _slice_problems(value: EndpointSliceSpec, service: str, document: Document) -> Iterator[Diagnostic]:
    if not service:
        yield problem(
            document,
            "MG2003",
            ("metadata", "labels"),
            f"has no label {SERVICE_NAME}, so no Service gets its endpoints",
            severity=Severity.WARNING,
            remedy="add the label with the Service's name",
        )
    if value.address_type == "FQDN":
        yield problem(
            document,
            "MG1103",
            ("addressType",),
            "names are not looked up for a Service (nor does Kubernetes)",
            severity=Severity.WARNING,
            remedy="use a ServiceEntry with resolution DNS",
        )
        return
    for i, endpoint in enumerate(value.endpoints):
        if not endpoint.addresses:
            yield problem(document, "MG2003", ("endpoints", i, "addresses"), "must name an address")
        for k, address in enumerate(endpoint.addresses):
            fits = is_address(address) and (":" in address) == (value.address_type == "IPv6")
            if not fits:
                message = f"must be an {value.address_type} address, got {address!r}"
                yield problem(document, "MG2004", ("endpoints", i, "addresses", k), message)
    yield from _port_problems(value.ports, (), document)


def _port_problems(ports: tuple[PortSpec, ...], path: FieldPath, document: Document) -> Iterator[Diagnostic]:
    names: set[str] = set()
    for i, port in enumerate(ports):
        if port.name in names:
            yield problem(
                document, "MG2006", (*path, "ports", i, "name"), f"two ports are named {port.name!r}"
            )
        names.add(port.name)


ENDPOINT_SLICE = KindParser(
    group="discovery.k8s.io",
    kind="EndpointSlice",
    versions=frozenset({"v1", "v1beta1"}),
    namespaced=True,
    lower=lower_slice,
    plural="endpointslices",
)

ENDPOINTS = KindParser(
    group="",
    kind="Endpoints",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower_endpoints,
    plural="endpoints",
    short_names=("ep",),
)
