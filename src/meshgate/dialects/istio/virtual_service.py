"""VirtualService: where requests for a host go."""

from __future__ import annotations

from collections import Counter

from pydantic.alias_generators import to_camel

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.hosts import ExportTo, HostOrWildcard
from meshgate.dialects.istio.http_route import HttpRouteSpec, RouteLowering
from meshgate.dialects.istio.stream_route import TcpRouteSpec, TlsRouteSpec, lower_streams
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem
from meshgate.model.declared import Declared, MeshRules
from meshgate.model.route import Rule

MESH = "mesh"


class VirtualServiceSpec(Spec):
    """Istio 1.27's fields."""

    hosts: Items[HostOrWildcard] = ()
    gateways: Items[str] = ()
    http: Items[HttpRouteSpec] = ()
    tls: Items[TlsRouteSpec] = ()
    tcp: Items[TcpRouteSpec] = ()
    export_to: Items[ExportTo] = ()


class VirtualService(ObjectSpec):
    spec: VirtualServiceSpec


def lower_virtual_service(document: Document) -> Lowered:
    """The rules of a VirtualService (MG1103, MG2003, MG2004, MG2006, MG2007 beside `check`'s)."""
    value, said = check(VirtualService, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    _check_hosts(spec, document, said)
    lowering = RouteLowering(document, said)
    names = Counter(route.name for route in spec.http)
    rules: list[Rule] = []
    for index, route in enumerate(spec.http):
        own = route.name if names[route.name] == 1 else ""
        name = own or f"virtualservice/{document.ref.namespace}/{document.ref.name}/{index}"
        rules.append(lowering.rule(route, name, ("spec", "http", index)))
    tls = lower_streams(spec.tls, "tls", document, said)
    tcp = lower_streams(spec.tcp, "tcp", document, said)
    if not (spec.http or spec.tls or spec.tcp):
        said.append(problem(document, "MG2003", ("spec",), "must have http, tls or tcp"))
        return Lowered(diagnostics=tuple(said))
    delegations = [route.delegation(i, document.namespace) for i, route in enumerate(spec.http)]
    declared = MeshRules(
        ref=document.ref,
        namespace=document.namespace,
        hosts=spec.hosts,
        gateways=spec.gateways,
        rules=tuple(rules),
        tls=tls,
        tcp=tcp,
        export_to=spec.export_to,
        delegations=tuple(d for d in delegations if d is not None),
        written=() if spec.hosts and not any(delegations) else tuple(r.written() for r in spec.http),
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(mesh_rules=(declared,)), diagnostics=tuple(said))


def _check_hosts(spec: VirtualServiceSpec, document: Document, said: list[Diagnostic]) -> None:
    if not spec.hosts:
        _check_delegate(spec, document, said)
    in_mesh = not spec.gateways or MESH in spec.gateways
    for index, host in enumerate(spec.hosts):
        path = ("spec", "hosts", index)
        if host == "*" and in_mesh:
            said.append(
                problem(
                    document,
                    "MG2004",
                    path,
                    "`*` cannot stand for every host of the mesh",
                    remedy="name the hosts, or leave `mesh` out of gateways",
                )
            )
        if host in spec.hosts[:index]:
            said.append(
                problem(document, "MG2006", path, f"{host} is there twice", remedy="keep one of them")
            )


def _check_delegate(spec: VirtualServiceSpec, document: Document, said: list[Diagnostic]) -> None:
    """Without hosts it can only be delegated to: where its rules hold is not its to say."""
    for field in ("gateways", "tls", "tcp"):
        if getattr(spec, field):
            said.append(_not_in_delegate(document, ("spec", field)))
    for number, route in enumerate(spec.http):
        for place, match in enumerate(route.match):
            here = ("spec", "http", number, "match", place)
            for field in ("source_labels", "source_namespace", "gateways"):
                if getattr(match, field):
                    said.append(_not_in_delegate(document, (*here, to_camel(field))))


def _not_in_delegate(document: Document, path: FieldPath) -> Diagnostic:
    remedy = "name spec.hosts, or say it where the rule is delegated"
    return problem(document, "MG2006", path, "cannot be in a VirtualService without hosts", remedy=remedy)


VIRTUAL_SERVICE = KindParser(
    group="networking.istio.io",
    kind="VirtualService",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_virtual_service,
    plural="virtualservices",
    short_names=("vs",),
)
