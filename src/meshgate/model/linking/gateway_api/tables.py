"""What clients meet at the listeners of a Gateway: filter chains and virtual hosts. Internal to `link`.

Plain HTTP listeners of one port share a route configuration, an HTTPS listener has one of its
own. A request belongs to the listener with the closest hostname and to no other: what comes
over the connection of one HTTPS listener for a host of another is misdirected (421).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from meshgate.model.edge import Certificate, EdgeHost
from meshgate.model.gateway import EdgeServer
from meshgate.model.linking.edge import reachable
from meshgate.model.linking.gateway_api.attach import Attachment, best_listener
from meshgate.model.linking.gateway_api.listeners import LinkedListener
from meshgate.model.linking.gateway_api.rules import Entrance, Ranked
from meshgate.model.linking.gateway_hosts import wider_hosts
from meshgate.model.route import Refuse, Rule, WeightedDestination

RulesAt = Callable[[Attachment, Entrance], tuple[Ranked, ...]]
DestinationsOf = Callable[[Attachment], tuple[WeightedDestination, ...]]


@dataclass(slots=True)
class Tables:
    """What all Gateways of the API add to the model."""

    hosts: dict[str, EdgeHost] = field(default_factory=dict)
    servers: dict[str, EdgeServer] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)

    def add_gateway(
        self,
        listeners: Sequence[LinkedListener],
        attachments: Mapping[int, Sequence[Attachment]],
        addresses: tuple[str, ...],
        rules_at: RulesAt,
        destinations: DestinationsOf,
    ) -> None:
        """All listeners of one Gateway that are served; attachments by the listener's place."""
        serving = [(number, one) for number, one in enumerate(listeners) if one.serves]
        for number, listener in serving:
            self.certificates.update(listener.certificates)
            port, protocol = listener.declared.port, listener.declared.protocol
            beside = [o for _, o in serving if o.declared.port == port and _alike(o, listener)]
            own = attachments.get(number, ())
            if protocol in ("HTTP", "HTTPS"):
                self._http(listener, beside, own, addresses, rules_at)
            else:
                self._streams(listener, beside, own, addresses, destinations)

    def _http(
        self,
        listener: LinkedListener,
        beside: Sequence[LinkedListener],
        attachments: Sequence[Attachment],
        addresses: tuple[str, ...],
        rules_at: RulesAt,
    ) -> None:
        secure = listener.declared.protocol == "HTTPS"
        name = _name(listener) if secure else _port_name(listener)
        hostname = listener.declared.hostname
        self.servers.setdefault(
            name,
            EdgeServer(
                port=listener.declared.port,
                sni=(hostname,) if secure and hostname else (),
                tls=listener.tls,
                addresses=addresses,
                routes=name,
                origin=listener.declared.origin,
            ),
        )
        entrance = Entrance("https" if secure else "http", listener.declared.port)
        ranked: dict[str, list[Ranked]] = {}
        for attachment in attachments:
            for host in attachment.hostnames:
                if best_listener(host, beside) is listener:
                    ranked.setdefault(host, []).extend(rules_at(attachment, entrance))
        own = {host: _in_order(entries) for host, entries in ranked.items()}
        for host in own:
            self._host(name, host, _with_wider(host, own))
        self._host(name, hostname or "*", ())
        for other in beside if secure else ():
            if other is not listener:
                self._host(name, other.declared.hostname or "*", (_misdirected(other),))

    def _host(self, routes: str, host: str, rules: tuple[Rule, ...]) -> None:
        self.hosts.setdefault(f"{routes}/{host}", EdgeHost(host=host, rules=rules, routes=routes))

    def _streams(
        self,
        listener: LinkedListener,
        beside: Sequence[LinkedListener],
        attachments: Sequence[Attachment],
        addresses: tuple[str, ...],
        destinations: DestinationsOf,
    ) -> None:
        """One chain per route that has a name of its own left; the oldest route first."""
        by_name = listener.declared.protocol == "TLS"
        taken: set[str] = set()
        for number, attachment in enumerate(attachments):
            names = attachment.hostnames if by_name else ("*",)
            fresh = tuple(n for n in names if n not in taken and best_listener(n, beside) is listener)
            if not fresh:
                continue
            taken.update(fresh)
            self.servers[f"{_name(listener)}/{number}"] = EdgeServer(
                port=listener.declared.port,
                sni=() if "*" in fresh else fresh,
                tls=listener.tls,
                addresses=addresses,
                datagrams=listener.declared.protocol == "UDP",
                destinations=destinations(attachment),
                origin=attachment.route.origin,
            )


def _alike(one: LinkedListener, other: LinkedListener) -> bool:
    """Whether they share a port, by the hostnames of their clients."""
    return (one.declared.protocol == "UDP") == (other.declared.protocol == "UDP")


def _port_name(listener: LinkedListener) -> str:
    gateway = listener.gateway.name
    return f"gateway-api.{gateway.namespace}.{gateway.name}.{listener.declared.port}"


def _name(listener: LinkedListener) -> str:
    holder = listener.holder
    inside = f"{listener.declared.name}"
    if holder is not listener.gateway:
        inside = f"{holder.name.namespace}.{holder.name.name}.{inside}"
    return f"{_port_name(listener)}.{inside}"


def _in_order(entries: list[Ranked]) -> tuple[tuple[Rule, ...], bool]:
    known: dict[str, Rule] = {}
    for entry in sorted(entries, key=lambda e: e.precedence):  # stable: splits stay together
        known.setdefault(entry.rule.name, entry.rule)
    return reachable(tuple(known.values()))


def _with_wider(host: str, own: Mapping[str, tuple[tuple[Rule, ...], bool]]) -> tuple[Rule, ...]:
    """The rules for the host, then those for wider hosts of the same listener while requests are left."""
    found: tuple[Rule, ...] = ()
    for candidate in wider_hosts(host, own):
        rules, takes_every_request = own[candidate]
        found += rules
        if takes_every_request:
            break
    return found


def _misdirected(other: LinkedListener) -> Rule:
    reason = f"the host belongs to the listener {other.declared.name}, to whose name no connection was made"
    return Rule(
        name="misdirected",
        matches=(),
        action=Refuse(status=421, reason=reason),
        origin=other.declared.origin,
    )
