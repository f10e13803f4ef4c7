"""GRPCRoute: gRPC calls by service, method and headers, to backends."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.filters import FilterLowering
from meshgate.dialects.gateway_api.matching import GrpcMatchSpec, MatchLowering
from meshgate.dialects.gateway_api.request_rules import RequestRuleSpec, bounded, request_rule
from meshgate.dialects.gateway_api.routes import MAX_RULES, HostnamesSpec, lowered_route
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, check
from meshgate.model.gateway_api import GATEWAY_GROUP, RouteKind
from meshgate.model.gateway_api_routes import RouteRule

_FILTERS = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")


class RuleSpec(RequestRuleSpec):
    """`GRPCRouteRule`."""

    matches: Annotated[Items[GrpcMatchSpec], Field(max_length=64)] = ()


def _bounded(rules: tuple[RuleSpec, ...]) -> tuple[RuleSpec, ...]:
    bounded(rules, sum(len(rule.matches) for rule in rules))
    return rules


class GrpcRouteSpec(HostnamesSpec):
    rules: Annotated[Items[RuleSpec], Field(max_length=MAX_RULES), AfterValidator(_bounded)] = (RuleSpec(),)


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
    matches = tuple(matching.grpc(m, (*path, "matches", i)) for i, m in enumerate(spec.matches))
    matches = matches or (matching.grpc(GrpcMatchSpec(), path),)
    filtering = FilterLowering(document, said, _FILTERS)
    return request_rule(spec, matches, filtering, document, path)


GRPC_ROUTE = KindParser(
    group=GATEWAY_GROUP,
    kind="GRPCRoute",
    versions=frozenset({"v1", "v1alpha2"}),
    namespaced=True,
    lower=lower_grpc_route,
    plural="grpcroutes",
)
