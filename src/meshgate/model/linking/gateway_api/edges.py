"""Gateways of the Gateway API with the routes that are attached to them. Internal to `link`.

`classes` finds the Gateways that are ours and their addresses, `listeners` what of their
listeners can be served, `attach` the routes of each, `refs` and `backends` what routes lead to,
`filters` and `rules` the model's rules, `tables` what is served where, `status` what is said
about it all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.model.declared import EdgeRules
from meshgate.model.gateway_api import (
    CLASS,
    CONTROLLER,
    GATEWAY_GROUP,
    ApiGateway,
    ListenerSetObject,
    ParentRef,
)
from meshgate.model.gateway_api_routes import ApiRoute, targets
from meshgate.model.graph import status_key
from meshgate.model.linking.gateway_api.attach import HOLDERS, Attached, Attachment, attach, permitted
from meshgate.model.linking.gateway_api.backends import Resolution, stream_destinations
from meshgate.model.linking.gateway_api.classes import Addresses, class_status, our_classes
from meshgate.model.linking.gateway_api.listeners import LinkedListener, link_listeners
from meshgate.model.linking.gateway_api.mesh import ServiceRoutes
from meshgate.model.linking.gateway_api.refs import Problem, References
from meshgate.model.linking.gateway_api.rules import Entrance, Ranked, RouteRules, plugin_uses
from meshgate.model.linking.gateway_api.status import accepted, gateway_status, report, set_status
from meshgate.model.linking.gateway_api.tables import Tables
from meshgate.model.linking.gateway_api.traffic import BackendTraffic
from meshgate.model.linking.gateway_hosts import host_intersection
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.plugins import Plugins
from meshgate.model.names import Name
from meshgate.model.route import WeightedDestination
from meshgate.model.status import Condition, ObjectStatus, ParentStatus


@dataclass(slots=True)
class LinkedGatewayApi:
    """What the Gateway API's objects add to the model."""

    services: ServiceRoutes
    traffic: BackendTraffic
    tables: Tables = field(default_factory=Tables)
    statuses: dict[str, ObjectStatus] = field(default_factory=dict)
    used_by: dict[tuple[Name, int], tuple[ApiGateway, ...]] = field(default_factory=dict)
    """(Service, port) -> the Gateways whose routes lead to it."""


def api_edges(given: Input) -> tuple[EdgeRules, ...]:
    """What routes name of Kong's plugins."""
    return tuple(plugin_uses(route) for route in oldest_first(given.declared.api_routes))


def link_gateway_api(given: Input, plugins: Plugins, findings: Findings) -> LinkedGatewayApi:
    """The filter chains, virtual hosts and certificates of the API's Gateways, and all statuses.

    What is wrong is MG3001, MG3005, MG3008, MG3021, MG3061 or MG3062, and stands in the statuses.
    """
    return _Linking(given, plugins, findings).run()


class _Linking:
    def __init__(self, given: Input, plugins: Plugins, findings: Findings) -> None:
        self._given, self._plugins, self._findings = given, plugins, findings
        self._references = References(given)
        self._services = ServiceRoutes(given)
        self._traffic = BackendTraffic.collect(given)
        self._found = LinkedGatewayApi(services=self._services, traffic=self._traffic)
        self._listeners: list[LinkedListener] = []
        self._ours: list[ApiGateway] = []
        self._attachments: dict[int, list[Attachment]] = {}
        self._routes: dict[ObjectRef, RouteRules] = {}
        declared = given.declared
        holders = [one.ref for one in declared.api_gateways] + [one.ref for one in declared.listener_sets]
        self._holders = frozenset(holders)
        self._rules: dict[tuple[ObjectRef, Entrance], tuple[Ranked, ...]] = {}

    def run(self) -> LinkedGatewayApi:
        """Everything, in order."""
        classes = our_classes(self._given)
        for declared in classes.values():
            if declared is not None:
                self._found.statuses[status_key(declared.ref)] = class_status(declared)
        self._ours = ours = [
            g for g in oldest_first(self._given.declared.api_gateways) if g.class_name in classes
        ]
        self._report_classes(classes)
        sets, refusals = self._sets(ours)
        for gateway in ours:
            if accepted(gateway).holds:
                self._listeners += link_listeners(gateway, sets.get(gateway.ref, ()), self._references)
        for route in oldest_first(self._given.declared.api_routes):
            self._attach(route)
        addresses = Addresses(ours)
        for gateway in ours:
            # Those count that are accepted: by the Gateway, and with a listener that can be had.
            taken = [s for s in sets.get(gateway.ref, ()) if any(one.serves for one in self._of(s))]
            self._gateway(gateway, addresses, len(taken))
        self._found.statuses |= self._traffic.statuses(self._given, self._found.used_by, self._findings)
        for one, refusal in refusals:
            self._say(one.ref, one, set_status(one, refusal, self._of(one)))
        return self._found

    def _of(self, one: ListenerSetObject) -> list[LinkedListener]:
        return [listener for listener in self._listeners if listener.holder is one]

    def _report_classes(self, classes: Iterable[str]) -> None:
        theirs = {c.ref.name: c.controller for c in self._given.declared.gateway_classes}
        for gateway in self._given.declared.api_gateways:
            if gateway.class_name in classes:
                continue
            if gateway.class_name in theirs:
                self._findings.warn(
                    "MG3061",
                    gateway.origin,
                    gateway.ref,
                    f"its class {gateway.class_name} is for the controller {theirs[gateway.class_name]}, "
                    "which is not here; the Gateway has no effect",
                    f"use the class {CLASS}, or give the class the controllerName {CONTROLLER}",
                    ("spec", "gatewayClassName"),
                )
            else:
                self._findings.warn(
                    "MG3061",
                    gateway.origin,
                    gateway.ref,
                    f"there is no GatewayClass {gateway.class_name}; the Gateway has no effect",
                    f"use the class {CLASS}",
                    ("spec", "gatewayClassName"),
                )

    def _sets(
        self, gateways: list[ApiGateway]
    ) -> tuple[dict[ObjectRef, list[ListenerSetObject]], list[tuple[ListenerSetObject, Problem | None]]]:
        """ListenerSets by the Gateway that takes them, and why others are refused."""
        taken: dict[ObjectRef, list[ListenerSetObject]] = {}
        said: list[tuple[ListenerSetObject, Problem | None]] = []
        by_name = {gateway.name: gateway for gateway in gateways}
        for one in oldest_first(self._given.declared.listener_sets):
            gateway = by_name.get(one.parent.name)
            if gateway is None or (one.parent.group, one.parent.kind) != (GATEWAY_GROUP, "Gateway"):
                self._lost(one.ref, one.parent)
                continue
            problem: Problem | None = None
            if not permitted(gateway.listener_sets, gateway.ref.namespace, one.ref.namespace, self._given):
                problem = Problem("NotAllowed", f"{gateway.ref} takes no listeners of this namespace")
            elif not accepted(gateway).holds:
                problem = Problem("ParentNotAccepted", f"{gateway.ref} is not accepted")
            else:
                taken.setdefault(gateway.ref, []).append(one)
            said.append((one, problem))
        return taken, said

    def _attach(self, route: ApiRoute) -> None:
        asked = [(p, self._asked(route, p)) for p in (*route.parents, *self._defaults(route))]
        parents = [(parent, attached) for parent, attached in asked if attached is not None]
        for parent in (parent for parent, attached in asked if attached is None):
            self._lost(route.ref, parent)
        if not parents:
            return
        resolution = Resolution(route, self._references)
        streams: tuple[WeightedDestination, ...] = ()
        if route.kind.is_http:
            self._routes[route.ref] = RouteRules(route, resolution, self._plugins, self._traffic)
        else:
            streams = stream_destinations(resolution.backends(route.rules[0].backends if route.rules else ()))
        statuses = []
        places = {id(listener): number for number, listener in enumerate(self._listeners)}
        for parent, attached in parents:
            for attachment in attached.attachments:
                place = places[id(attachment.listener)]
                attachment.listener.attached.add(route.ref)
                self._attachments.setdefault(place, []).append(attachment)
                self._note_use(attachment)
            if parent.is_service and attached.accepted.holds and not route.kind.is_http:
                service = self._given.services[parent.name]
                self._services.streams.add(route, parent, service, streams)
            elif parent.is_service and attached.accepted.holds:
                self._services.add(route, parent, self._routes[route.ref])
                self._services.unheard(route, self._findings)
            conditions = (attached.accepted, resolution.resolved())
            statuses.append(ParentStatus(parent=parent, conditions=conditions))
            report(conditions, parent.origin, route.ref, self._findings)
        status = ObjectStatus(generation=route.generation, parents=tuple(statuses))
        self._found.statuses[status_key(route.ref)] = status

    def _lost(self, ref: ObjectRef, parent: ParentRef) -> None:
        """Says that there is no such parent; of one that is another controller's its Gateway tells."""
        if (parent.group, parent.kind) not in HOLDERS:
            message = f"{parent.group}/{parent.kind} is no parent of routes here"
        elif ObjectRef(parent.kind, parent.name.namespace, parent.name.name, parent.group) in self._holders:
            return
        else:
            message = f"{parent.kind} {parent.name} {self._given.absence(parent.kind, parent.name)}"
        remedy = "add the parent, or mend parentRefs"
        self._findings.warn("MG3021", parent.origin, ref, f"{message}; it takes nothing", remedy)

    def _asked(self, route: ApiRoute, parent: ParentRef) -> Attached | None:
        if parent.is_service:
            return Attached(self._services.accepted(route, parent))
        found = attach(route, parent, self._listeners, self._given)
        return found if found is None else self._beside_others(route, parent, found)

    def _defaults(self, route: ApiRoute) -> tuple[ParentRef, ...]:
        """Gateways that are everybody's, for a route that asks for such, but those that it names."""
        if not route.default_gateways:
            return ()
        named = {parent.name for parent in route.parents if parent.kind == "Gateway"}
        return tuple(
            ParentRef(
                group=GATEWAY_GROUP, kind="Gateway", name=g.name, namespace_given=True, origin=route.origin
            )
            for g in self._ours
            if g.is_default and g.name not in named
        )

    def _beside_others(self, route: ApiRoute, parent: ParentRef, found: Attached) -> Attached:
        """The same, or a refusal where an older route of the other HTTP kind has one of the hostnames."""
        places = {id(listener): number for number, listener in enumerate(self._listeners)}
        for own in found.attachments:
            for other in self._attachments.get(places[id(own.listener)], ()):
                if other.route.kind is route.kind or not (other.route.kind.is_http and route.kind.is_http):
                    continue
                if any(host_intersection(a, b) for a in own.hostnames for b in other.hostnames):
                    message = f"{other.route.ref} is older and has its hostnames at {parent.name}"
                    return Attached(
                        Condition(type="Accepted", holds=False, reason="Conflicted", message=message)
                    )
        return found

    def _note_use(self, attachment: Attachment) -> None:
        gateway = attachment.listener.gateway
        for rule in attachment.route.rules:
            for target in targets(rule):
                key = (target.name, target.port)
                known = self._found.used_by.get(key, ())
                if gateway not in known:
                    self._found.used_by[key] = (*known, gateway)

    def _gateway(self, gateway: ApiGateway, addresses: Addresses, sets: int) -> None:
        places = [n for n, one in enumerate(self._listeners) if one.gateway is gateway]
        own = [self._listeners[n] for n in places]
        usable, useless = addresses.of(gateway)
        problem: Problem | None = None
        if gateway.client_certificate is not None:
            found = self._references.certificate("Gateway", gateway.ref.namespace, gateway.client_certificate)
            if isinstance(found, Problem):
                reason = found.reason.replace("InvalidCertificateRef", "InvalidClientCertificateRef")
                problem = Problem(reason, found.message)
        status = gateway_status(gateway, own, usable, useless, problem, sets)
        self._say(gateway.ref, gateway, status)
        for listener in own:
            conditions = (listener.accepted, listener.resolved, listener.conflicted)
            report(conditions, listener.declared.origin, listener.holder.ref, self._findings)
        attachments = {i: self._attachments.get(n, []) for i, n in enumerate(places)}
        self._found.tables.add_gateway(own, attachments, usable, self._rules_at, self._destinations)

    def _say(self, ref: ObjectRef, declared: ApiGateway | ListenerSetObject, status: ObjectStatus) -> None:
        self._found.statuses[status_key(ref)] = status
        report(status.conditions, declared.origin, ref, self._findings)

    def _rules_at(self, attachment: Attachment, entrance: Entrance) -> tuple[Ranked, ...]:
        key = (attachment.route.ref, entrance)
        if key not in self._rules:
            self._rules[key] = self._routes[attachment.route.ref].at(entrance)
        return self._rules[key]

    def _destinations(self, attachment: Attachment) -> tuple[WeightedDestination, ...]:
        rules = attachment.route.rules
        resolution = Resolution(attachment.route, self._references)
        return stream_destinations(resolution.backends(rules[0].backends if rules else ()))
