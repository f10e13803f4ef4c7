"""A rule of the model as Envoy routes: one per match, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from meshgate.model.destination import ConsistentHash, DestinationPolicy
from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.route import (
    Destination,
    DirectResponse,
    Fault,
    Forward,
    HeaderChanges,
    PathKind,
    Redirect,
    Refuse,
    RequestMatch,
    Retry,
    Rewrite,
    Rule,
)
from meshgate.policies import RouteParts
from meshgate.policies.consumer_headers import VARIANT
from meshgate.policies.packing import duration, header, pack, uint32
from meshgate.policies.parts import METADATA_NAMESPACE
from meshgate.translate import cors, sessions
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.hashing import hash_policies
from meshgate.translate.match import applies_to, quote_regex, route_match
from meshgate.translate.names import outbound_cluster

FAULT_FILTER = "envoy.filters.http.fault"

NOWHERE_CLUSTER = "nowhere"
"""There is none of that name: requests that are given to it answer 500."""

MAX_DIRECT_BODY = 1 << 20
"""Bytes of a direct response's body; Envoy's own limit is 4096."""

PartsOf = Callable[[Rule], RouteParts]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteContext:
    """For whom routes are made."""

    reader: Reader
    proxy: Proxy
    port: int
    """Port that was asked for; 0 where any."""
    parts_of: PartsOf
    """What policies add to a rule's routes."""


def routes(context: RouteContext, rule: Rule, variant: str = "") -> list[pb.Route]:
    """The rule's routes for this proxy; empty where none of its matches can apply to it.

    With the name of a variant: those that requests meet which have it.
    """
    labels = dict(context.proxy.labels)
    matches = [m for m in rule.matches if applies_to(m, context.proxy.namespace, labels, context.port)]
    if rule.matches and not matches:
        return []
    found = [_route(context, rule, match) for match in matches or [RequestMatch()]]
    for route in found if variant else ():
        route.name += variant.removeprefix(rule.name)
        route.match.headers.add(name=VARIANT).string_match.exact = variant
    return found


def route_name(rule: Rule, match: RequestMatch) -> str:
    """The rule's name, and behind it the match's own (as Istio 1.27 names routes)."""
    return f"{rule.name}.{match.name}" if match.name else rule.name


def _route(context: RouteContext, rule: Rule, match: RequestMatch) -> pb.Route:
    route = pb.Route(name=route_name(rule, match), match=route_match(match), stat_prefix=match.stat_prefix)
    parts = context.parts_of(rule)
    match rule.action:
        case Forward() as action:
            _forward(context, route, action, match)
            route.route.rate_limits.extend(parts.rate_limits)
            _headers(
                route,
                HeaderChanges(set=parts.set_request_headers, remove=parts.remove_request_headers),
                HeaderChanges(),
            )
            _override(route.route, parts)
        case Redirect() as action:
            _redirect(route, action, context)
        case DirectResponse() as action:
            route.direct_response.status = action.status
            if action.body:
                route.direct_response.body.inline_bytes = action.body
        case Refuse() as action:
            route.direct_response.status = action.status
            route.direct_response.body.inline_string = _refusal(context.proxy, action)
        case _:
            assert_never(rule.action)
    for name, config in parts.filters.items():
        if not isinstance(rule.action, Refuse):
            route.typed_per_filter_config[name].CopyFrom(config)
    # A plugin at the edge speaks for what is behind it.
    if rule.cors is not None and cors.FILTER not in route.typed_per_filter_config:
        echoing = rule.cors.echoes and context.proxy.kind is ProxyKind.GATEWAY
        route.typed_per_filter_config[cors.FILTER].CopyFrom(
            pack(cors.cors_policy(rule.cors, echoing=echoing))
        )
        if echoing:
            route.typed_per_filter_config[cors.HEADERS_FILTER].CopyFrom(cors.echo())
    if rule.fault is not None:
        route.typed_per_filter_config[FAULT_FILTER].CopyFrom(pack(_fault(rule.fault)))
    if parts.body_limit:
        route.request_body_buffer_limit.value = parts.body_limit
    if parts.metadata:
        route.metadata.filter_metadata[METADATA_NAMESPACE].update(dict(parts.metadata))
    _headers(route, rule.request_headers, rule.response_headers)
    return route


def _refusal(proxy: Proxy, action: Refuse) -> str:
    """Inside the mesh the reason itself; at the edge nothing that names our objects to strangers."""
    if proxy.kind is ProxyKind.SIDECAR:
        return action.reason
    if action.status == 404:
        return "no Route matched with those values"
    return "this route is closed because its configuration has an error"


def _forward(context: RouteContext, route: pb.Route, action: Forward, match: RequestMatch) -> None:
    target = route.route
    destinations = [with_port(context.reader, d.destination, context.port) for d in action.destinations]
    if len(action.destinations) == 1 and not action.lost_weight:
        target.cluster = outbound_cluster(destinations[0])
        only = action.destinations[0]
        _headers(route, only.request_headers, only.response_headers)
    else:
        for weighted, destination in zip(action.destinations, destinations, strict=True):
            if weighted.weight == 0:
                continue
            entry = target.weighted_clusters.clusters.add(name=outbound_cluster(destination))
            entry.weight.CopyFrom(uint32(weighted.weight))
            _headers(entry, weighted.request_headers, weighted.response_headers)
    if action.lost_weight:
        target.weighted_clusters.clusters.add(name=NOWHERE_CLUSTER).weight.CopyFrom(
            uint32(action.lost_weight)
        )
        target.cluster_not_found_response_code = target.INTERNAL_SERVER_ERROR
    if action.persistence is not None:
        route.typed_per_filter_config[sessions.FILTER].CopyFrom(pack(sessions.per_route(action.persistence)))
    target.timeout.CopyFrom(duration(action.timeout_ms))
    target.max_stream_duration.max_stream_duration.CopyFrom(duration(action.timeout_ms))
    if action.idle_timeout_ms is not None:
        target.idle_timeout.CopyFrom(duration(action.idle_timeout_ms))
    _retry(target, action.retry)
    _rewrite(target, action.rewrite, match)
    for mirror in action.mirrors:
        mirrored = target.request_mirror_policies.add(
            cluster=outbound_cluster(with_port(context.reader, mirror.destination, context.port))
        )
        fraction = mirrored.runtime_fraction.default_value
        fraction.numerator, fraction.denominator = _parts_per_million(mirror.percent)
    target.hash_policy.extend(hash_policies(_hash_rules(context, destinations), match))


def with_port(reader: Reader, destination: Destination, asked: int) -> Destination:
    """Fills in the port where the rule leaves it to the request: what was asked for, else the only one."""
    if destination.port:
        return destination
    service = reader.service(destination.host)
    if service is None:
        port = asked
    elif service.port(asked or 80):
        port = asked or 80
    else:
        port = service.ports[0].number if len(service.ports) == 1 else asked
    return Destination(host=destination.host, port=port, subset=destination.subset)


def _hash_rules(context: RouteContext, destinations: list[Destination]) -> ConsistentHash | None:
    """By what requests are hashed: as the first destination that wants it."""
    for destination in destinations:
        rules = _rules(context, destination.host)
        rule = traffic_policy(rules, destination.port, destination.subset).hash
        if rule is not None:
            return rule
    return None


def _rules(context: RouteContext, host: str) -> DestinationPolicy | None:
    proxy = context.proxy
    return destination_policy(context.reader, host, proxy.namespace, proxy.labels)


def _retry(target: pb.RouteAction, retry: Retry) -> None:
    if retry.attempts <= 0:
        return
    policy = target.retry_policy
    policy.retry_on = ",".join(retry.conditions)
    policy.num_retries.CopyFrom(uint32(retry.attempts))
    policy.retriable_status_codes.extend(retry.status_codes)
    policy.host_selection_retry_max_attempts = 5
    policy.retry_back_off.base_interval.CopyFrom(duration(retry.backoff_ms))
    if retry.per_try_timeout_ms:
        policy.per_try_timeout.CopyFrom(duration(retry.per_try_timeout_ms))
    if retry.ignore_previous_hosts:
        predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.CopyFrom(pack(previous_hosts_pb2.PreviousHostsPredicate()))
    if retry.remote_localities:
        policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        # Every second try looks further, as in Istio 1.27.
        priorities = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2)
        policy.retry_priority.typed_config.CopyFrom(pack(priorities))


def _rewrite(target: pb.RouteAction, rewrite: Rewrite, match: RequestMatch) -> None:
    if rewrite.path_regex:
        target.regex_rewrite.pattern.regex = rewrite.path_regex
        target.regex_rewrite.substitution = rewrite.substitution
    elif rewrite.prefix is not None:
        _replace_prefix(target, rewrite.prefix, match)
    if rewrite.authority:
        target.host_rewrite_literal = rewrite.authority


def _override(target: pb.RouteAction, parts: RouteParts) -> None:
    """Path and host that a plugin sets, in place of what the rule's rewrite says."""
    if parts.path:
        target.prefix_rewrite = ""
        target.regex_rewrite.pattern.regex = "^.*$"
        target.regex_rewrite.substitution = parts.path.replace("\\", "\\\\")
    elif parts.own_path:
        target.prefix_rewrite = ""
        target.ClearField("regex_rewrite")
    if parts.host:
        target.host_rewrite_literal = parts.host


def _replace_prefix(target: pb.RouteAction, prefix: str, match: RequestMatch) -> None:
    """Replaces what matched by `prefix`, without leaving a double or a missing slash.

    Envoy's plain prefix rewrite makes `//x` of `/api/x` with prefix `/`, so where the
    replacement ends in a slash, the slash behind the match goes too.
    """
    path = match.paths[0] if match.paths else None
    # For these Envoy's own rewrite replaces the whole path, which is what is wanted.
    whole = (PathKind.EXACT, PathKind.REGEX)
    if path is None or path.value in ("", "/") or path.ignore_case or path.kind in whole:
        target.prefix_rewrite = prefix
        return
    head = quote_regex(path.value.rstrip("/"))
    if prefix.endswith("/"):
        target.regex_rewrite.pattern.regex = f"^{head}/*"
    else:
        target.regex_rewrite.pattern.regex = f"^{head}"
    target.regex_rewrite.substitution = prefix.replace("\\", "\\\\")


def _redirect(route: pb.Route, action: Redirect, context: RouteContext) -> None:
    codes = {
        301: pb.RedirectAction.MOVED_PERMANENTLY,
        302: pb.RedirectAction.FOUND,
        303: pb.RedirectAction.SEE_OTHER,
        307: pb.RedirectAction.TEMPORARY_REDIRECT,
        308: pb.RedirectAction.PERMANENT_REDIRECT,
    }
    route.redirect.response_code = codes.get(action.code, pb.RedirectAction.MOVED_PERMANENTLY)
    if action.authority:
        route.redirect.host_redirect = action.authority
    if action.path:
        route.redirect.path_redirect = action.path
    elif action.prefix:
        route.redirect.prefix_rewrite = action.prefix
    elif action.path_regex:
        route.redirect.regex_rewrite.pattern.regex = action.path_regex
        route.redirect.regex_rewrite.substitution = action.substitution
    if action.scheme:
        route.redirect.scheme_redirect = action.scheme
    port = _redirect_port(action, context)
    # A scheme's own port is not written out where that does not leave the request's in its place.
    if port and not (action.authority and (port, action.scheme) in ((80, "http"), (443, "https"))):
        route.redirect.port_redirect = port


def _redirect_port(action: Redirect, context: RouteContext) -> int:
    """0: the request's own while the host stays, else none."""
    if action.derive_port or action.server_port:
        served = {HTTP_PORT: context.proxy.http_port, HTTPS_PORT: context.proxy.https_port}
        port = context.port if action.derive_port else served.get(action.server_port, action.server_port)
        return 0 if not action.scheme and port in (80, 443) else port
    return context.proxy.https_port if action.to_https_port and not action.port else action.port


def _fault(fault: Fault) -> fault_pb2.HTTPFault:
    config = fault_pb2.HTTPFault()
    if fault.delay_ms and fault.delay_percent:
        config.delay.fixed_delay.CopyFrom(duration(fault.delay_ms))
        share = config.delay.percentage
        share.numerator, share.denominator = _parts_per_million(fault.delay_percent)
    if fault.abort_percent and (fault.abort_http or fault.abort_grpc is not None):
        if fault.abort_grpc is not None:
            config.abort.grpc_status = fault.abort_grpc
        else:
            config.abort.http_status = fault.abort_http
        share = config.abort.percentage
        share.numerator, share.denominator = _parts_per_million(fault.abort_percent)
    return config


def _parts_per_million(percent: float) -> tuple[int, int]:
    return round(percent * 10_000), 2  # FractionalPercent.MILLION


def _headers(
    target: pb.Route | pb.WeightedCluster.ClusterWeight, request: HeaderChanges, response: HeaderChanges
) -> None:
    add = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    for name, value in request.set:
        target.request_headers_to_add.append(header(name, value))
    for name, value in request.add:
        target.request_headers_to_add.append(header(name, value, add))
    target.request_headers_to_remove.extend(request.remove)
    for name, value in response.set:
        target.response_headers_to_add.append(header(name, value))
    for name, value in response.add:
        target.response_headers_to_add.append(header(name, value, add))
    target.response_headers_to_remove.extend(response.remove)
