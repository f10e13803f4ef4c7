"""A rule of the model as Envoy routes: one per match, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.destination import ConsistentHash, DestinationPolicy
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.route import (
    Destination,
    DirectResponse,
    Forward,
    HeaderChanges,
    Redirect,
    Refuse,
    RequestMatch,
    Rule,
)
from meshgate.policies import RouteParts
from meshgate.policies.consumer_headers import VARIANT
from meshgate.policies.packing import duration, header, pack, uint32
from meshgate.policies.parts import METADATA_NAMESPACE
from meshgate.translate import cors, sessions
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.fault import FAULT_FILTER, http_fault, parts_per_million
from meshgate.translate.hashing import hash_policies
from meshgate.translate.match import applies_to, route_match
from meshgate.translate.names import outbound_cluster
from meshgate.translate.redirect import redirect
from meshgate.translate.retry import retry_policy
from meshgate.translate.rewrite import override, rewrite

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
            override(route.route, parts)
        case Redirect() as action:
            redirect(route, action, context.proxy, context.port)
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
        route.typed_per_filter_config[FAULT_FILTER].CopyFrom(pack(http_fault(rule.fault)))
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
    retry_policy(target, action.retry)
    rewrite(target, action.rewrite, match)
    for mirror in action.mirrors:
        mirrored = target.request_mirror_policies.add(
            cluster=outbound_cluster(with_port(context.reader, mirror.destination, context.port))
        )
        fraction = mirrored.runtime_fraction.default_value
        fraction.numerator, fraction.denominator = parts_per_million(mirror.percent)
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
