"""From a virtual host to a verdict: which route, whose rule, and what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2

from meshgate.core.origin import Origin
from meshgate.model.consumer import Consumer
from meshgate.model.policy import Policy
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Refuse, Rule
from meshgate.simulate import matching, rewriting, variants_met
from meshgate.simulate.destinations import destinations
from meshgate.simulate.plugins_met import Asked
from meshgate.simulate.policies_met import policies_met, without_key
from meshgate.simulate.strings import string_matches
from meshgate.simulate.transformed import with_query_changes
from meshgate.simulate.verdict import DecidedBy, Injected, Outcome, PolicyMet, Reached, Sent, Verdict
from meshgate.translate import cors
from meshgate.translate.fault import FAULT_FILTER
from meshgate.translate.names import FORWARD_PROXY_CLUSTER, PASSTHROUGH_CLUSTER
from meshgate.translate.route import route_name
from meshgate.translate.virtual_host import BLOCK_ALL, SEVERAL_HOSTS

_OUTSIDE = (PASSTHROUGH_CLUSTER, FORWARD_PROXY_CLUSTER)
_REDIRECTS = {0: 301, 1: 302, 2: 303, 3: 307, 4: 308}
"""Envoy's `RedirectResponseCode` -> HTTP status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in which proxy the request is."""

    reader: Reader
    proxy: Proxy
    host: pb.VirtualHost
    rules: Sequence[Rule]
    """What the virtual host's routes were made of, in order."""
    service_origin: Origin | None = None
    """For hosts without rules: where their service is written."""
    consumers: Sequence[Consumer] = ()


def decide(place: Place, headers: Mapping[str, str], so_far: Verdict) -> Verdict:
    """`so_far` completed by what the virtual host's routes say about the request."""
    number = matching.route(place.host.routes, headers)
    if number is None:
        return replace(
            so_far,
            outcome=Outcome.REFUSE,
            status=404,
            reason=f"no rule of {place.host.name} takes this request",
        )
    route = place.host.routes[number]
    rule = _owner(place, number)
    asked = Asked(consumers=place.consumers, headers=headers, https_port=place.proxy.https_port)
    policies = policies_met(route, rule.policies if rule else (), asked)
    own = variants_met.variant_of(rule, route, place.host, place.consumers, policies) if rule else None
    if own is not None:
        route, rule = own
        policies = policies_met(route, rule.policies, asked)
    verdict = replace(
        so_far,
        route=route.name,
        rule=_decided_by(place, route, rule),
        policies=policies,
        fault=_fault(route),
    )
    if _is_answered_preflight(route, headers):
        return replace(verdict, outcome=Outcome.ANSWER, status=200, reason="a CORS preflight", policies=())
    verdict = _acted(place, route, rule, headers, verdict)
    return _turned_away(verdict, policies)


def _owner(place: Place, number: int) -> Rule | None:
    """The rule that a route was made of: routes follow the order of the rules and bear their names."""
    rules = iter(place.rules)
    rule: Rule | None = None
    names = {n for one in place.rules for n in _names(one)}
    if place.host.routes[number].name not in names:
        return None  # a patch has put it there, or it is for a request that names several hosts
    for route in (r for r in place.host.routes[: number + 1] if r.name in names):
        while rule is None or route.name not in _names(rule):
            rule = next(rules, None)
            if rule is None:
                return None
    return rule


def _names(rule: Rule) -> set[str]:
    return {rule.name, *(route_name(rule, m) for m in rule.matches)}


def _decided_by(place: Place, route: pb.Route, rule: Rule | None) -> DecidedBy | None:
    if rule is not None:
        edge = rule.edge_origin if rule.edge_origin != rule.origin else None
        return DecidedBy(name=rule.name, origin=rule.origin, edge_origin=edge)
    if place.service_origin is not None:
        return DecidedBy(name=route.name, origin=place.service_origin)
    return None


def _acted(
    place: Place, route: pb.Route, rule: Rule | None, headers: Mapping[str, str], verdict: Verdict
) -> Verdict:
    match route.WhichOneof("action"):
        case "redirect":
            location = rewriting.redirect_location(
                route, headers[":scheme"], headers[":authority"], headers[":path"]
            )
            status = _REDIRECTS[route.redirect.response_code]
            return replace(verdict, outcome=Outcome.REDIRECT, status=status, location=location)
        case "direct_response" if route.name == BLOCK_ALL:
            reason = "the sidecar does not know the host, and unknown hosts are refused (REGISTRY_ONLY)"
            return replace(verdict, outcome=Outcome.REFUSE, status=502, rule=None, reason=reason)
        case "direct_response":
            if rule is not None and isinstance(rule.action, Refuse):
                refused = replace(verdict, outcome=Outcome.REFUSE, reason=rule.action.reason)
                return replace(refused, status=rule.action.status)
            if route.name == SEVERAL_HOSTS:
                return replace(verdict, status=400, reason="the request has more than one Host")
            return replace(verdict, outcome=Outcome.ANSWER, status=route.direct_response.status)
        case _:
            outside = route.route.cluster in _OUTSIDE
            return replace(
                verdict,
                outcome=Outcome.OUTSIDE if outside else Outcome.FORWARD,
                destinations=_reached(place, route, headers),
                sent=_sent(route, headers, rule.policies if rule else ()),
            )


def _reached(place: Place, route: pb.Route, headers: Mapping[str, str]) -> tuple[Reached, ...]:
    """Where the requests go, with the shares of routes that take others of the same requests."""
    if not route.match.HasField("runtime_fraction"):
        return destinations(place.reader, place.proxy, route.route)
    routes = place.host.routes
    found: list[Reached] = []
    for number, percent in matching.shares(routes, headers, list(routes).index(route)):
        other = routes[number]
        if other.WhichOneof("action") == "route":
            reached = destinations(place.reader, place.proxy, other.route)
            found += (replace(one, percent=one.percent * percent / 100) for one in reached)
        else:
            says = "redirected" if other.HasField("redirect") else str(other.direct_response.status)
            found.append(Reached(cluster=other.name, percent=percent, problem=f"these are answered: {says}"))
    return tuple(found)


def _is_answered_preflight(route: pb.Route, headers: Mapping[str, str]) -> bool:
    """Whether Envoy's `cors` filter answers it: before authentication, for origins that may call."""
    if cors.FILTER not in route.typed_per_filter_config or headers[":method"] != "OPTIONS":
        return False
    origin = headers.get("origin", "")
    if not origin or not headers.get("access-control-request-method"):
        return False
    policy = cors_pb2.CorsPolicy()
    route.typed_per_filter_config[cors.FILTER].Unpack(policy)
    if policy.HasField("forward_not_matching_preflights"):
        return True  # it is only ever set to keep them from the service
    allowed = policy.allow_origin_string_match
    return any(string_matches(m, text) for m in allowed for text in ("*", origin))


def _sent(route: pb.Route, headers: Mapping[str, str], policies: Sequence[Policy]) -> Sent:
    action = route.route
    retry = action.retry_policy if action.HasField("retry_policy") else None
    return Sent(
        path=with_query_changes(
            policies, rewriting.path_sent(route, without_key(policies, headers[":path"]))
        ),
        authority=rewriting.authority_sent(route, headers[":authority"]),
        timeout_ms=action.timeout.ToMilliseconds(),
        retries=retry.num_retries.value if retry else 0,
        retry_on=retry.retry_on if retry else "",
        per_try_timeout_ms=retry.per_try_timeout.ToMilliseconds() if retry else 0,
        hash_on=_hash_on(action),
        mirrors=tuple(
            (m.cluster, m.runtime_fraction.default_value.numerator / 10_000)
            for m in action.request_mirror_policies
        ),
        request_headers=_changes(route.request_headers_to_add, route.request_headers_to_remove),
        response_headers=_changes(route.response_headers_to_add, route.response_headers_to_remove),
    )


def _hash_on(action: pb.RouteAction) -> str:
    for policy in action.hash_policy:
        match policy.WhichOneof("policy_specifier"):
            case "header":
                return f"header {policy.header.header_name}"
            case "cookie":
                return f"cookie {policy.cookie.name}"
            case "query_parameter":
                return f"query parameter {policy.query_parameter.name}"
            case _:
                return "client address"
    return ""


def _changes(added: Sequence[base_pb2.HeaderValueOption], removed: Sequence[str]) -> tuple[str, ...]:
    appended = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    found = [
        f"{'+' if option.append_action == appended else ''}{option.header.key}: {option.header.value}"
        for option in added
    ]
    return (*found, *(f"-{name}" for name in removed))


def _fault(route: pb.Route) -> Injected | None:
    if FAULT_FILTER not in route.typed_per_filter_config:
        return None
    config = fault_pb2.HTTPFault()
    route.typed_per_filter_config[FAULT_FILTER].Unpack(config)
    return Injected(
        delay_ms=config.delay.fixed_delay.ToMilliseconds(),
        delay_percent=config.delay.percentage.numerator / 10_000,
        abort_status=200 if (grpc := _grpc(config)) is not None else config.abort.http_status,
        abort_grpc=grpc,
        abort_percent=config.abort.percentage.numerator / 10_000,
    )


def _grpc(config: fault_pb2.HTTPFault) -> int | None:
    return config.abort.grpc_status if config.abort.WhichOneof("error_type") == "grpc_status" else None


def _turned_away(verdict: Verdict, policies: Sequence[PolicyMet]) -> Verdict:
    """The first policy that refuses, or a fault that always strikes, ends the request."""
    for policy in policies:
        if policy.refuses:
            return replace(
                verdict,
                outcome=Outcome.REDIRECT if policy.location else Outcome.REFUSE,
                status=policy.refuses,
                location=policy.location,
                reason=f"{policy.kind}: {policy.says}",
            )
    fault = verdict.fault
    if fault is not None and fault.abort_status and fault.abort_percent >= 100:
        return replace(
            verdict, outcome=Outcome.REFUSE, status=fault.abort_status, reason="the rule's fault aborts all"
        )
    if verdict.destinations and all(d.problem for d in verdict.destinations) and not verdict.status:
        problems = "; ".join(dict.fromkeys(d.problem for d in verdict.destinations))
        return replace(verdict, outcome=Outcome.REFUSE, status=503, reason=problems)
    return verdict
