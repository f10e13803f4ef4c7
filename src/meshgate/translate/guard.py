"""What a guard adds to a listener: token checks, then authorization, on normalised paths."""

from __future__ import annotations

from dataclasses import dataclass

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.authorization import Guard
from meshgate.policies import authorization, request_authentication
from meshgate.policies.authorization import Place
from meshgate.translate.keys import keys_cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What stands before a listener, and by which numbers rules may call its port."""

    guard: Guard
    ports: frozenset[int]


def http_filters(guard: Guard, ports: frozenset[int]) -> tuple[hcm.HttpFilter, ...]:
    """In the order in which they must stand; none where nothing is guarded."""
    return (
        *request_authentication.http_filters(guard, keys_cluster),
        *authorization.http_filters(guard, Place(ports=ports)),
    )


def network_filters(guard: Guard, ports: frozenset[int]) -> tuple[listener_components_pb2.Filter, ...]:
    """For connections that are not read as HTTP."""
    return authorization.network_filters(guard, Place(ports=ports))


def see_as_authorized(manager: hcm.HttpConnectionManager, guard: Guard) -> None:
    """Makes the path that rules compare the one that the application gets.

    Istio's DECODE_AND_MERGE_SLASHES, its strictest choice, wherever a policy holds: escaped
    slashes become slashes and repeated ones one, so that `/a%2F..%2F/admin` is `/admin` to
    everybody. Without policies paths stay as they were sent, as in Istio's default.
    """
    if guard.policies:
        manager.merge_slashes = True
        manager.path_with_escaped_slashes_action = hcm.HttpConnectionManager.UNESCAPE_AND_FORWARD
    manager.early_header_mutation_extensions.extend(request_authentication.removal(guard))
