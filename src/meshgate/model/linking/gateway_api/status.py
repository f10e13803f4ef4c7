"""Statuses of Gateway API objects, and the diagnostics that say the same. Internal to `link`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.gateway_api import ApiGateway, ListenerSetObject
from meshgate.model.linking.gateway_api.classes import unsupported_address
from meshgate.model.linking.gateway_api.listeners import LinkedListener
from meshgate.model.linking.gateway_api.refs import Problem
from meshgate.model.status import Condition, GatewayService, ObjectStatus

NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
"""On all that is made for a Gateway."""
_LABEL = 63
"""The most characters that a Service's name may have."""

_CODES = {
    "BackendNotFound": "MG3001",
    "InvalidKind": "MG3001",
    "InvalidCertificateRef": "MG3005",
    "InvalidCACertificateRef": "MG3005",
    "InvalidCACertificateKind": "MG3005",
    "NoValidCACertificate": "MG3005",
    "InvalidClientCertificateRef": "MG3005",
    "HostnameConflict": "MG3008",
    "ProtocolConflict": "MG3008",
    "ListenerConflict": "MG3008",
    "NoMatchingParent": "MG3021",
    "NotAllowedByListeners": "MG3021",
    "NoMatchingListenerHostname": "MG3021",
    "RefNotPermitted": "MG3062",
}
"""Reasons whose code is not MG3061."""

_REMEDIES_BY_REASON = {
    "AddressNotUsable": "name an address of 127.0.0.0/8, or none",
    "Conflicted": "keep one of them",
    "Invalid": "use System, or authorities of a ConfigMap",
    "InvalidKind": "name an object of another kind",
    "InvalidParameters": "take its parametersRef out",
    "InvalidRouteKinds": "name kinds that the listener's protocol can take",
    "ListenersNotValid": "mend its listeners",
    "NotAllowed": "let the Gateway's allowedListeners take it",
    "ParentNotAccepted": "mend its Gateway",
    "PluginNotRun": "take the plugin away, or use a route of requests",
    "TargetNotFound": "mend targetRefs",
    "UnsupportedAddress": "use the type IPAddress, or name no address",
    "UnsupportedProtocol": "mend the protocol, or choose another kind of route",
    "UnsupportedValue": "give it a Gateway as its parent",
}
_REMEDIES = {
    "MG3001": "add the Service, or mend the reference",
    "MG3005": "add the certificate, or mend the reference",
    "MG3008": "give every listener a port, protocol and hostname of its own",
    "MG3021": "make parentRefs and the Gateway's listeners agree",
    "MG3062": "add a ReferenceGrant to the other namespace",
}


def accepted(gateway: ApiGateway) -> Condition:
    """Whether a Gateway can be had as far as it says alone."""
    address = unsupported_address(gateway)
    if gateway.parameters:
        message = f"no parameters are known here, and it names {gateway.parameters}"
        return Condition(type="Accepted", holds=False, reason="InvalidParameters", message=message)
    if address:
        message = f"addresses of the type IPAddress are known here, not {address}"
        return Condition(type="Accepted", holds=False, reason="UnsupportedAddress", message=message)
    return Condition(type="Accepted", holds=True, reason="Accepted")


def gateway_status(
    gateway: ApiGateway,
    listeners: Sequence[LinkedListener],
    addresses: tuple[str, ...],
    useless: tuple[str, ...],
    certificate: Problem | None,
    sets: int,
) -> ObjectStatus:
    """What there is to say about a Gateway."""
    taken = accepted(gateway)
    own = [one for one in listeners if one.holder is gateway]
    valid = [one.accepted.holds and one.resolved.holds and not one.conflicted.holds for one in own]
    if taken.holds and not all(valid):
        some = any(one.accepted.holds for one in own)
        message = "some listeners are not valid" if some else "no listener is valid"
        taken = Condition(type="Accepted", holds=some, reason="ListenersNotValid", message=message)
    if not taken.holds:
        programmed = Condition(type="Programmed", holds=False, reason="Invalid", message="it is not accepted")
    elif useless:
        message = f"{', '.join(useless)} cannot be used; addresses of 127.0.0.0/8 that nobody has can"
        programmed = Condition(type="Programmed", holds=False, reason="AddressNotUsable", message=message)
    elif not any(one.serves for one in listeners):
        programmed = Condition(
            type="Programmed", holds=False, reason="Invalid", message="no listener is opened"
        )
    else:
        programmed = Condition(type="Programmed", holds=True, reason="Programmed")
    conditions = [taken, programmed]
    if gateway.client_certificate is not None:
        conditions.append(resolved(certificate))
    if any(one.tls is not None and one.tls.accept_untrusted for one in listeners):
        conditions.append(
            Condition(
                type="InsecureFrontendValidationMode",
                holds=True,
                reason="ConfigurationChanged",
                message="clients without a trusted certificate may come",
            )
        )
    return ObjectStatus(
        generation=gateway.generation,
        conditions=tuple(conditions),
        addresses=addresses,
        listeners=tuple(one.status() for one in own),
        listener_sets=sets,
        service=_service(gateway) if taken.holds else None,
    )


def _service(gateway: ApiGateway) -> GatewayService:
    name = f"{gateway.name.name}-{gateway.class_name}".replace(".", "-")
    if len(name) > _LABEL:
        name = f"{name[: _LABEL - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    labels = {**gateway.labels, NAME_LABEL: gateway.name.name}
    return GatewayService(name=name, labels=labels, annotations=gateway.annotations)


def set_status(
    one: ListenerSetObject, refusal: Problem | None, listeners: Sequence[LinkedListener]
) -> ObjectStatus:
    """What there is to say about a ListenerSet, by its own listeners."""
    if refusal is not None:
        conditions = tuple(
            Condition(type=kind, holds=False, reason=refusal.reason, message=refusal.message)
            for kind in ("Accepted", "Programmed")
        )
        return ObjectStatus(generation=one.generation, conditions=conditions, listeners=())
    good = all(listener.accepted.holds and listener.resolved.holds for listener in listeners)
    serves = any(listener.serves for listener in listeners)
    message = "" if good else "some listeners are not valid" if serves else "no listener is valid"
    reason = "Accepted" if good and serves else "ListenersNotValid"
    taken = Condition(type="Accepted", holds=serves, reason=reason, message=message)
    reason = "Programmed" if serves else "ListenersNotValid"
    programmed = Condition(type="Programmed", holds=serves, reason=reason, message="" if serves else message)
    return ObjectStatus(
        generation=one.generation,
        conditions=(taken, programmed),
        listeners=tuple(listener.status() for listener in listeners),
    )


def resolved(problem: Problem | None) -> Condition:
    """The condition `ResolvedRefs`."""
    if problem is None:
        return Condition(type="ResolvedRefs", holds=True, reason="ResolvedRefs")
    return Condition(type="ResolvedRefs", holds=False, reason=problem.reason, message=problem.message)


def report(conditions: Iterable[Condition], at: Origin, ref: ObjectRef, findings: Findings) -> None:
    """A warning for every condition that says that something is wrong."""
    said: set[str] = set()
    for one in conditions:
        wrong = one.holds if one.type == "Conflicted" else not one.holds
        told_elsewhere = one.type == "Programmed" and one.reason != "AddressNotUsable"
        if not wrong or not one.message or one.message in said or told_elsewhere:
            continue
        said.add(one.message)
        code = _CODES.get(one.reason, "MG3061")
        remedy = _REMEDIES_BY_REASON.get(one.reason) or _REMEDIES.get(code, "mend it")
        findings.warn(code, at, ref, f"{one.message} ({one.reason})", remedy)
