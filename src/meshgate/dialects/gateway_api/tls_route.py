"""TLSRoute: TLS connections by the server name that clients ask for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.references import Hostname
from meshgate.dialects.gateway_api.routes import HostnamesSpec, StreamRuleSpec, lowered_route, stream_rules
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, check, problem
from meshgate.model.gateway_api import GATEWAY_GROUP, RouteKind


class TlsRouteSpec(HostnamesSpec):
    hostnames: Annotated[Items[Hostname], Field(max_length=1024)] = ()
    rules: Items[StreamRuleSpec]


class TlsRoute(ObjectSpec):
    spec: TlsRouteSpec


def lower_tls_route(document: Document) -> Lowered:
    """The route with its rules (MG2xxx)."""
    value, said = check(TlsRoute, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    if document.api_version.endswith("/v1") and not value.spec.hostnames:
        said.append(problem(document, "MG2003", ("spec", "hostnames"), "is required"))
    rules = stream_rules(value.spec.rules, document, said)
    return lowered_route(document, RouteKind.TLS, value.spec, rules, value.metadata, said)


TLS_ROUTE = KindParser(
    group=GATEWAY_GROUP,
    kind="TLSRoute",
    versions=frozenset({"v1", "v1alpha2", "v1alpha3"}),
    namespaced=True,
    lower=lower_tls_route,
    plural="tlsroutes",
)
