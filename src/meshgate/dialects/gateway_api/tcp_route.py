"""TCPRoute: connections, to backends."""

from __future__ import annotations

from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.routes import CommonRouteSpec, StreamRuleSpec, lowered_route, stream_rules
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, check
from meshgate.model.gateway_api import GATEWAY_GROUP, RouteKind


class TcpRouteSpec(CommonRouteSpec):
    rules: Items[StreamRuleSpec]


class TcpRoute(ObjectSpec):
    spec: TcpRouteSpec


def lower_tcp_route(document: Document) -> Lowered:
    """The route with its rules (MG2xxx)."""
    value, said = check(TcpRoute, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    rules = stream_rules(value.spec.rules, document, said)
    return lowered_route(document, RouteKind.TCP, value.spec, rules, value.metadata, said)


TCP_ROUTE = KindParser(
    group=GATEWAY_GROUP,
    kind="TCPRoute",
    versions=frozenset({"v1", "v1alpha2"}),
    namespaced=True,
    lower=lower_tcp_route,
    plural="tcproutes",
)
