"""Gateways with the VirtualServices that are bound to them. Internal to `link`.

A plaintext port has one route configuration for all servers on it (`http.80`), and Ingress
rules are in that of port 80 too. A server that ends TLS has one of its own, as in Istio: who
comes by one server's name must not reach the hosts of another, whose client certificates
were perhaps wanted. In each: the more specific host first; of one host the VirtualServices
first, oldest first, then the Ingresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.declared import MeshRules
from meshgate.model.destination import DestinationPolicy
from meshgate.model.edge import Certificate, EdgeHost
from meshgate.model.gateway import (
    HTTP_PORT,
    EdgeServer,
    GatewayObject,
    Server,
    ServerProtocol,
    ServerTlsMode,
)
from meshgate.model.linking.edge import OwnRules, reachable
from meshgate.model.linking.gateway_hosts import (
    gateway_name,
    host_intersection,
    is_ours,
    report_unbound,
    server_hosts,
    wider_hosts,
)
from meshgate.model.linking.gateway_ports import INGRESS_PORTS, GatewayPorts
from meshgate.model.linking.gateway_rules import at_port, holds
from meshgate.model.linking.gateway_streams import stream_servers
from meshgate.model.linking.gateway_tls import both, link_tls
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.mesh import RuleContext, link_rules
from meshgate.model.names import complete_host
from meshgate.model.route import Redirect, Rule


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


def link_gateways(
    given: Input,
    destinations: Mapping[str, tuple[DestinationPolicy, ...]],
    ingress: Mapping[str, OwnRules],
    ports: GatewayPorts,
    findings: Findings,
) -> LinkedGateways:
    """The filter chains, virtual hosts and certificates of all Gateways that select our gateway.

    A server that cannot be had as it is written is not opened (MG3005 its certificate,
    MG3008 another has its port or name); a VirtualService without a server is MG3021.
    """
    linking = _Linking(given, destinations, ports, findings)
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
        ports: GatewayPorts,
        findings: Findings,
    ) -> None:
        self._given, self._destinations, self._findings = given, destinations, findings
        self.found = LinkedGateways()
        self.bound: set[tuple[str, str]] = set()
        """(VirtualService, Gateway) that came together, whether or not the server was opened."""
        self.elsewhere: set[str] = set()
        """Gateways that take none of ours."""
        self._ports = ports
        self._tables: dict[str, _Table] = {}
        self._rules = oldest_first(given.declared.mesh_rules)

    def server(self, gateway: GatewayObject, server: Server) -> None:
        """Opens one server, or says why not."""
        bound = list(self._bound(gateway, server))
        if server.closed:
            return
        port = INGRESS_PORTS.get(server.port, server.port)
        if not self._ports.takes(gateway, server, port):
            return
        if server.protocol is ServerProtocol.HTTP:
            self._plain(gateway, server, port, bound)
            return
        sni = self._ports.names(gateway, server, port)
        owner = f"{gateway.name.name}.{gateway.name.namespace}"
        base = f"{server.protocol.value.lower()}.{port}.{server.name}.{owner}"
        if server.tls is not None and server.tls.mode is ServerTlsMode.AUTO_PASSTHROUGH:
            if sni:
                names = () if "*" in sni else sni
                self.found.servers[base] = EdgeServer(
                    port=port, sni=names, to_named_service=True, origin=server.origin
                )
            return
        passes = server.tls is None or server.tls.mode is ServerTlsMode.PASSTHROUGH
        tls = None if passes or server.tls is None else link_tls(server, gateway, self._given, self._findings)
        if not sni or (tls is None and not passes):
            return
        if tls is not None:
            for name, certificate in tls.certificates.items():
                known = self.found.certificates.get(name)
                self.found.certificates[name] = both(known, certificate) if known else certificate
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
            linked = link_rules(self._context(rules), partial(holds, gateway, server, rules))
            here = [at_port(rule, server, rules, self._given, self._findings) for rule in linked]
            for host in hosts:
                entries = table.rules.setdefault(host, [])
                known = {id(owner) for _, owner in entries}
                if id(rules) not in known:
                    entries.extend((rule, rules) for rule in here)

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
