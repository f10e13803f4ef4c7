"""VirtualServices' rules as they hold on one server of a Gateway. Internal to `link`."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from meshgate.core.findings import Findings
from meshgate.model.declared import MeshRules
from meshgate.model.gateway import GatewayObject, Server
from meshgate.model.linking.gateway_hosts import gateway_name
from meshgate.model.linking.gateway_ports import INGRESS_PORTS
from meshgate.model.linking.input import Input
from meshgate.model.route import Action, DirectResponse, Forward, Redirect, Refuse, RequestMatch, Rule


def holds(gateway: GatewayObject, server: Server, rules: MeshRules, match: RequestMatch) -> bool:
    """Whether a match of the rules is for this server."""
    named = {gateway_name(g, rules.namespace) for g in match.gateways}
    return (not named or str(gateway.name) in named) and match.port in (0, server.port)


def at_port(rule: Rule, server: Server, rules: MeshRules, given: Input, findings: Findings) -> Rule:
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
        case Redirect():
            return (
                replace(action, derive_port=False, server_port=INGRESS_PORTS.get(server.port, server.port))
                if action.derive_port
                else action
            )
        case DirectResponse() | Refuse():
            return action
        case _:
            assert_never(action)
