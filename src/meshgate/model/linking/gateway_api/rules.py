"""HTTPRoutes and GRPCRoutes as the model's rules, with their precedence. Internal to `link`.

Precedence follows the specification: exact paths, regular expressions, prefixes, each the
longer first; then a method, more headers, more query parameters; then the older route, its
namespace and name, and the order within the route.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from meshgate.model.declared import EdgeRules
from meshgate.model.gateway_api import RouteKind
from meshgate.model.gateway_api_routes import ApiRoute, ExtensionFilter, RouteAnnotations, RouteRule
from meshgate.model.linking.gateway_api.backends import LinkedBackend, Resolution
from meshgate.model.linking.gateway_api.filters import (
    Filtered,
    apply_filters,
    joined,
    redirect_of,
    rewrite_of,
)
from meshgate.model.linking.gateway_api.traffic import BackendTraffic
from meshgate.model.linking.matches import any_of, common_methods
from meshgate.model.linking.paths import combine
from meshgate.model.linking.plugins import Applied, Plugins
from meshgate.model.linking.rewrites import completed
from meshgate.model.policy import ExternalAuth
from meshgate.model.route import (
    DEFAULT_RETRY,
    Action,
    Forward,
    NamedMatch,
    PathKind,
    Refuse,
    RequestMatch,
    Retry,
    Rewrite,
    Rule,
    SessionPersistence,
    WeightedDestination,
)
from meshgate.model.service import EdgeOptions, Service

_RANK = {PathKind.EXACT: 0, PathKind.REGEX: 1, PathKind.SEGMENTS: 2, PathKind.PREFIX: 2}
_RETRIED = ("connect-failure", "refused-stream", "reset")
"""Connection errors; a try that took too long is a reset."""

Precedence = tuple[int, int, bool, int, int, str, str, str, int, int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A rule and where it stands among those of other routes."""

    precedence: Precedence
    rule: Rule


@dataclass(frozen=True, slots=True)
class Entrance:
    """By what a request came: it decides what a redirect leaves as it was."""

    scheme: str
    port: int
    mesh: bool = False
    """From a client's sidecar, which carries out no plugins and asks nobody."""


class RouteRules:
    """The rules of one route at a listener."""

    def __init__(
        self, route: ApiRoute, resolution: Resolution, plugins: Plugins, traffic: BackendTraffic
    ) -> None:
        self._route, self._resolution, self._plugins = route, resolution, plugins
        self._traffic = traffic
        self._rules = [
            (rule, apply_filters(rule.filters, resolution), self._backends(rule)) for rule in route.rules
        ]

    def _backends(self, rule: RouteRule) -> tuple[tuple[LinkedBackend, Filtered], ...]:
        found = self._resolution.backends(rule.backends)
        return tuple((one, apply_filters(one.declared.filters, self._resolution)) for one in found)

    def at(self, entrance: Entrance) -> tuple[Ranked, ...]:
        """The rules, one or more per match, in the order of the route."""
        found: list[Ranked] = []
        annotations = self._route.annotations
        if annotations.plain_only and entrance.scheme != "http":
            return ()
        for number, (rule, filtered, backends) in enumerate(self._rules):
            for place, written in enumerate(rule.matches):
                match = _narrowed(written, annotations)
                if match is None:
                    continue
                precedence = _precedence(self._route, match, number, place)
                name = f"{self._route.ref.kind.lower()}/{self._route.namespace}/{self._route.ref.name}"
                base = Rule(
                    name=f"{name}/{number}/{place}",
                    matches=(match,),
                    action=Refuse(status=500, reason=""),
                    origin=rule.origin,
                    route_label=f"{name.replace('/', '.')}.{number}",
                )
                made = self._split(base, rule, filtered, backends, match, entrance)
                found += (Ranked(precedence, one) for one in made)
        return tuple(found)

    def _split(
        self,
        base: Rule,
        rule: RouteRule,
        filtered: Filtered,
        backends: tuple[tuple[LinkedBackend, Filtered], ...],
        match: RequestMatch,
        entrance: Entrance,
    ) -> Iterator[Rule]:
        """One rule, or one per backend where backends differ in more than headers."""
        shares = [(b, f) for b, f in backends if b.declared.weight]
        named = len(shares) > 1 and any(b.service and b.service.plugin_names for b, _ in shares)
        if filtered.redirect or not (named or any(not f.is_plain for _, f in shares)):
            yield self._rule(base, rule, filtered, shares, match, entrance)
            return
        total, so_far = sum(b.declared.weight for b, _ in shares), 0
        for number, (backend, own) in enumerate(shares):
            so_far += backend.declared.weight
            both = _both(filtered, own)
            share = replace(match, up_to_percent=100.0 * so_far / total)
            split = replace(base, name=f"{base.name}/{number}", matches=(share,))
            yield self._rule(split, rule, both, [(backend, Filtered())], share, entrance)

    def _rule(
        self,
        base: Rule,
        rule: RouteRule,
        filtered: Filtered,
        shares: list[tuple[LinkedBackend, Filtered]],
        match: RequestMatch,
        entrance: Entrance,
    ) -> Rule:
        service = next((b.service for b, _ in shares if b.service), None)
        label = f"{service.name.namespace}.{service.name.name}" if service else base.route_label
        names = (*self._route.plugin_names, *filtered.plugins)
        rules = edge_rules(self._route, names)
        if entrance.mesh:
            applied = Applied(policies=(), problem=_not_in_mesh(filtered))
        else:
            found = self._plugins.apply(rules, service, base.route_label, label)
            applied = _asking(found, filtered.authorizers)
        problem = filtered.problem or rules.closed or applied.problem
        action: Action
        if problem:
            action = Refuse(status=500, reason=problem)
        elif filtered.redirect is not None:
            action = redirect_of(filtered.redirect, match, entrance.scheme, entrance.port)
        else:
            rewrite = self._rewrite(filtered, match, rules, service)
            action = self._forward(rule, filtered, shares, rewrite)
        return replace(
            base,
            action=action,
            request_headers=filtered.request,
            response_headers=filtered.response,
            cors=filtered.cors,
            policies=() if problem else applied.policies,
            variants=() if problem else applied.variants,
            service_label=label,
        )

    def _rewrite(
        self, filtered: Filtered, match: RequestMatch, rules: EdgeRules, service: Service | None
    ) -> Rewrite:
        """Of the filter, or else of `strip-path`; then what the annotations of the Service say."""
        rewrite, path = rewrite_of(filtered.rewrite, match), match.paths[0]
        if rules.strip_path and not rewrite.path_regex:
            combined = combine(path, None, Rewrite(), strip=True)
            assert combined is not None  # a path alone contradicts nothing
            stripped = combined.rewrite
            rewrite = replace(
                rewrite,
                prefix=stripped.prefix,
                path_regex=stripped.path_regex,
                substitution=stripped.substitution,
            )
        if service is None:
            return rewrite
        if self._route.kind is RouteKind.GRPC:  # the path is the name of a method
            service = replace(service, edge=replace(service.edge, path=""))
        return completed(rewrite, path, rules, service, _unheard)

    def _forward(
        self,
        rule: RouteRule,
        filtered: Filtered,
        shares: list[tuple[LinkedBackend, Filtered]],
        rewrite: Rewrite,
    ) -> Action:
        good = [(b, f) for b, f in shares if not b.problem]
        edge = next((b.service.edge for b, _ in good if b.service), EdgeOptions())
        lost = sum(b.declared.weight for b, _ in shares if b.problem)
        if not good:
            problems = dict.fromkeys(b.problem for b, _ in shares if b.problem)
            return Refuse(status=500, reason="; ".join(problems) or "the rule has no backend with a weight")
        return Forward(
            destinations=tuple(
                WeightedDestination(
                    destination=b.destination,
                    weight=b.declared.weight,
                    request_headers=f.request,
                    response_headers=f.response,
                )
                for b, f in good
            ),
            timeout_ms=rule.timeout_ms or 0,
            idle_timeout_ms=edge.idle_timeout_ms,
            retry=_retry(rule, edge.retries),
            rewrite=rewrite,
            mirrors=tuple(filtered.mirrors),
            lost_weight=lost,
            persistence=rule.persistence or self._persistence(good),
        )

    def _persistence(self, good: Iterable[tuple[LinkedBackend, Filtered]]) -> SessionPersistence | None:
        """What a policy says of the first backend that has one."""
        policies = (self._traffic.of_service.get(b.service.name) for b, _ in good if b.service)
        return next((p.persistence for p in policies if p is not None and p.persistence), None)


def edge_rules(route: ApiRoute, plugin_names: tuple[str, ...]) -> EdgeRules:
    """What Kong's plugins want to know of a route."""
    annotations = route.annotations
    return EdgeRules(
        ref=route.ref,
        namespace=route.namespace,
        class_name="",
        paths=(),
        plugin_names=plugin_names,
        plugins_origin=route.plugins_origin,
        strip_path=annotations.strip_path,
        preserve_host=annotations.preserve_host,
        methods=annotations.methods,
        headers=annotations.headers,
        https_only=annotations.https_only,
        plain_only=annotations.plain_only,
        only_via=annotations.only_via,
        buffering=annotations.buffering,
        joins_paths=annotations.joins_paths,
        closed=annotations.closed,
        created=route.created,
        origin=route.origin,
    )


def plugin_uses(route: ApiRoute) -> EdgeRules:
    """The same with every plugin that any of its rules names."""
    names = [
        f.target.name.name
        for rule in route.rules
        for f in (*rule.filters, *(f for b in rule.backends for f in b.filters))
        if isinstance(f, ExtensionFilter)
    ]
    return edge_rules(route, (*route.plugin_names, *names))


def _both(outer: Filtered, own: Filtered) -> Filtered:
    """A rule's filters and those of one of its backends."""
    return Filtered(
        request=joined(outer.request, own.request),
        response=joined(outer.response, own.response),
        redirect=own.redirect or outer.redirect,
        rewrite=own.rewrite or outer.rewrite,
        mirrors=[*outer.mirrors, *own.mirrors],
        cors=own.cors or outer.cors,
        plugins=[*outer.plugins, *own.plugins],
        authorizers=[*outer.authorizers, *own.authorizers],
        problem=outer.problem or own.problem,
    )


def _asking(applied: Applied, authorizers: Iterable[ExternalAuth]) -> Applied:
    """The same, where somebody else decides too, whoever asks."""
    more = tuple(dict.fromkeys(authorizers))
    variants = tuple(replace(v, policies=(*more, *v.policies)) for v in applied.variants)
    return replace(applied, policies=(*more, *applied.policies), variants=variants)


def _not_in_mesh(filtered: Filtered) -> str:
    """Why a rule must be closed at sidecars: who asks there would get in unasked."""
    if filtered.authorizers:
        return "ExternalAuth is not carried out inside the mesh"
    return f"plugin {filtered.plugins[0]} is not carried out inside the mesh" if filtered.plugins else ""


def _unheard(message: str) -> None:
    """A rewrite of the Gateway API is of the whole path, so the Service's path always has a place."""


def _narrowed(match: RequestMatch, annotations: RouteAnnotations) -> RequestMatch | None:
    """With the methods and headers of the annotations; None where no request is left."""
    methods = common_methods(annotations.methods, match.methods)
    if methods is None:
        return None
    headers = tuple(NamedMatch(name=n, match=any_of(values)) for n, values in annotations.headers if values)
    return replace(match, methods=methods, headers=match.headers + headers)


def _retry(rule: RouteRule, of_service: int | None) -> Retry:
    """The rule's own; else Kong's annotation on the Service; else the default."""
    per_try = rule.backend_timeout_ms or 0
    wanted = rule.retry
    if wanted is None:
        attempts = DEFAULT_RETRY.attempts if of_service is None else of_service
        return replace(DEFAULT_RETRY, attempts=attempts, per_try_timeout_ms=per_try)
    conditions = (*_RETRIED, "retriable-status-codes") if wanted.codes else _RETRIED
    return Retry(
        attempts=DEFAULT_RETRY.attempts if wanted.attempts is None else wanted.attempts,
        conditions=conditions,
        status_codes=wanted.codes,
        per_try_timeout_ms=per_try,
        backoff_ms=DEFAULT_RETRY.backoff_ms if wanted.backoff_ms is None else max(wanted.backoff_ms, 1),
    )


def _precedence(route: ApiRoute, match: RequestMatch, number: int, place: int) -> Precedence:
    path = match.paths[0]
    return (
        _RANK[path.kind],
        -len(path.value.rstrip("/")),
        not match.methods,
        -len(match.headers),
        -len(match.query),
        route.created,
        route.namespace,
        route.ref.name,
        number,
        place,
    )
