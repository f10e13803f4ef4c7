"""`tls` and `tcp` of a VirtualService: where whole connections go."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.hosts import DestinationSpec, HostOrWildcard, PortNumber
from meshgate.dialects.schema import Items, Spec, fault, problem, show
from meshgate.model.gateway import StreamMatch, StreamRule
from meshgate.model.route import WeightedDestination

_WHOLE = 100


def _server_name(text: str) -> str:
    if text.startswith("*-"):
        raise fault("MG2004", "must be a host name, `*`, or begin with `*.`")
    return text


ServerName = Annotated[HostOrWildcard, AfterValidator(_server_name)]


class StreamMatchSpec(Spec):
    """Istio's `L4MatchAttributes`; `TLSMatchAttributes` with `sniHosts`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"sourceSubnet": "was never more than a name in Istio"}

    port: PortNumber | None = None
    gateways: Items[str] = ()
    source_labels: dict[str, str] = Field(default_factory=dict)
    source_namespace: str = ""
    destination_subnets: Items[str] = ()


class TlsMatchSpec(StreamMatchSpec):
    """Istio's `TLSMatchAttributes`."""

    sni_hosts: Annotated[Items[ServerName], Field(min_length=1)]


class StreamDestinationSpec(Spec):
    """Istio's `RouteDestination`."""

    destination: DestinationSpec
    weight: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class TlsRouteSpec(Spec):
    """Istio's `TLSRoute`."""

    match: Annotated[Items[TlsMatchSpec], Field(min_length=1)]
    route: Annotated[Items[StreamDestinationSpec], Field(min_length=1)]


class TcpRouteSpec(Spec):
    """Istio's `TCPRoute`."""

    match: Items[StreamMatchSpec] = ()
    route: Annotated[Items[StreamDestinationSpec], Field(min_length=1)]


def lower_streams(
    specs: Iterable[TlsRouteSpec | TcpRouteSpec], field: str, document: Document, said: list[Diagnostic]
) -> tuple[StreamRule, ...]:
    """The rules of `tls` or `tcp`."""
    found: list[StreamRule] = []
    for index, spec in enumerate(specs):
        path = ("spec", field, index)
        matches: list[StreamMatch] = []
        for number, one in enumerate(spec.match):
            _check_subnets(one, document, (*path, "match", number, "destinationSubnets"), said)
            matches.append(_match(one))
        found.append(
            StreamRule(
                matches=tuple(matches),
                destinations=_destinations(spec.route, document, path, said),
                origin=document.locate(path),
            )
        )
    return tuple(found)


def _check_subnets(
    spec: StreamMatchSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> None:
    for index, text in enumerate(spec.destination_subnets):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            message = f"must be an address or a range, got {show(text)}"
            said.append(problem(document, "MG2004", (*path, index), message))


def _match(spec: StreamMatchSpec) -> StreamMatch:
    return StreamMatch(
        sni_hosts=tuple(h.lower() for h in spec.sni_hosts) if isinstance(spec, TlsMatchSpec) else (),
        port=spec.port or 0,
        gateways=spec.gateways,
        source_labels=tuple(sorted(spec.source_labels.items())),
        source_namespace=spec.source_namespace,
        subnets=spec.destination_subnets,
    )


def _destinations(
    specs: tuple[StreamDestinationSpec, ...], document: Document, path: FieldPath, said: list[Diagnostic]
) -> tuple[WeightedDestination, ...]:
    several = len(specs) > 1
    if several and not sum(s.weight or 0 for s in specs):
        message = "the weights must add up to more than 0, got 0"
        said.append(problem(document, "MG2002", (*path, "route"), message))
    return tuple(
        WeightedDestination(destination=s.destination.lower(), weight=(s.weight or 0) if several else _WHOLE)
        for s in specs
    )
