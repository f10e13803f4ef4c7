"""What a guard adds to a listener: who is asked elsewhere, tokens, authorization, on normalised paths."""

from __future__ import annotations

from dataclasses import dataclass

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.authorization import Authorizer, Guard
from meshgate.model.route import Destination
from meshgate.policies import authorization, external_authorization, request_authentication
from meshgate.policies.authorization import Place
from meshgate.translate import keys
from meshgate.translate.names import outbound_cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What stands before a listener, and by which numbers rules may call its port."""

    guard: Guard
    ports: frozenset[int]
    unverified: bool = False
    """Nobody has checked clients' certificates: no rule may believe them."""

    @property
    def _place(self) -> Place:
        return Place(ports=self.ports, peers_known=not self.unverified)

    def who_filters(self, *, chooses: bool = False) -> tuple[hcm.HttpFilter, ...]:
        """Those that say who it is; `chooses` where claims choose the route."""
        return (
            *external_authorization.http_filters(self.guard, self._place, authorizer_cluster),
            *request_authentication.http_filters(self.guard, keys.keys_cluster, chooses=chooses),
        )

    def may_filters(self) -> tuple[hcm.HttpFilter, ...]:
        """Those that decide, behind the others."""
        return authorization.http_filters(self.guard, self._place)


def http_filters(guard: Guard, ports: frozenset[int]) -> tuple[hcm.HttpFilter, ...]:
    """In the order in which they must stand; none where nothing is guarded."""
    access = Access(guard=guard, ports=ports)
    return (*access.who_filters(), *access.may_filters())


def network_filters(guard: Guard, ports: frozenset[int]) -> tuple[listener_components_pb2.Filter, ...]:
    """For connections that are not read as HTTP."""
    place = Place(ports=ports)
    return (
        *external_authorization.network_filters(guard, place, authorizer_cluster),
        *authorization.network_filters(guard, place),
    )


def authorizer_cluster(authorizer: Authorizer) -> str:
    """The cluster that leads to an extension provider."""
    return outbound_cluster(Destination(host=authorizer.host, port=authorizer.settings.address.port))


def clusters(guard: Guard) -> list[str]:
    """Where key sets are fetched from, and who is asked: a proxy with the guard keeps them ready."""
    return sorted({*keys.clusters(guard), *map(authorizer_cluster, guard.authorizers)})


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
