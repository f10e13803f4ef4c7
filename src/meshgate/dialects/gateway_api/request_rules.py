"""A rule of a route of requests: what HTTPRoute and GRPCRoute have in common."""

from __future__ import annotations

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.filters import FilterLowering, FilterSpec
from meshgate.dialects.gateway_api.references import SectionName, lower_backend
from meshgate.dialects.gateway_api.routes import BackendRefSpec, PersistenceSpec
from meshgate.dialects.schema import Items, Spec
from meshgate.model.gateway_api_routes import Backend, RouteRule
from meshgate.model.route import RequestMatch


class BackendSpec(BackendRefSpec):
    """`HTTPBackendRef` and `GRPCBackendRef`."""

    filters: Items[FilterSpec] = ()


class RequestRuleSpec(Spec):
    """`HTTPRouteRule` and `GRPCRouteRule`, but for matches and what HTTP alone has."""

    name: SectionName = ""
    filters: Items[FilterSpec] = ()
    backend_refs: Items[BackendSpec] = ()
    session_persistence: PersistenceSpec | None = None


def request_rule(
    spec: RequestRuleSpec,
    matches: tuple[RequestMatch, ...],
    filtering: FilterLowering,
    document: Document,
    path: FieldPath,
) -> RouteRule:
    """The rule with its filters and backends."""
    return RouteRule(
        name=spec.name,
        matches=matches,
        filters=filtering.filters(spec.filters, (*path, "filters")),
        backends=tuple(
            Backend(
                target=lower_backend(backend, document, (*path, "backendRefs", i)),
                weight=backend.weight,
                filters=filtering.filters(backend.filters, (*path, "backendRefs", i, "filters")),
            )
            for i, backend in enumerate(spec.backend_refs)
        ),
        persistence=spec.session_persistence.lower() if spec.session_persistence else None,
        origin=document.locate(path),
    )
