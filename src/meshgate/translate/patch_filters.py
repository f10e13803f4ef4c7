"""Patches of a list of filters: placed by name, merged, replaced or taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from meshgate.model.envoy_patch import EnvoyPatch, FilterClass, Operation
from meshgate.translate.patching import Seen, merged, value

MANAGER = "envoy.filters.network.http_connection_manager"

_OLD_NAMES = {
    **{
        f"envoy.{name}": f"envoy.filters.http.{name}"
        for name in (
            "buffer",
            "cors",
            "csrf",
            "fault",
            "grpc_http1_bridge",
            "grpc_json_transcoder",
            "grpc_web",
            "health_check",
            "ip_tagging",
            "lua",
            "router",
        )
    },
    "envoy.gzip": "envoy.filters.http.compressor",
    "envoy.rate_limit": "envoy.filters.http.ratelimit",
    "envoy.http_connection_manager": MANAGER,
    "envoy.echo": "envoy.filters.network.echo",
    "envoy.mongo_proxy": "envoy.filters.network.mongo_proxy",
    "envoy.ratelimit": "envoy.filters.network.ratelimit",
    "envoy.redis_proxy": "envoy.filters.network.redis_proxy",
    "envoy.tcp_proxy": "envoy.filters.network.tcp_proxy",
    "envoy.listener.http_inspector": "envoy.filters.listener.http_inspector",
    "envoy.listener.original_dst": "envoy.filters.listener.original_dst",
    "envoy.listener.proxy_protocol": "envoy.filters.listener.proxy_protocol",
    "envoy.listener.tls_inspector": "envoy.filters.listener.tls_inspector",
}
"""What Envoy called its filters before 1.14; Istio still knows them."""

_OURS = {
    "envoy.filters.http.rbac": "meshgate.authorization",
    "envoy.filters.http.jwt_authn": "meshgate.request_authentication",
}
"""Istio's name of a filter -> ours, where it has another."""

Fault = Callable[[Sequence[Any]], str]
"""Why Envoy would not take these filters; empty where it would."""
PlaceOf = Callable[[Sequence[Any], FilterClass], int]


def same_name(written: str, name: str) -> bool:
    """Whether a name in a patch means that filter of ours."""
    wanted = _OLD_NAMES.get(written, written)
    return name in (wanted, _OURS.get(wanted))


def change(
    filters: Any,
    patch: EnvoyPatch,
    anchor: str,
    seen: Seen,
    fault: Fault | None = None,
    place_of: PlaceOf | None = None,
) -> None:
    """Changes a repeated field of named filters, unless Envoy would refuse what comes of it.

    `anchor` is the name by which the patch finds its filters; empty finds any.
    """
    old = list(filters)
    trial = _changed(old, patch, anchor, seen, place_of)
    if trial is None:
        return
    reason = fault(trial) if fault is not None else ""
    if reason:
        seen.refuse(patch, reason)
        return
    seen.hit(patch)
    copies = [_copy(one) for one in trial]
    del filters[:]
    filters.extend(copies)


def _changed(
    old: list[Any], patch: EnvoyPatch, anchor: str, seen: Seen, place_of: PlaceOf | None
) -> list[Any] | None:
    """The filters after the patch; None where it finds nothing to do."""
    places = [i for i, one in enumerate(old) if not anchor or same_name(anchor, one.name)]
    match patch.operation:
        case Operation.ADD:
            # Behind the last one nothing is ever reached, so what is added stands before it.
            at = place_of(old, patch.filter_class) if place_of else max(len(old) - 1, 0)
            return [*old[:at], value(patch), *old[at:]]
        case Operation.INSERT_FIRST:
            return [value(patch), *old]
        case Operation.INSERT_BEFORE | Operation.INSERT_AFTER if places:
            at = places[0] if anchor else 0
            if patch.operation is Operation.INSERT_AFTER:
                at = places[0] + 1 if anchor else len(old)
            return [*old[:at], value(patch), *old[at:]]
        case Operation.REPLACE if anchor and places:
            return [value(patch) if i == places[0] else one for i, one in enumerate(old)]
        case Operation.REMOVE if places:
            return [one for i, one in enumerate(old) if i not in places]
        case Operation.MERGE | Operation.MERGE_AND_REPLACE_LIST if places:
            return [_merged(one, patch, seen) if i in places else one for i, one in enumerate(old)]
        case _:
            return None


def _merged(one: Any, patch: EnvoyPatch, seen: Seen) -> Any:
    """A copy with the patch in it. A config of another type is left alone: Envoy tells filters by type."""
    found = _copy(one)
    other: Any = value(patch)
    configured = other.HasField("typed_config") and one.HasField("typed_config")
    if configured and other.typed_config.TypeName() != one.typed_config.TypeName():
        seen.refuse(patch, f"{one.name} is not configured by that type")
        return found
    merged(found, patch, seen)
    return found


def _copy(one: Any) -> Any:
    found = type(one)()
    found.CopyFrom(one)
    return found
