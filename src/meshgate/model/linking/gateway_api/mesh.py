"""Routes of Services: HTTPRoutes and GRPCRoutes whose parent is a Service. Internal to `link`.

A route in the Service's own namespace (its producer's) holds for all clients; one in another
namespace (a consumer's) for the clients there, in place of the producer's. Ports of the Service
that no route is for stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from meshgate.core.findings import Findings
from meshgate.model.gateway_api import ParentRef, RouteKind
from meshgate.model.gateway_api_routes import ApiRoute, ExtensionFilter, ExternalAuthFilter, RedirectFilter
from meshgate.model.graph import MeshHost
from meshgate.model.linking.edge import reachable
from meshgate.model.linking.gateway_api.mesh_streams import ServiceStreams, ports_for
from meshgate.model.linking.gateway_api.rules import Entrance, Ranked, RouteRules
from meshgate.model.linking.input import Input
from meshgate.model.route import (
    Action,
    Destination,
    Forward,
    Redirect,
    RequestMatch,
    Rule,
    WeightedDestination,
)
from meshgate.model.service import Service
from meshgate.model.status import Condition

_ANY = RequestMatch()


@dataclass(slots=True)
class ServiceRoutes:
    """Collects the rules by Service and by the namespace that they are for."""

    _given: Input
    _ranked: dict[tuple[str, str], list[Ranked]] = field(default_factory=dict)
    """(host, namespace of the clients or `*`) -> rules."""
    _ports: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    streams: ServiceStreams = field(default_factory=ServiceStreams)
    """Of routes for connections."""

    def accepted(self, route: ApiRoute, parent: ParentRef) -> Condition:
        """Whether a route can be had for a Service."""
        service = self._given.services.get(parent.name)
        if route.kind is RouteKind.UDP:
            message = "sidecars see no datagrams, so a UDPRoute cannot be for a Service"
            return Condition(type="Accepted", holds=False, reason="UnsupportedValue", message=message)
        if service is None:
            message = f"Service {parent.name} {self._given.absence('Service', parent.name)}"
            return Condition(type="Accepted", holds=False, reason="NoMatchingParent", message=message)
        if parent.port and service.port(parent.port) is None:
            message = f"Service {parent.name} has no port {parent.port}"
            return Condition(type="Accepted", holds=False, reason="NoMatchingParent", message=message)
        if not route.kind.is_http and not ports_for(route, parent, service):
            which = f"port {parent.port} of " if parent.port else ""
            message = f"{which}Service {parent.name} does not speak what a {route.ref.kind} is about"
            return Condition(type="Accepted", holds=False, reason="UnsupportedProtocol", message=message)
        return Condition(type="Accepted", holds=True, reason="Accepted")

    def unheard(self, route: ApiRoute, findings: Findings) -> None:
        """Says which rules are closed inside the mesh (MG1104), and which plugins are not met (MG1103)."""
        for rule in route.rules:
            used = (*rule.filters, *(f for b in rule.backends for f in b.filters))
            if any(isinstance(f, ExternalAuthFilter | ExtensionFilter) for f in used):
                findings.warn(
                    "MG1104",
                    rule.origin,
                    route.ref,
                    "ExternalAuth and ExtensionRef are not carried out at clients' sidecars; the rule "
                    "answers 500 inside the mesh",
                    "use an AuthorizationPolicy for the Service's workloads",
                )
        if route.plugin_names:
            findings.warn(
                "MG1103",
                route.plugins_origin or route.origin,
                route.ref,
                "plugins stand before Gateways; requests inside the mesh do not meet them",
                "use an AuthorizationPolicy for the Service's workloads",
            )

    def add(self, route: ApiRoute, parent: ParentRef, rules: RouteRules) -> None:
        """The rules of an accepted route, for the port that the parent names or for all."""
        service = self._given.services[parent.name]
        clients = "*" if route.namespace == service.name.namespace else route.namespace
        key = (service.host, clients)
        ports = {parent.port} if parent.port else {port.number for port in service.ports}
        self._ports.setdefault(key, set()).update(ports)
        # A redirect says which port was asked for, so it is another one for each port.
        redirects = any(isinstance(f, RedirectFilter) for r in route.rules for f in r.filters)
        for port in sorted(ports) if redirects else (parent.port,):
            for ranked in rules.at(Entrance("http", port or 80, mesh=True)):
                matches = tuple(replace(m, port=port) for m in ranked.rule.matches or (_ANY,))
                action = _with_port(ranked.rule.action, port)
                rule = replace(ranked.rule, matches=matches, action=action)
                self._ranked.setdefault(key, []).append(replace(ranked, rule=rule))

    def join(self, hosts: Mapping[str, tuple[MeshHost, ...]]) -> dict[str, tuple[MeshHost, ...]]:
        """The mesh's hosts with these before what VirtualServices say; consumers' before producers'."""
        found = dict(hosts)
        for (host, clients), ranked in sorted(self._ranked.items(), key=lambda item: item[0][1] != "*"):
            service = self._given.hosts[host]
            ordered = sorted(ranked, key=lambda one: one.precedence)
            rules, _ = reachable((*self._rest(service, (host, clients)), *(one.rule for one in ordered)))
            entry = MeshHost(
                host=host,
                namespace=service.name.namespace if clients == "*" else clients,
                export_to=(clients,),
                rules=rules,
            )
            found[host] = (entry, *found.get(host, ()))
        return dict(sorted(found.items()))

    def _rest(self, service: Service, key: tuple[str, str]) -> Iterable[Rule]:
        """The ports that no route is for."""
        for port in service.ports:
            if port.number in self._ports[key] or not port.protocol.is_http:
                continue
            destination = Destination(host=service.host, port=port.number)
            yield Rule(
                name=f"default-{port.number}",
                matches=(RequestMatch(port=port.number),),
                action=Forward(destinations=(WeightedDestination(destination=destination, weight=1),)),
                origin=service.origin,
            )


def _with_port(action: Action, port: int) -> Action:
    """The same; a redirect to another scheme names its port where the Host that it keeps names one."""
    if not isinstance(action, Redirect) or not action.scheme or action.authority or action.port:
        return action
    return action if port in (0, 80, 443) else replace(action, port=443 if action.scheme == "https" else 80)
