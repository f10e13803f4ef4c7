"""Listeners of Gateways: what they may do, which of them collide, their TLS. Internal to `link`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from meshgate.model.edge import Certificate
from meshgate.model.gateway import ServerTls, ServerTlsMode
from meshgate.model.gateway_api import (
    GATEWAY_GROUP,
    ApiGateway,
    ApiListener,
    ClientValidation,
    ListenerSetObject,
    RouteKind,
)
from meshgate.model.linking.gateway_api.refs import Problem, References
from meshgate.model.status import Condition, ListenerStatus

_KINDS = {
    "HTTP": (RouteKind.HTTP, RouteKind.GRPC),
    "HTTPS": (RouteKind.HTTP, RouteKind.GRPC),
    "TCP": (RouteKind.TCP,),
    "UDP": (RouteKind.UDP,),
}
_FAMILY = {"HTTP": "HTTP", "HTTPS": "TLS", "TLS": "TLS", "TCP": "TCP", "UDP": "UDP"}


_ACCEPTED = Condition(type="Accepted", holds=True, reason="Accepted")
_RESOLVED = Condition(type="ResolvedRefs", holds=True, reason="ResolvedRefs")
_ALONE = Condition(type="Conflicted", holds=False, reason="NoConflicts")


@dataclass(slots=True)
class LinkedListener:
    """A listener while it is linked; compared by identity."""

    gateway: ApiGateway
    holder: ApiGateway | ListenerSetObject
    """Whose `listeners` it is written in."""
    declared: ApiListener
    kinds: tuple[RouteKind, ...] = ()
    tls: ServerTls | None = None
    certificates: dict[str, Certificate] = field(default_factory=dict)
    attached: set[object] = field(default_factory=set)
    """References of the routes."""
    accepted: Condition = _ACCEPTED
    resolved: Condition = _RESOLVED
    conflicted: Condition = _ALONE

    @property
    def namespace(self) -> str:
        """Where it is written."""
        return self.holder.ref.namespace

    @property
    def takes_routes(self) -> bool:
        """Whether routes attach to it: also while its certificate is missing."""
        return self.accepted.holds and not self.conflicted.holds

    def status(self) -> ListenerStatus:
        """What there is to say about it."""
        serves = self.serves
        of_set = self.holder is not self.gateway
        why = self.conflicted.reason if of_set and self.conflicted.holds else "Invalid"
        programmed = Condition(
            type="Programmed",
            holds=serves,
            reason="Programmed" if serves else why,
            message="" if serves else "the listener is not opened",
        )
        return ListenerStatus(
            name=self.declared.name,
            port=self.declared.port,
            kinds=tuple((GATEWAY_GROUP, k.value) for k in self.kinds),
            attached_routes=len(self.attached),
            conditions=(self.accepted, programmed, self.resolved, self.conflicted),
            opened=serves,
            datagrams=self.declared.protocol == "UDP",
        )

    @property
    def serves(self) -> bool:
        """Whether clients reach it: not without a certificate, nor where no kind of route could be there."""
        protocol, passes = self.declared.protocol, self.declared.passthrough
        ends_tls = protocol == "HTTPS" or (protocol == "TLS" and not passes)
        return self.takes_routes and bool(self.kinds) and (self.tls is not None or not ends_tls)


def link_listeners(
    gateway: ApiGateway, sets: Sequence[ListenerSetObject], references: References
) -> list[LinkedListener]:
    """The listeners of a Gateway and of its ListenerSets, the Gateway's own first."""
    holders: list[ApiGateway | ListenerSetObject] = [gateway, *sets]
    found = [LinkedListener(gateway, h, one) for h in holders for one in h.listeners]
    for listener in found:
        _kinds(listener)
    _conflicts(found)
    for listener in found:
        _tls(listener, references)
        _clients(listener, references)
    return found


def _kinds(listener: LinkedListener) -> None:
    declared = listener.declared
    supported = _KINDS.get(declared.protocol, ())
    if declared.protocol == "TLS":
        supported = (RouteKind.TLS,) if declared.passthrough else (RouteKind.TLS, RouteKind.TCP)
    elif not supported:
        listener.accepted = Condition(
            type="Accepted",
            holds=False,
            reason="UnsupportedProtocol",
            message=f"the protocol {declared.protocol} is not known here",
        )
    if not declared.kinds:
        listener.kinds = supported
        return
    wanted = {kind for group, kind in declared.kinds if group == GATEWAY_GROUP}
    listener.kinds = tuple(k for k in supported if k.value in wanted)
    known = {k.value for k in listener.kinds}
    strangers = [kind for group, kind in declared.kinds if group != GATEWAY_GROUP or kind not in known]
    if strangers:
        message = f"routes of the kind {', '.join(strangers)} cannot be attached here"
        listener.resolved = _unresolved(Problem("InvalidRouteKinds", message))


def _conflicts(found: list[LinkedListener]) -> None:
    """Of a Gateway's own listeners that collide all are refused; of those of ListenerSets the later."""
    for index, listener in enumerate(found):
        for other in found[:index]:
            if "UnsupportedProtocol" in (listener.accepted.reason, other.accepted.reason):
                continue
            reason = _collision(listener.declared, other.declared)
            if not reason or (other.conflicted.holds and other.holder is not other.gateway):
                continue
            _refuse(
                listener, reason, f"the listener {other.declared.name} of {other.holder.ref} has it already"
            )
            if other.holder is listener.holder is listener.gateway:
                _refuse(other, reason, f"the listener {listener.declared.name} wants the same")


def _refuse(listener: LinkedListener, reason: str, message: str) -> None:
    """The first reason stays."""
    if not listener.conflicted.holds:
        listener.conflicted = Condition(type="Conflicted", holds=True, reason=reason, message=message)
        listener.accepted = Condition(type="Accepted", holds=False, reason=reason, message=message)


def _collision(one: ApiListener, other: ApiListener) -> str:
    if one.port != other.port or (one.protocol == "UDP") != (other.protocol == "UDP"):
        return ""
    families = _FAMILY.get(one.protocol, one.protocol), _FAMILY.get(other.protocol, other.protocol)
    if families[0] != families[1]:
        return "ProtocolConflict"
    if families[0] in ("TCP", "UDP"):
        return "ProtocolConflict"
    if one.hostname == other.hostname:
        return "HostnameConflict" if one.protocol == other.protocol else "ProtocolConflict"
    return ""


def _unresolved(problem: Problem) -> Condition:
    return Condition(type="ResolvedRefs", holds=False, reason=problem.reason, message=problem.message)


def _tls(listener: LinkedListener, references: References) -> None:
    """The certificates that it shows; with none that can be had it is not opened."""
    declared = listener.declared
    if declared.protocol not in ("HTTPS", "TLS") or declared.passthrough:
        return
    if not declared.certificates:
        listener.resolved = _unresolved(Problem("InvalidCertificateRef", "no certificate is named"))
        return
    kind = listener.holder.ref.kind
    for target in declared.certificates:
        found = references.certificate(kind, listener.namespace, target)
        if isinstance(found, Problem):
            listener.resolved = _unresolved(found)
        else:
            listener.certificates[found.name] = found
    if listener.certificates:
        listener.tls = ServerTls(mode=ServerTlsMode.SIMPLE, credentials=tuple(listener.certificates))


def _clients(listener: LinkedListener, references: References) -> None:
    """Whose clients may come; a listener that cannot check them is not opened."""
    gateway, declared = listener.gateway, listener.declared
    if declared.protocol not in ("HTTPS", "TLS") or declared.passthrough:
        return
    ports: dict[int, ClientValidation | None] = dict(gateway.port_validations)
    wanted = ports.get(declared.port, gateway.validation)
    if wanted is None:
        return
    pem = references.authorities(gateway.ref.kind, gateway.ref.namespace, wanted.authorities)
    problem = references.authority_problem(gateway.ref.kind, gateway.ref.namespace, wanted.authorities)
    if problem is not None:
        listener.resolved = _unresolved(problem)
    if isinstance(pem, Problem):
        listener.accepted = Condition(
            type="Accepted",
            holds=False,
            reason="NoValidCACertificate",
            message="none of the authorities of clients' certificates can be had",
        )
        return
    if listener.tls is not None:
        mode = ServerTlsMode.OPTIONAL_MUTUAL if wanted.insecure_fallback else ServerTlsMode.MUTUAL
        listener.tls = ServerTls(
            mode=mode,
            credentials=listener.tls.credentials,
            authorities_pem=pem,
            accept_untrusted=wanted.insecure_fallback,
        )
