"""Patches of route configurations, virtual hosts and routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from envoy.config.route.v3 import route_components_pb2, route_pb2

from meshgate.model.envoy_patch import ApplyTo, Context, EnvoyPatch, Operation, RouteAction, RouteMatch
from meshgate.translate.patching import Seen, in_context, merged, value

_ANY = RouteMatch()
_MERGES = (Operation.MERGE, Operation.MERGE_AND_REPLACE_LIST)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePlace:
    """Which of Istio's route configurations and virtual hosts something is."""

    context: Context
    configurations: frozenset[str]
    """All names by which the configuration may be meant."""
    ports: frozenset[int]
    gateways: frozenset[str] = frozenset()
    """`namespace/name` of Gateways; empty where nobody knows."""
    hosts: frozenset[str] = frozenset()
    """All names by which the virtual host may be meant."""


def patch_configuration(
    config: route_pb2.RouteConfiguration, patches: Sequence[EnvoyPatch], context: Context, seen: Seen
) -> None:
    """Patches an inbound configuration, whose one virtual host is part of it."""
    parts = config.name.split("|")
    port = int(parts[1]) if len(parts) == 4 and parts[1].isdecimal() else 0
    place = RoutePlace(context=context, configurations=frozenset({config.name}), ports=frozenset({port}))
    patch_settings(config, patches, place, seen)
    hosts = []
    for host in config.virtual_hosts:
        found = patch_host(host, patches, _named(place, host.name), seen)
        if found is not None:
            hosts.append(_copied(found))
    for patch in patches:
        adds = patch.apply_to is ApplyTo.VIRTUAL_HOST and patch.operation is Operation.ADD
        if adds and _means(patch, place):
            seen.hit(patch)
            hosts.append(value(patch))
    del config.virtual_hosts[:]
    config.virtual_hosts.extend(hosts)


def patch_settings(
    config: route_pb2.RouteConfiguration, patches: Iterable[EnvoyPatch], place: RoutePlace, seen: Seen
) -> None:
    """Merges what is for the configuration itself."""
    for patch in patches:
        if patch.apply_to is ApplyTo.ROUTE_CONFIGURATION and _means(patch, place):
            merged(config, patch, seen)


def patch_host(
    host: route_components_pb2.VirtualHost, patches: Sequence[EnvoyPatch], place: RoutePlace, seen: Seen
) -> route_components_pb2.VirtualHost | None:
    """The virtual host with its patches; None where one removes it. Its name and domains stay."""
    mine = [p for p in patches if _means(p, place) and _means_host(p, host, place)]
    name, domains = host.name, list(host.domains)
    for patch in (p for p in mine if p.apply_to is ApplyTo.VIRTUAL_HOST):
        if patch.operation is Operation.REMOVE:
            seen.hit(patch)
            return None
        if patch.operation is Operation.REPLACE:
            seen.hit(patch)
            host.CopyFrom(value(patch))
        elif patch.operation in _MERGES:
            merged(host, patch, seen)
    # Envoy knows hosts that come one by one by these; another name could never be taken away again.
    host.name = name
    if domains != list(host.domains):
        del host.domains[:]
        host.domains.extend(domains)
    for patch in (p for p in mine if p.apply_to is ApplyTo.HTTP_ROUTE):
        _patch_routes(host, patch, seen)
    return host


def added_host(
    patches: Iterable[EnvoyPatch], place: RoutePlace, domain: str, seen: Seen
) -> route_components_pb2.VirtualHost | None:
    """The virtual host that a patch adds for a domain."""
    found = None
    for patch in patches:
        if patch.apply_to is ApplyTo.VIRTUAL_HOST and patch.operation is Operation.ADD:
            host: Any = value(patch)
            if _means(patch, place) and domain in host.domains:
                seen.hit(patch)
                found = host
    return found


def _means(patch: EnvoyPatch, place: RoutePlace) -> bool:
    match = patch.routes or _ANY
    if not in_context(patch, place.context):
        return False
    if match.port and match.port not in place.ports:
        return False
    if match.gateway and place.context is Context.GATEWAY and match.gateway not in place.gateways:
        return False
    return not match.name or match.name in place.configurations


def _means_host(patch: EnvoyPatch, host: route_components_pb2.VirtualHost, place: RoutePlace) -> bool:
    match = patch.routes or _ANY
    names = {host.name, *place.hosts}
    return (not match.host_name or match.host_name in names) and (
        not match.domain or match.domain in {*host.domains, *place.hosts}
    )


def _named(place: RoutePlace, name: str) -> RoutePlace:
    return RoutePlace(
        context=place.context,
        configurations=place.configurations,
        ports=place.ports,
        hosts=frozenset({name}),
    )


def _patch_routes(host: route_components_pb2.VirtualHost, patch: EnvoyPatch, seen: Seen) -> None:
    match = patch.routes or _ANY
    places = [i for i, route in enumerate(host.routes) if _is_route(match, route)]
    old = list(host.routes)
    anchored = bool(match.route_name) or match.action is not RouteAction.ANY
    if patch.operation in _MERGES:
        for i in places:
            merged(host.routes[i], patch, seen)
        return
    made: list[Any]
    match patch.operation:
        case Operation.ADD:
            made = [*old, value(patch)]
        case Operation.INSERT_FIRST:
            made = [value(patch), *old]
        case Operation.INSERT_BEFORE | Operation.INSERT_AFTER if places or not anchored:
            before = patch.operation is Operation.INSERT_BEFORE
            at = (0 if before else len(old)) if not anchored else places[0] + (not before)
            made = [*old[:at], value(patch), *old[at:]]
        case Operation.REMOVE if places:
            made = [route for i, route in enumerate(old) if i not in places]
        case _:
            return
    seen.hit(patch)
    copies = [_copied(route) for route in made]
    del host.routes[:]
    host.routes.extend(copies)


def _is_route(match: RouteMatch, route: route_components_pb2.Route) -> bool:
    if match.route_name and match.route_name != route.name:
        return False
    match match.action:
        case RouteAction.ANY:
            return True
        case RouteAction.ROUTE:
            return bool(route.HasField("route"))
        case RouteAction.REDIRECT:
            return bool(route.HasField("redirect"))
        case RouteAction.DIRECT_RESPONSE:
            return bool(route.HasField("direct_response"))
        case _:
            assert_never(match.action)


def _copied(one: Any) -> Any:
    found = type(one)()
    found.CopyFrom(one)
    return found
