"""v1 Service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.dialects.document import Document, is_dns_label, is_dns_name
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.protocol import port_protocol
from meshgate.dialects.metadata import Labels, ObjectSpec
from meshgate.dialects.schema import IntOrString, Items, Spec, check, fault, problem
from meshgate.dialects.service_annotations import service_annotations
from meshgate.model.declared import Declared
from meshgate.model.names import Name
from meshgate.model.service import EMPTY, AppProtocol, Service, ServicePort

_RFC_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")


def _port_name(text: str) -> str:
    if text and not is_dns_label(text):
        raise fault("MG2004", "must be a lower-case DNS label")
    return text


def _target(value: int | str) -> int | str:
    if isinstance(value, int):
        if not 1 <= value <= 65535:
            raise fault("MG2002", "must be 1-65535")
    elif len(value) > 15 or _PORT_NAME.fullmatch(value) is None:
        raise fault(
            "MG2004",
            "must be a port's number or its name (at most 15 of a-z, 0-9 and '-')",
            "write a number without quotes" if value.isdigit() else "",
        )
    return value


PortNumber = Annotated[int, Field(ge=1, le=65535)]
PortRef = Annotated[IntOrString, AfterValidator(_target)]
"""A container port by number or name."""


class Port(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"nodePort": "the gateway is the way in"}

    port: PortNumber
    name: Annotated[str, AfterValidator(_port_name)] = ""
    target_port: PortRef | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    app_protocol: str | None = None


class ServiceDetails(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "allocateLoadBalancerNodePorts",
            "clusterIPs",
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "internalTrafficPolicy",
            "ipFamilies",
            "ipFamilyPolicy",
            "loadBalancerClass",
            "loadBalancerIP",
        ),
        "says how a cluster reaches it",
    )
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "externalIPs": "has no effect: the gateway is the way in",
        "loadBalancerSourceRanges": "has no effect: no load balancer is made, the gateway is the way in",
        "publishNotReadyAddresses": "has no effect: only ready pods get traffic",
        "sessionAffinityConfig": "has no effect: a client stays with its pod while the pods are the same",
        "trafficDistribution": "has no effect; a DestinationRule's localityLbSetting takes the nearest first",
    }

    ports: Annotated[Items[Port], Field(max_length=1000)] = ()
    selector: Labels = EMPTY
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    cluster_ip: Annotated[str, Field(alias="clusterIP")] = ""
    external_name: str = ""
    session_affinity: Literal["None", "ClientIP"] = "None"


class ServiceSpec(ObjectSpec):
    spec: ServiceDetails


def lower(document: Document) -> Lowered:
    """A host with its ports and the selector of what answers."""
    value, diagnostics = check(ServiceSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    spec = value.spec
    diagnostics.extend(_contradictions(spec, document))
    annotations = service_annotations(value.metadata.annotations, document)
    diagnostics.extend(annotations.diagnostics)
    service = Service(
        name=Name(document.namespace, document.ref.name),
        ports=tuple(_port(port, i, document, annotations.protocol) for i, port in enumerate(spec.ports)),
        selector={} if spec.type == "ExternalName" else spec.selector,
        headless=spec.cluster_ip == "None",
        external_name=spec.external_name if spec.type == "ExternalName" else "",
        plugin_names=annotations.plugin_names,
        plugins_origin=annotations.plugins_origin,
        edge=annotations.edge,
        client_affinity=spec.session_affinity == "ClientIP",
        export_to=annotations.export_to,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(services=(service,)), diagnostics=tuple(diagnostics))


def _port(port: Port, index: int, document: Document, protocol: AppProtocol | None) -> ServicePort:
    return ServicePort(
        number=port.port,
        name=port.name,
        target=port.target_port if port.target_port is not None else 0,
        protocol=protocol
        or port_protocol(
            app_protocol=port.app_protocol, name=port.name, number=port.port, transport=port.protocol
        ),
        origin=document.locate(("spec", "ports", index)),
    )


def _contradictions(spec: ServiceDetails, document: Document) -> Iterator[Diagnostic]:
    if _RFC_1035.fullmatch(document.ref.name) is None:
        yield problem(
            document,
            "MG2004",
            ("metadata", "name"),
            f"must be a DNS label that starts with a letter (RFC 1035), got {document.ref.name!r}",
        )
    if spec.type == "ExternalName":
        if not is_dns_name(spec.external_name):
            yield problem(document, "MG2004", ("spec", "externalName"), "must be a DNS name")
    elif not spec.ports and spec.cluster_ip != "None":
        yield problem(document, "MG2003", ("spec", "ports"), "needs at least one port")
    yield from _port_names(spec, document)


def _port_names(spec: ServiceDetails, document: Document) -> Iterator[Diagnostic]:
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for i, port in enumerate(spec.ports):
        path = ("spec", "ports", i)
        if port.protocol == "SCTP":
            yield problem(document, "MG2002", (*path, "protocol"), "must be TCP or UDP, got 'SCTP'")
        if not port.name and len(spec.ports) > 1:
            yield problem(document, "MG2003", (*path, "name"), "is required where there are several ports")
        elif port.name in names:
            yield problem(document, "MG2006", (*path, "name"), f"two ports are named {port.name!r}")
        if (port.port, port.protocol) in numbers:
            yield problem(document, "MG2006", (*path, "port"), f"port {port.port} is there twice")
        names.add(port.name)
        numbers.add((port.port, port.protocol))


KIND = KindParser(
    group="",
    kind="Service",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="services",
    short_names=("svc",),
)
