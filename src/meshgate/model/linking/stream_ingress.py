"""TCPIngresses and UDPIngresses as filter chains of the gateway. Internal to `link`.

They are given ports after the Gateways, from the same book. With TLS a chain is chosen by its
server name; what has no server name takes every other connection of the port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from meshgate.core.findings import Findings
from meshgate.model.edge import Certificate
from meshgate.model.gateway import (
    HTTPS_PORT,
    EdgeServer,
    GatewayObject,
    Server,
    ServerProtocol,
    ServerTls,
    ServerTlsMode,
)
from meshgate.model.linking.gateway_ports import GatewayPorts
from meshgate.model.linking.gateway_tls import LinkedTls, both, link_tls
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.stream_plugins import StreamPlugins
from meshgate.model.names import Name
from meshgate.model.route import Destination, WeightedDestination
from meshgate.model.service import Service
from meshgate.model.stream_ingress import StreamIngress, StreamIngressRule

_UNCHOSEN: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class LinkedStreamIngresses:
    """What they add to the model."""

    certificates: dict[str, Certificate]
    """Those of Gateways too."""
    servers: dict[str, EdgeServer] = field(default_factory=dict)


def link_stream_ingresses(
    given: Input, ports: GatewayPorts, certificates: Mapping[str, Certificate], findings: Findings
) -> LinkedStreamIngresses:
    """The filter chains of all of them, the oldest first; and `certificates` with theirs.

    A rule that cannot be had as it is written opens nothing: MG3001 its Service, MG3002 its
    port, MG3005 its certificate, MG3008 another has the port or the name on it.
    """
    found = LinkedStreamIngresses(certificates=dict(certificates))
    datagram_ports: dict[int, StreamIngress] = {}
    plugins = StreamPlugins(given, findings)
    for ingress in oldest_first(given.declared.stream_ingresses):
        own = plugins.of_ingress(ingress)
        for number, rule in enumerate(ingress.rules):
            service = _service(ingress, rule, given, findings)
            policies = plugins.of_rule(own, ingress, rule, service) if service else own
            if service is None or policies.closed:
                continue
            to = Destination(host=service.host, port=rule.service_port)
            template = EdgeServer(
                port=rule.port,
                destinations=(WeightedDestination(destination=to, weight=1),),
                restriction=policies.restriction,
                origin=rule.origin,
            )
            name = f"{ingress.ref.kind.lower()}.{ingress.ref.namespace}.{ingress.ref.name}.{number}"
            if ingress.datagrams:
                owner = datagram_ports.setdefault(rule.port, ingress)
                if _is_first(ingress, rule, owner, found, findings):
                    found.servers[name] = replace(template, datagrams=True)
                continue
            chains = _chains(ingress, rule, given, ports, findings)
            for part, (sni, tls) in enumerate(chains):
                for key, certificate in (tls.certificates if tls else {}).items():
                    known = found.certificates.get(key)
                    found.certificates[key] = both(known, certificate) if known else certificate
                settings = tls.settings if tls else None
                found.servers[f"{name}.{part}" if part else name] = replace(template, sni=sni, tls=settings)
    return found


def _service(
    ingress: StreamIngress, rule: StreamIngressRule, given: Input, findings: Findings
) -> Service | None:
    name = Name(ingress.ref.namespace, rule.service)
    service = given.services.get(name)
    if service is None:
        message = f"service {name} {given.absence('Service', name)}; the rule opens nothing"
        findings.error("MG3001", rule.origin, ingress.ref, message, "add the Service")
        return None
    if service.port(rule.service_port) is None:
        ports = ", ".join(str(p.number) for p in service.ports) or "none"
        message = f"service {name} has no port {rule.service_port} but {ports}; the rule opens nothing"
        findings.error("MG3002", rule.origin, ingress.ref, message, "name one of its ports")
        return None
    return service


def _is_first(
    ingress: StreamIngress,
    rule: StreamIngressRule,
    owner: StreamIngress,
    found: LinkedStreamIngresses,
    findings: Findings,
) -> bool:
    """Whether no other rule has the UDP port."""
    if owner is ingress and not any(s.datagrams and s.port == rule.port for s in found.servers.values()):
        return True
    message = f"UDP port {rule.port} already belongs to {owner.ref}; the rule opens nothing"
    findings.error("MG3008", rule.origin, ingress.ref, message, "choose another port")
    return False


def _chains(
    ingress: StreamIngress, rule: StreamIngressRule, given: Input, ports: GatewayPorts, findings: Findings
) -> Iterator[tuple[tuple[str, ...], LinkedTls | None]]:
    """Server names (none: all others) with the TLS that is ended for them (None: passed on)."""
    if not ingress.tls:
        server = _server(rule, (rule.host or "*",), "")
        if _opens(ingress, server, ports):
            yield (rule.host,) if rule.host else (), None
        return
    entries = [e for e in ingress.tls if not rule.host or _covers(e.hosts, rule.host)]
    if not entries:
        message = f"no entry of spec.tls is for {rule.host}; the rule opens nothing"
        findings.error("MG3005", rule.origin, ingress.ref, message, "add the host to an entry")
    for entry in entries[:1] if rule.host else entries:
        names = (rule.host,) if rule.host else entry.hosts or ("*",)
        server = _server(rule, names, entry.secret_name)
        tls = _certificate(ingress, server, given, findings)
        if tls is not None and _opens(ingress, server, ports):
            yield () if "*" in names else names, tls


def _certificate(
    ingress: StreamIngress, server: Server, given: Input, findings: Findings
) -> LinkedTls | None:
    """The TLS with its Secret, which must be in the object's own namespace."""
    assert server.tls is not None
    name = Name(ingress.ref.namespace, server.tls.credentials[0])
    if name in given.secrets:
        return link_tls(server, _owner(ingress, server), given, findings)
    message = f"Secret {name} {given.absence('Secret', name)}; the rule opens nothing"
    remedy = "add a Secret of type kubernetes.io/tls with tls.crt and tls.key"
    findings.error("MG3005", server.origin, ingress.ref, message, remedy)
    return None


def _covers(hosts: tuple[str, ...], host: str) -> bool:
    """Whether a certificate for `hosts` is shown for the name."""
    return not hosts or host in hosts or f"*.{host.partition('.')[2]}" in hosts


def _server(rule: StreamIngressRule, names: tuple[str, ...], secret: str) -> Server:
    """The rule as a Gateway's server, for the book of ports and for its certificate.

    A port of TCPIngresses may have both chains by server name and one for all others; only
    at the port where HTTPS is, plain connections cannot be told from others.
    """
    plain = not rule.host and not secret and rule.port == HTTPS_PORT
    return Server(
        name=f"{rule.port}",
        port=rule.port,
        protocol=ServerProtocol.TCP if plain else ServerProtocol.TLS,
        hosts=names,
        tls=ServerTls(mode=ServerTlsMode.SIMPLE, credentials=(secret,)) if secret else None,
        origin=rule.origin,
    )


def _owner(ingress: StreamIngress, server: Server) -> GatewayObject:
    name = Name(ingress.ref.namespace, ingress.ref.name)
    return GatewayObject(ref=ingress.ref, name=name, selector=_UNCHOSEN, servers=(server,))


def _opens(ingress: StreamIngress, server: Server, ports: GatewayPorts) -> bool:
    owner = _owner(ingress, server)
    return ports.takes(owner, server, server.port) and bool(ports.names(owner, server, server.port))
