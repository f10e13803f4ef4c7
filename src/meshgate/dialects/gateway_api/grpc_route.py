"""GRPCRoute: gRPC calls by service, method and headers, to backends."""

from __future__ import annotations

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.filters import FilterLowering, FilterSpec
from meshgate.dialects.gateway_api.matching import GrpcMatchSpec, MatchLowering
from meshgate.dialects.gateway_api.references import SectionName, lower_backend
from meshgate.dialects.gateway_api.routes import (
    BackendRefSpec,
    HostnamesSpec,
    PersistenceSpec,
    lowered_route,
)
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check
from meshgate.model.gateway_api import GATEWAY_GROUP, RouteKind
from meshgate.model.gateway_api_routes import Backend, RouteRule

_FILTERS = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")


class BackendSpec(BackendRefSpec):
    """`GRPCBackendRef`."""

    filters: Items[FilterSpec] = ()


class RuleSpec(Spec):
    """`GRPCRouteRule`."""

    name: SectionName = ""
    matches: Items[GrpcMatchSpec] = ()
    filters: Items[FilterSpec] = ()
    backend_refs: Items[BackendSpec] = ()
    session_persistence: PersistenceSpec | None = None


class GrpcRouteSpec(HostnamesSpec):
    rules: Items[RuleSpec] = (RuleSpec(),)


class GrpcRoute(ObjectSpec):
    spec: GrpcRouteSpec = GrpcRouteSpec()


def lower_grpc_route(document: Document) -> Lowered:
    """The route with its rules (MG2xxx)."""
    value, said = check(GrpcRoute, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    rules = tuple(
        _rule(rule, document, ("spec", "rules", i), said) for i, rule in enumerate(value.spec.rules)
    )
    return lowered_route(document, RouteKind.GRPC, value.spec, rules, value.metadata, said)


def _rule(spec: RuleSpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> RouteRule:
    matching = MatchLowering(document, said)
    filtering = FilterLowering(document, said, _FILTERS)
    matches = tuple(matching.grpc(m, (*path, "matches", i)) for i, m in enumerate(spec.matches))
    return RouteRule(
        name=spec.name,
        matches=matches or (matching.grpc(GrpcMatchSpec(), path),),
        filters=filtering.filters(spec.filters, (*path, "filters")),
        backends=tuple(
            Backend(
                target=lower_backend(b, document, (*path, "backendRefs", i)),
                weight=b.weight,
                filters=filtering.filters(b.filters, (*path, "backendRefs", i, "filters")),
            )
            for i, b in enumerate(spec.backend_refs)
        ),
        persistence=spec.session_persistence.lower() if spec.session_persistence else None,
        origin=document.locate(path),
    )


GRPC_ROUTE = KindParser(
    group=GATEWAY_GROUP,
    kind="GRPCRoute",
    versions=frozenset({"v1", "v1alpha2"}),
    namespaced=True,
    lower=lower_grpc_route,
    plural="grpcroutes",
)
