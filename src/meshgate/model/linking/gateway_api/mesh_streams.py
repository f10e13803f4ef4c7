"""Routes of Services for whole connections: TCPRoutes and TLSRoutes inside the mesh. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from meshgate.model.gateway import StreamMatch, StreamRule
from meshgate.model.gateway_api import ParentRef, RouteKind
from meshgate.model.gateway_api_routes import ApiRoute
from meshgate.model.graph import MeshStreams
from meshgate.model.route import WeightedDestination
from meshgate.model.service import AppProtocol, Service, ServicePort

_TAKEN = {
    RouteKind.TCP: (AppProtocol.TCP, AppProtocol.TLS, AppProtocol.HTTPS, AppProtocol.UNKNOWN),
    RouteKind.TLS: (AppProtocol.TLS, AppProtocol.HTTPS, AppProtocol.UNKNOWN),
}
"""What a port must speak for a sidecar to look at its connections so."""


def ports_for(route: ApiRoute, parent: ParentRef, service: Service) -> tuple[ServicePort, ...]:
    """The ports of the Service that such a route can be for, or the one that the parent names."""
    kinds = _TAKEN.get(route.kind, ())
    return tuple(p for p in service.ports if parent.port in (0, p.number) and p.protocol in kinds)


@dataclass(slots=True)
class ServiceStreams:
    """Collects the rules by Service and by the namespace that they are for, the oldest route first."""

    _rules: dict[tuple[str, str], dict[RouteKind, list[StreamRule]]] = field(default_factory=dict)
    """(host, namespace of the clients or `*`) -> rules."""

    def add(
        self,
        route: ApiRoute,
        parent: ParentRef,
        service: Service,
        destinations: tuple[WeightedDestination, ...],
    ) -> None:
        """The rule of an accepted route, for each port that it is for."""
        clients = "*" if route.namespace == service.name.namespace else route.namespace
        names = route.hostnames if route.kind is RouteKind.TLS else ()
        rules = self._rules.setdefault((service.host, clients), {}).setdefault(route.kind, [])
        for port in ports_for(route, parent, service):
            match = StreamMatch(sni_hosts=names, port=port.number)
            rules.append(StreamRule(matches=(match,), destinations=destinations, origin=route.origin))

    def join(self, streams: Mapping[str, tuple[MeshStreams, ...]]) -> dict[str, tuple[MeshStreams, ...]]:
        """The mesh's streams with these before what VirtualServices say; consumers' before producers'."""
        found = dict(streams)
        for (host, clients), kinds in sorted(
            self._rules.items(), key=lambda item: (item[0][1] != "*", item[0])
        ):
            wide = self._rules.get((host, "*"), {}) if clients != "*" else {}
            entry = MeshStreams(
                namespace=clients,
                export_to=(clients,),
                rules=_once((*kinds.get(RouteKind.TCP, ()), *wide.get(RouteKind.TCP, ()))),
                tls=_once((*kinds.get(RouteKind.TLS, ()), *wide.get(RouteKind.TLS, ()))),
            )
            found[host] = (entry, *found.get(host, ()))
        return dict(sorted(found.items()))


def _once(rules: Iterable[StreamRule]) -> tuple[StreamRule, ...]:
    """Each port and server name where it comes first: two chains for one name are none for Envoy."""
    seen: set[tuple[int, str]] = set()
    found: list[StreamRule] = []
    for rule in rules:
        (match,) = rule.matches
        fresh = tuple(n for n in match.sni_hosts or ("",) if (match.port, n) not in seen)
        seen.update((match.port, name) for name in fresh)
        if fresh:
            names = () if fresh == ("",) else fresh
            found.append(replace(rule, matches=(replace(match, sni_hosts=names),)))
    return tuple(found)
