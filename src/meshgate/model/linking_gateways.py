"""Gateways with the VirtualServices that are bound to them. Internal to `link`.

A plaintext port has one route configuration for all servers on it (`http.80`), and Ingress
rules are in that of port 80 too. A server that ends TLS has one of its own, as in Istio: who
comes by one server's name must not reach the hosts of another, whose client certificates
were perhaps wanted. In each: the more specific host first; of one host the VirtualServices
first, oldest first, then the Ingresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from meshgate.core.origin import Origin
from meshgate.model.declared import MeshRules
from meshgate.model.destination import DestinationPolicy
from meshgate.model.edge import Certificate, EdgeHost
from meshgate.model.gateway import (
    HTTP_PORT,
    HTTPS_PORT,
    EdgeServer,
    GatewayObject,
    Server,
    ServerProtocol,
    ServerTlsMode,
)
from meshgate.model.linking_edge import OwnRules, reachable
from meshgate.model.linking_gateway_hosts import (
    gateway_name,
    host_intersection,
    is_ours,
    report_unbound,
    server_hosts,
    wider_hosts,
)
from meshgate.model.linking_gateway_streams import stream_servers
from meshgate.model.linking_gateway_tls import link_tls
from meshgate.model.linking_input import Findings, Input, oldest_first
from meshgate.model.linking_mesh import RuleContext, link_rules
from meshgate.model.names import complete_host
from meshgate.model.route import (
    Action,
    DirectResponse,
    Forward,
    Redirect,
    Refuse,
    RequestMatch,
    Rule,
)

INGRESS_PORTS = {8080: HTTP_PORT, 8443: HTTPS_PORT}
"""Where Istio's customary ingress listens behind its Service's ports 80 and 443: Gateways name either."""


@dataclass(slots=True)
class LinkedGateways:
    """What the Gateways add to the model."""

    hosts: dict[str, EdgeHost] = field(default_factory=dict)
    servers: dict[str, EdgeServer] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)


@dataclass(slots=True)
class _Table:
    """One route configuration while it is filled."""

    covers: list[str] = field(default_factory=list)
    """Hosts of its servers: what of the Ingresses it holds."""
    rules: dict[str, list[tuple[Rule, MeshRules | None]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Port:
    """A port's first server decides whether it is plaintext, TLS or TCP."""

    protocol: ServerProtocol
    owner: GatewayObject
    sni: dict[str, GatewayObject] = field(default_factory=dict)


def link_gateways(
    given: Input,
    destinations: Mapping[str, tuple[DestinationPolicy, ...]],
    ingress: Mapping[str, OwnRules],
    findings: Findings,
) -> LinkedGateways:
    """The filter chains, virtual hosts and certificates of all Gateways that select our gateway.

    A server that cannot be had as it is written is not opened (MG3005 its certificate,
    MG3008 another has its port or name); a VirtualService without a server is MG3021.
    """
    linking = _Linking(given, destinations, findings)
    for gateway in oldest_first(given.declared.gateways):
        if not is_ours(gateway, findings):
            linking.elsewhere.add(str(gateway.name))
            continue
        for server in gateway.servers:
            linking.server(gateway, server)
    report_unbound(given, linking.bound, linking.elsewhere, findings)
    linking.finish(ingress)
    return linking.found


class _Linking:
    """One pass over the Gateways, oldest first."""

    def __init__(
        self,
        given: Input,
        destinations: Mapping[str, tuple[DestinationPolicy, ...]],
        findings: Findings,
    ) -> None:
        self._given, self._destinations, self._findings = given, destinations, findings
        self.found = LinkedGateways()
        self.bound: set[tuple[str, str]] = set()
        """(VirtualService, Gateway) that came together, whether or not the server was opened."""
        self.elsewhere: set[str] = set()
        """Gateways that take none of ours."""
        self._ports: dict[int, _Port] = {}
        self._tables: dict[str, _Table] = {}
        self._rules = oldest_first(given.declared.mesh_rules)

    def server(self, gateway: GatewayObject, server: Server) -> None:
        """Opens one server, or says why not."""
        bound = list(self._bound(gateway, server))
        if server.closed:
            return
        port = INGRESS_PORTS.get(server.port, server.port)
        if not self._takes_port(gateway, server, port):
            return
        if server.protocol is ServerProtocol.HTTP:
            self._plain(gateway, server, port, bound)
            return
        sni = self._names(gateway, server, port)
        passes = server.tls is None or server.tls.mode is ServerTlsMode.PASSTHROUGH
        tls = None if passes or server.tls is None else link_tls(server, gateway, self._given, self._findings)
        if not sni or (tls is None and not passes):
            return
        if tls is not None:
            self.found.certificates.update(tls.certificates)
        owner = f"{gateway.name.name}.{gateway.name.namespace}"
        base = f"{server.protocol.value.lower()}.{port}.{server.name}.{owner}"
        if server.protocol is ServerProtocol.HTTPS and tls is not None:
            self.found.servers[base] = EdgeServer(
                port=port,
                sni=() if "*" in sni else sni,
                tls=tls.settings,
                routes=base,
                origin=server.origin,
            )
            self._fill(base, gateway, server, bound)
            return
        context = [(self._context(rules), hosts) for rules, hosts in bound]
        self.found.servers.update(
            stream_servers(base, port, sni, gateway, server, tls.settings if tls else None, context)
        )

    def finish(self, ingress: Mapping[str, OwnRules]) -> None:
        """Makes virtual hosts of all tables."""
        for routes, table in sorted(self._tables.items()):
            theirs = ingress if table.covers else {}
            with_ingress = {
                narrow: None
                for host in theirs
                for covered in table.covers
                if (narrow := host_intersection(host, covered))
            }
            own = {host: reachable(self._in_order(entries)) for host, entries in table.rules.items()}
            self._report_collisions(table, theirs)
            for host in sorted({*own, *with_ingress}):
                rules = _with_wider(host, own, theirs)
                self.found.hosts[f"{routes}/{host}"] = EdgeHost(host=host, rules=rules, routes=routes)

    def _bound(self, gateway: GatewayObject, server: Server) -> list[tuple[MeshRules, dict[str, None]]]:
        """VirtualServices with the hosts that they have on this server."""
        found = []
        for rules in self._rules:
            if str(gateway.name) not in {gateway_name(g, rules.namespace) for g in rules.gateways}:
                continue
            allowed = server_hosts(gateway, server, rules)
            hosts = {
                narrow: None
                for written in rules.hosts
                for wide in allowed
                if (narrow := host_intersection(complete_host(written, rules.namespace), wide))
            }
            if hosts:
                self.bound.add((str(rules.ref), str(gateway.name)))
                found.append((rules, hosts))
        return found

    def _takes_port(self, gateway: GatewayObject, server: Server, port: int) -> bool:
        first = self._ports.setdefault(port, _Port(server.protocol, gateway))
        kinds = {ServerProtocol.HTTPS: ServerProtocol.TLS}
        wanted, there = (kinds.get(p, p) for p in (server.protocol, first.protocol))
        if port == HTTP_PORT and wanted is not ServerProtocol.HTTP:
            problem = f"port {server.port} is where plaintext HTTP is served here"
        elif port == HTTPS_PORT and wanted is not ServerProtocol.TLS:
            problem = f"port {server.port} is where HTTPS is served here"
        elif wanted is not there or (wanted is ServerProtocol.TCP and first.owner is not gateway):
            problem = f"port {server.port} already speaks {there.value} for {first.owner.ref}"
        else:
            return True
        self._findings.error(
            "MG3008",
            server.origin,
            gateway.ref,
            f"{problem}; server {server.name!r} is not opened",
            "choose another port",
        )
        return False

    def _names(self, gateway: GatewayObject, server: Server, port: int) -> tuple[str, ...]:
        """The names by which clients reach the server; those that an older one has are MG3008."""
        taken = self._ports[port].sni
        names: dict[str, None] = {}
        for host in (h.rpartition("/")[2] for h in server.hosts):
            owner = taken.setdefault(host, gateway)
            if host in names:
                continue
            if owner is not gateway or any(host == n for n in self._own_names(gateway, server, port)):
                self._findings.error(
                    "MG3008",
                    server.origin,
                    gateway.ref,
                    f"{owner.ref} already has {host} at port {server.port}; "
                    f"server {server.name!r} does not serve it",
                    "give every host one server per port",
                )
                continue
            names[host] = None
        return tuple(names)

    def _own_names(self, gateway: GatewayObject, server: Server, port: int) -> list[str]:
        """Names of the Gateway's earlier servers at the port."""
        earlier = gateway.servers[: gateway.servers.index(server)]
        return [
            host.rpartition("/")[2]
            for one in earlier
            if INGRESS_PORTS.get(one.port, one.port) == port and not one.closed
            for host in one.hosts
        ]

    def _plain(
        self,
        gateway: GatewayObject,
        server: Server,
        port: int,
        bound: list[tuple[MeshRules, dict[str, None]]],
    ) -> None:
        routes = f"http.{port}"
        self.found.servers.setdefault(routes, EdgeServer(port=port, routes=routes, origin=server.origin))
        if not server.https_redirect:
            self._fill(routes, gateway, server, bound, ingress=port == HTTP_PORT)
            return
        table = self._tables.setdefault(routes, _Table())
        if port == HTTP_PORT:
            table.covers.append("*")
        redirect = Rule(
            name=f"gateway/{gateway.name}/https-redirect",
            matches=(),
            action=Redirect(code=301, scheme="https", to_https_port=True),
            origin=server.origin,
        )
        hosts = {host: None for _, hosts in bound for host in hosts}
        for host in {**{h.rpartition("/")[2]: None for h in server.hosts}, **hosts}:
            table.rules.setdefault(host, []).append((redirect, None))

    def _fill(
        self,
        routes: str,
        gateway: GatewayObject,
        server: Server,
        bound: list[tuple[MeshRules, dict[str, None]]],
        *,
        ingress: bool = True,
    ) -> None:
        table = self._tables.setdefault(routes, _Table())
        if ingress:
            everywhere = server.protocol is ServerProtocol.HTTP
            table.covers.extend(["*"] if everywhere else (h.rpartition("/")[2] for h in server.hosts))
        for rules, hosts in bound:
            linked = link_rules(self._context(rules), partial(_holds, gateway, server, rules))
            at_port = [_at_port(rule, server, rules, self._given, self._findings) for rule in linked]
            for host in hosts:
                entries = table.rules.setdefault(host, [])
                known = {id(owner) for _, owner in entries}
                if id(rules) not in known:
                    entries.extend((rule, rules) for rule in at_port)

    def _context(self, rules: MeshRules) -> RuleContext:
        return RuleContext(self._given, self._destinations, rules, self._findings)

    def _in_order(self, entries: list[tuple[Rule, MeshRules | None]]) -> tuple[Rule, ...]:
        rules = tuple(rule for rule, _ in entries)
        kept, _ = reachable(rules)
        for rule, owner in entries[len(kept) :]:
            if owner is not None and owner is not entries[len(kept) - 1][1]:
                self._findings.warn(
                    "MG3009",
                    rule.origin,
                    owner.ref,
                    f"the rule at {kept[-1].origin} takes every request for the host; "
                    "this one is never reached at the gateway",
                    "merge the two",
                )
        return kept

    def _report_collisions(self, table: _Table, ingress: Mapping[str, OwnRules]) -> None:
        for host in sorted(table.rules.keys() & ingress.keys()):
            owner = next((o for _, o in table.rules[host] if o is not None), None)
            theirs: Origin | None = next((r.edge_origin for r in ingress[host][0]), None)
            if owner is not None and theirs is not None:
                self._findings.warn(
                    "MG3008",
                    owner.origin,
                    owner.ref,
                    f"the Ingress at {theirs} also has rules for {host}; the VirtualService's come first",
                    "keep the host in one of the two",
                )


def _holds(gateway: GatewayObject, server: Server, rules: MeshRules, match: RequestMatch) -> bool:
    named = {gateway_name(g, rules.namespace) for g in match.gateways}
    return (not named or str(gateway.name) in named) and match.port in (0, server.port)


def _at_port(rule: Rule, server: Server, rules: MeshRules, given: Input, findings: Findings) -> Rule:
    """The rule with the port that the server stands for filled in wherever it was left open."""
    matches = tuple(replace(m, port=0) for m in rule.matches)
    return replace(rule, matches=matches, action=_action_at_port(rule, server, rules, given, findings))


def _action_at_port(rule: Rule, server: Server, rules: MeshRules, given: Input, findings: Findings) -> Action:
    action = rule.action
    match action:
        case Forward():
            entries, problems = [], []
            for entry in action.destinations:
                destination = entry.destination
                if not destination.port:
                    destination = replace(destination, port=server.port)
                    service = given.hosts.get(destination.host)
                    if service is not None and service.port(server.port) is None:
                        problems.append(f"service {service.name} has no port {server.port}")
                entries.append(replace(entry, destination=destination))
            for problem in dict.fromkeys(problems):
                findings.warn(
                    "MG3002",
                    rule.origin,
                    rules.ref,
                    f"{problem}, which the Gateway's server asks for; its requests get 503",
                    "write the port of the destination in the VirtualService",
                )
            if entries and len(problems) == len(entries):
                return Refuse(status=503, reason=problems[0])
            mirrors = tuple(
                replace(m, destination=replace(m.destination, port=m.destination.port or server.port))
                for m in action.mirrors
            )
            return replace(action, destinations=tuple(entries), mirrors=mirrors)
        case Redirect() | DirectResponse() | Refuse():
            return action
        case _:
            assert_never(action)


def _with_wider(host: str, own: Mapping[str, OwnRules], ingress: Mapping[str, OwnRules]) -> tuple[Rule, ...]:
    """The rules for a host while a request can still get there: of VirtualServices those for the
    most specific host only, as in Istio; of Ingresses also those for wider hosts, as in Kong."""
    found: tuple[Rule, ...] = ()
    routed = False
    for candidate in wider_hosts(host, {*own, *ingress}):
        if candidate in own and not routed:
            routed = True
            rules, takes_every_request = own[candidate]
            found += rules
            if takes_every_request:
                break
        if candidate in ingress:
            rules, takes_every_request = ingress[candidate]
            found += rules
            if takes_every_request:
                break
    return found
