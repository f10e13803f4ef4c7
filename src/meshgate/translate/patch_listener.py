"""Patches of listeners, their filter chains, network filters and HTTP filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.envoy_patch import (
    ApplyTo,
    Context,
    EnvoyPatch,
    FilterClass,
    ListenerMatch,
    Operation,
)
from meshgate.policies.packing import pack
from meshgate.translate import patch_filters, patch_routes
from meshgate.translate.patch_filters import MANAGER, same_name
from meshgate.translate.patching import Seen, in_context, merged, value

_ANYWHERE = ListenerMatch()
_HTTP_CHAINS = ("http", "services")
"""The chains of all outbound HTTP where traffic is redirected: anywhere, and to the mesh's services."""
_INSIDE = (ApplyTo.FILTER_CHAIN, ApplyTo.NETWORK_FILTER, ApplyTo.HTTP_FILTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which of Istio's listeners a listener of ours is."""

    context: Context
    names: frozenset[str]
    """All names by which it may be meant."""
    ports: frozenset[int]
    virtual: bool = False
    """It takes connections to all ports, and its chains choose among them."""


def patch_listener(
    listener: listener_pb2.Listener,
    patches: Sequence[EnvoyPatch],
    routes: Sequence[EnvoyPatch],
    place: Place,
    seen: Seen,
) -> listener_pb2.Listener | None:
    """The listener with its patches; None where one removes it. `routes`: for routes inside of it."""
    mine = [p for p in patches if in_context(p, place.context) and _means(p, place)]
    for patch in (p for p in mine if p.apply_to is ApplyTo.LISTENER):
        if patch.operation is Operation.REMOVE:
            seen.hit(patch)
            return None
        if patch.operation is not Operation.ADD:
            merged(listener, patch, seen)
    for patch in (p for p in mine if p.apply_to is ApplyTo.LISTENER_FILTER):
        anchor = (patch.listener or _ANYWHERE).listener_filter
        patch_filters.change(listener.listener_filters, patch, anchor, seen)
    _part_ports(listener, mine, place)
    _chains(listener, [p for p in mine if p.apply_to is ApplyTo.FILTER_CHAIN], place, seen)
    for chain in _each(listener):
        for patch in (p for p in mine if p.apply_to is ApplyTo.NETWORK_FILTER):
            if _chain_matches(chain, patch, place):
                anchor = (patch.listener or _ANYWHERE).filter_name
                patch_filters.change(chain.filters, patch, anchor, seen, _network_fault)
        _managers(chain, [p for p in mine if p.apply_to in (ApplyTo.HTTP_FILTER,)], place, seen)
        _inner_routes(chain, routes, place, seen)
        _inline_extensions(chain, patches, seen)
    return listener


def _means(patch: EnvoyPatch, place: Place) -> bool:
    match = patch.listener or _ANYWHERE
    if match.name and match.name not in place.names:
        return False
    inside = patch.apply_to is not ApplyTo.LISTENER
    if place.virtual and inside:
        return True  # its chains are asked
    return not match.port or match.port in place.ports


def _each(listener: listener_pb2.Listener) -> Iterator[listener_components_pb2.FilterChain]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _part_ports(listener: listener_pb2.Listener, patches: Iterable[EnvoyPatch], place: Place) -> None:
    """Gives ports that patches name a chain of their own, where one chain carries HTTP to all ports.

    Istio has an outbound listener for each port, so a patch may be for one of them alone.
    """
    if not place.virtual or place.context is not Context.SIDECAR_OUTBOUND:
        return
    general = [c for c in listener.filter_chains if c.name in _HTTP_CHAINS]
    ports = {(p.listener or _ANYWHERE).port for p in patches if p.apply_to in _INSIDE}
    names = {c.name for c in listener.filter_chains}
    for port in sorted(ports - place.ports - {0}):
        for chain in general:
            own = _copy(chain)
            own.name = f"0.0.0.0_{port}" if chain.name == "http" else f"{chain.name}|{port}"
            own.filter_chain_match.destination_port.value = port
            if own.name not in names:
                listener.filter_chains.append(own)


def _chains(listener: listener_pb2.Listener, patches: Iterable[EnvoyPatch], place: Place, seen: Seen) -> None:
    for patch in patches:
        if patch.operation is Operation.ADD:
            if not place.virtual or (patch.listener or _ANYWHERE).port in {0, *place.ports}:
                seen.hit(patch)
                listener.filter_chains.append(value(patch))
            continue
        kept = []
        for chain in listener.filter_chains:
            if not _chain_matches(chain, patch, place):
                kept.append(chain)
            elif patch.operation is Operation.REMOVE:
                seen.hit(patch)
            else:
                merged(chain, patch, seen)
                kept.append(chain)
        if len(kept) < len(listener.filter_chains):
            copies = [_copy(chain) for chain in kept]
            del listener.filter_chains[:]
            listener.filter_chains.extend(copies)
        if listener.HasField("default_filter_chain") and _chain_matches(
            listener.default_filter_chain, patch, place
        ):
            if patch.operation is Operation.REMOVE:
                seen.hit(patch)
                listener.ClearField("default_filter_chain")
            else:
                merged(listener.default_filter_chain, patch, seen)


def _copy(chain: listener_components_pb2.FilterChain) -> listener_components_pb2.FilterChain:
    found = listener_components_pb2.FilterChain()
    found.CopyFrom(chain)
    return found


def _chain_matches(chain: listener_components_pb2.FilterChain, patch: EnvoyPatch, place: Place) -> bool:
    """As Istio 1.27 compares them."""
    match = patch.listener or _ANYWHERE
    rules = chain.filter_chain_match
    port = rules.destination_port.value
    if place.virtual and match.port and match.port not in place.ports and port != match.port:
        return False
    if match.chain_name and match.chain_name not in (chain.name, f"0.0.0.0_{port}"):
        return False
    if match.sni and match.sni not in rules.server_names:
        return False
    if match.transport_protocol and match.transport_protocol != rules.transport_protocol:
        return False
    if not set(match.application_protocols) <= set(rules.application_protocols):
        return False
    return not match.destination_port or match.destination_port == port


def _managers(
    chain: listener_components_pb2.FilterChain, patches: Sequence[EnvoyPatch], place: Place, seen: Seen
) -> None:
    matching = [p for p in patches if _chain_matches(chain, p, place)]

    def change(manager: hcm.HttpConnectionManager, name: str) -> None:
        for patch in matching:
            match = patch.listener or _ANYWHERE
            if not match.filter_name or same_name(match.filter_name, name):
                patch_filters.change(
                    manager.http_filters, patch, match.sub_filter_name, seen, _http_fault, _class_place
                )

    if matching:
        _on_managers(chain, change)


def _inner_routes(
    chain: listener_components_pb2.FilterChain, routes: Sequence[EnvoyPatch], place: Place, seen: Seen
) -> None:
    def change(manager: hcm.HttpConnectionManager, _: str) -> None:
        if manager.HasField("route_config"):
            patch_routes.patch_configuration(manager.route_config, routes, place.context, seen)

    if any(in_context(p, place.context) for p in routes):
        _on_managers(chain, change)


def _inline_extensions(
    chain: listener_components_pb2.FilterChain, patches: Sequence[EnvoyPatch], seen: Seen
) -> None:
    """Puts what EXTENSION_CONFIG adds into the filters that would ask for it by name (ECDS)."""
    extensions = [p for p in patches if p.apply_to is ApplyTo.EXTENSION_CONFIG]

    def change(manager: hcm.HttpConnectionManager, _: str) -> None:
        for one in manager.http_filters:
            if not one.HasField("config_discovery"):
                continue
            for patch in extensions:
                message: Any = value(patch)
                if message.name == one.name:
                    seen.hit(patch)
                    one.typed_config.CopyFrom(message.typed_config)

    if extensions:
        _on_managers(chain, change)


def _on_managers(
    chain: listener_components_pb2.FilterChain,
    change: Callable[[hcm.HttpConnectionManager, str], None],
) -> None:
    for one in chain.filters:
        if one.typed_config.type_url.endswith("HttpConnectionManager"):
            manager = hcm.HttpConnectionManager()
            one.typed_config.Unpack(manager)
            change(manager, one.name or MANAGER)
            one.typed_config.CopyFrom(pack(manager))


def _http_fault(filters: Sequence[Any]) -> str:
    """Why Envoy would not take these HTTP filters."""
    last = [f.typed_config.type_url.endswith(".router.v3.Router") for f in filters]
    if not last or not last[-1]:
        return "the last HTTP filter would not be the router"
    return "an HTTP filter would stand behind the router" if any(last[:-1]) else ""


def _network_fault(filters: Sequence[Any]) -> str:
    return "" if filters else "the chain would have no filter"


_AUTHENTICATE = ("jwt_authn", "request_authentication", "api_key_auth", "basic_auth", "oauth2")
_AUTHORIZE = (*_AUTHENTICATE, "rbac", "authorization", "ext_authz")


def _class_place(filters: Sequence[Any], kind: FilterClass) -> int:
    """Where a filter of that class is added: after the last that does the same, or before the router."""
    behind = {FilterClass.AUTHN: _AUTHENTICATE, FilterClass.AUTHZ: _AUTHORIZE}.get(kind)
    if behind is None:
        return max(len(filters) - 1, 0)
    places = [i for i, one in enumerate(filters) if one.name.rpartition(".")[2] in behind]
    return places[-1] + 1 if places else 0
