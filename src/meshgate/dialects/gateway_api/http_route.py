"""HTTPRoute: requests by path, headers, query and method, to backends."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.filters import FilterLowering
from meshgate.dialects.gateway_api.limits import Unique
from meshgate.dialects.gateway_api.matching import HttpMatchSpec, MatchLowering
from meshgate.dialects.gateway_api.references import Duration
from meshgate.dialects.gateway_api.request_rules import RequestRuleSpec, bounded, request_rule
from meshgate.dialects.gateway_api.routes import MAX_RULES, HostnamesSpec, lowered_route
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem
from meshgate.model.gateway_api import GATEWAY_GROUP, RouteKind
from meshgate.model.gateway_api_routes import RedirectFilter, RewriteFilter, RouteRetry, RouteRule
from meshgate.model.route import PathKind, RequestMatch

_FILTERS = (
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestMirror",
    "RequestRedirect",
    "URLRewrite",
    "CORS",
    "ExternalAuth",
    "ExtensionRef",
)
StatusCode = Annotated[int, Field(ge=400, le=599)]


class TimeoutsSpec(Spec):
    """`HTTPRouteTimeouts`; 0s is no limit."""

    request: Duration | None = None
    backend_request: Duration | None = None


class RetrySpec(Spec):
    """`HTTPRouteRetry`."""

    codes: Annotated[Items[StatusCode], Unique] = ()
    attempts: Annotated[int, Field(ge=0)] | None = None
    backoff: Duration | None = None


class RuleSpec(RequestRuleSpec):
    """`HTTPRouteRule`."""

    matches: Annotated[Items[HttpMatchSpec], Field(max_length=64)] = ()
    timeouts: TimeoutsSpec = TimeoutsSpec()
    retry: RetrySpec | None = None


def _bounded(rules: tuple[RuleSpec, ...]) -> tuple[RuleSpec, ...]:
    bounded(rules, sum(len(rule.matches) for rule in rules))
    return rules


class HttpRouteSpec(HostnamesSpec):
    rules: Annotated[Items[RuleSpec], Field(max_length=MAX_RULES), AfterValidator(_bounded)] = (RuleSpec(),)


class HttpRoute(ObjectSpec):
    spec: HttpRouteSpec = HttpRouteSpec()


def lower_http_route(document: Document) -> Lowered:
    """The route with its rules (MG2xxx)."""
    value, said = check(HttpRoute, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    rules = tuple(
        _rule(rule, document, ("spec", "rules", i), said) for i, rule in enumerate(value.spec.rules)
    )
    return lowered_route(document, RouteKind.HTTP, value.spec, rules, value.metadata, said)


def _rule(spec: RuleSpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> RouteRule:
    matching = MatchLowering(document, said)
    matches = tuple(matching.http(m, (*path, "matches", i)) for i, m in enumerate(spec.matches))
    matches = matches or (matching.http(HttpMatchSpec(), path),)
    filtering = FilterLowering(document, said, _FILTERS)
    rule = replace(
        request_rule(spec, matches, filtering, document, path),
        timeout_ms=spec.timeouts.request,
        backend_timeout_ms=spec.timeouts.backend_request,
        retry=(
            RouteRetry(codes=spec.retry.codes, attempts=spec.retry.attempts, backoff_ms=spec.retry.backoff)
            if spec.retry
            else None
        ),
    )
    _check(rule, document, path, said)
    return rule


def _check(rule: RouteRule, document: Document, path: FieldPath, said: list[Diagnostic]) -> None:
    """What the fields of a rule must have to do with one another."""
    redirects = any(isinstance(f, RedirectFilter) for f in rule.filters)
    if redirects and rule.backends:
        said.append(problem(document, "MG2006", path, "RequestRedirect must not be used with backendRefs"))
    request, backend = rule.timeout_ms, rule.backend_timeout_ms
    if request and backend and backend > request:
        said.append(
            problem(
                document,
                "MG2006",
                (*path, "timeouts", "backendRequest"),
                "must not be longer than the timeout of the request",
            )
        )
    used = [*rule.filters, *(f for b in rule.backends for f in b.filters)]
    changes = [f.path for f in used if isinstance(f, RedirectFilter | RewriteFilter)]
    by_prefix = any(c.prefix is not None for c in changes)
    if by_prefix and not (len(rule.matches) == 1 and _prefixed(rule.matches[0])):
        message = "ReplacePrefixMatch needs exactly one match, by PathPrefix; give each a rule of its own"
        said.append(problem(document, "MG2006", path, message))


def _prefixed(match: RequestMatch) -> bool:
    return bool(match.paths) and match.paths[0].kind is PathKind.SEGMENTS


HTTP_ROUTE = KindParser(
    group=GATEWAY_GROUP,
    kind="HTTPRoute",
    versions=frozenset({"v1", "v1beta1", "v1alpha2"}),
    namespaced=True,
    lower=lower_http_route,
    plural="httproutes",
)
