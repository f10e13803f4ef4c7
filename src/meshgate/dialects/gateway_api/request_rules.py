"""A rule of a route of requests: what HTTPRoute and GRPCRoute have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.filters import FilterLowering, FilterSpec
from meshgate.dialects.gateway_api.limits import repeated
from meshgate.dialects.gateway_api.references import SectionName, lower_backend
from meshgate.dialects.gateway_api.routes import MAX_BACKENDS, MAX_FILTERS, BackendRefSpec, PersistenceSpec
from meshgate.dialects.schema import Items, Spec, fault
from meshgate.model.gateway_api_routes import Backend, RouteRule
from meshgate.model.route import RequestMatch

MAX_MATCHES = 128
"""Of all rules of a route; a rule has 64 at most."""
Filters = Annotated[Items[FilterSpec], Field(max_length=MAX_FILTERS)]


class BackendSpec(BackendRefSpec):
    """`HTTPBackendRef` and `GRPCBackendRef`."""

    filters: Filters = ()


class RequestRuleSpec(Spec):
    """`HTTPRouteRule` and `GRPCRouteRule`, but for matches and what HTTP alone has."""

    name: SectionName = ""
    filters: Filters = ()
    backend_refs: Annotated[Items[BackendSpec], Field(max_length=MAX_BACKENDS)] = ()
    session_persistence: PersistenceSpec | None = None


def bounded(rules: tuple[RequestRuleSpec, ...], matches: int) -> None:
    """Refuses names of rules that are there twice, and more matches than a route may have."""
    if twice := repeated(rule.name for rule in rules if rule.name):
        raise fault("MG2006", f"has two rules named {twice}")
    if matches > MAX_MATCHES:
        raise fault("MG2002", f"must have at most {MAX_MATCHES} matches in all, has {matches}")


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
