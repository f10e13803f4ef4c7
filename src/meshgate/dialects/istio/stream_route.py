"""`tls` and `tcp` of a VirtualService: where whole connections go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.hosts import DestinationSpec, HostOrWildcard, PortNumber
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.gateway import StreamMatch, StreamRule
from meshgate.model.route import WeightedDestination

_WHOLE = 100


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

    sni_hosts: Annotated[Items[HostOrWildcard], Field(min_length=1)]


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
    """The rules of `tls` or `tcp`; a match by destination address is left out (MG1103)."""
    found: list[StreamRule] = []
    for index, spec in enumerate(specs):
        path = ("spec", field, index)
        matches: list[StreamMatch] = []
        for number, one in enumerate(spec.match):
            if one.destination_subnets:
                said.append(
                    problem(
                        document,
                        "MG1103",
                        (*path, "match", number, "destinationSubnets"),
                        "connections are not told apart by the address that they go to; "
                        "this match takes none",
                        severity=Severity.WARNING,
                        remedy="match by port or server name",
                    )
                )
                continue
            matches.append(_match(one))
        if spec.match and not matches:
            continue
        found.append(
            StreamRule(
                matches=tuple(matches),
                destinations=_destinations(spec.route, document, path, said),
                origin=document.locate(path),
            )
        )
    return tuple(found)


def _match(spec: StreamMatchSpec) -> StreamMatch:
    return StreamMatch(
        sni_hosts=tuple(h.lower() for h in spec.sni_hosts) if isinstance(spec, TlsMatchSpec) else (),
        port=spec.port or 0,
        gateways=spec.gateways,
        source_labels=tuple(sorted(spec.source_labels.items())),
        source_namespace=spec.source_namespace,
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
