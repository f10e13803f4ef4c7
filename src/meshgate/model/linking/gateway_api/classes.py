"""Which GatewayClasses and Gateways are ours, and the addresses of the Gateways. Internal to `link`."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

from meshgate.model.gateway_api import CLASS, CONTROLLERS, FOREIGN_CLASSES, ApiGateway, GatewayClassObject
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.names import Name
from meshgate.model.status import Condition, ObjectStatus

FEATURES = (
    "BackendTLSPolicy",
    "BackendTLSPolicySANValidation",
    "GRPCRoute",
    "GRPCRouteNamedRouteRule",
    "GRPCRouteRequestHeaderModifier",
    "Gateway",
    "GatewayAddressEmpty",
    "GatewayBackendClientCertificate",
    "GatewayFrontendClientCertificateValidation",
    "GatewayFrontendClientCertificateValidationInsecureFallback",
    "GatewayHTTPListenerIsolation",
    "GatewayHTTPSListenerDetectMisdirectedRequests",
    "GatewayInfrastructurePropagation",
    "GatewayPort8080",
    "GatewayStaticAddresses",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendRequestRedirect",
    "HTTPRouteBackendTimeout",
    "HTTPRouteBackendURLRewrite",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteRetry",
    "HTTPRouteRetryBackendTimeout",
    "HTTPRouteRetryConnectionError",
    "HTTPRouteSchemeRedirect",
    "ListenerSet",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "TLSRouteModeMixed",
    "TLSRouteModeTerminate",
    "UDPRoute",
)
"""The specification's names for what Gateways can do here, sorted as it asks; a mesh's are an XMesh's."""

_FIRST_NET, _NETS = 64, 64
"""Gateways have addresses in 127.64.0.0/10."""


def our_classes(given: Input) -> dict[str, GatewayClassObject | None]:
    """The classes whose controller we are, by name; None for those that need no object."""
    named = {gateway.class_name for gateway in given.declared.api_gateways}
    found: dict[str, GatewayClassObject | None] = dict.fromkeys((CLASS, *sorted(named & FOREIGN_CLASSES)))
    for one in oldest_first(given.declared.gateway_classes):
        if one.controller in CONTROLLERS:
            found[one.ref.name] = one
        elif found.get(one.ref.name, one) is None:
            del found[one.ref.name]
    return found


def class_status(declared: GatewayClassObject | None) -> ObjectStatus:
    """What there is to say about a class of ours."""
    if declared is not None and declared.parameters:
        message = f"no parameters are known here, and it names {declared.parameters}"
        accepted = Condition(type="Accepted", holds=False, reason="InvalidParameters", message=message)
    else:
        accepted = Condition(type="Accepted", holds=True, reason="Accepted", message="Gateways may use it")
    return ObjectStatus(
        generation=declared.generation if declared else 1, conditions=(accepted,), features=FEATURES
    )


class Addresses:
    """Gives each Gateway an address of its own in 127.0.0.0/8, the same for the same name."""

    def __init__(self, gateways: Iterable[ApiGateway]) -> None:
        self._taken: dict[str, Name] = {}
        for gateway in gateways:
            for _, value in gateway.addresses:
                if _is_loopback(value):
                    self._taken.setdefault(value, gateway.name)

    def of(self, gateway: ApiGateway) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(addresses, values that cannot be used); one that the name gives where none is asked for."""
        values = [value for kind, value in gateway.addresses if kind == "IPAddress" and value]
        usable = tuple(dict.fromkeys(v for v in values if self._taken.get(v) == gateway.name))
        useless = tuple(v for v in values if v not in usable)
        if values:
            return usable, useless
        return (self._own(gateway.name),), ()

    def _own(self, name: Name) -> str:
        for attempt in range(1000):
            digest = hashlib.sha256(f"{name}#{attempt}".encode()).digest()
            address = f"127.{_FIRST_NET + digest[0] % _NETS}.{digest[1]}.{1 + digest[2] % 254}"
            if self._taken.setdefault(address, name) == name:
                return address
        raise AssertionError("a thousand addresses are taken")


def unsupported_address(gateway: ApiGateway) -> str:
    """An address of a type that cannot be had; empty for none."""
    return next((f"{t} {v}".strip() for t, v in gateway.addresses if t != "IPAddress"), "")


def _is_loopback(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return address.version == 4 and address.is_loopback
