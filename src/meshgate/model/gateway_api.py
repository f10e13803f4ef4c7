"""Gateway API objects as declared: references are names as written, `link` resolves them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.destination import RetryBudget
from meshgate.model.names import Name
from meshgate.model.route import SessionPersistence
from meshgate.model.service import EMPTY

GATEWAY_GROUP = "gateway.networking.k8s.io"
XGATEWAY_GROUP = "gateway.networking.x-k8s.io"
CONTROLLER = "meshgate.dev/gateway-controller"
CONTROLLERS = frozenset({CONTROLLER, "konghq.com/kic-gateway-controller", "istio.io/gateway-controller"})
"""Of GatewayClasses that are ours: Kong's and Istio's manifests name the others."""
CLASS = "meshgate"
"""The GatewayClass that is there by itself."""
FOREIGN_CLASSES = frozenset({"istio", "kong"})
"""Classes that Gateways may name without their object: elsewhere it comes with the installation."""


class RouteKind(enum.Enum):
    """Kinds of routes; the value is the kind's name."""

    HTTP = "HTTPRoute"
    GRPC = "GRPCRoute"
    TLS = "TLSRoute"
    TCP = "TCPRoute"
    UDP = "UDPRoute"

    @property
    def is_http(self) -> bool:
        """Whether it routes requests; the others route connections or datagrams."""
        return self in (RouteKind.HTTP, RouteKind.GRPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference to another object."""

    group: str
    kind: str
    name: Name
    """Its namespace is filled in: the referrer's own where none was written."""
    port: int = 0
    """0 where none was written."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRef:
    """What a route wants to be attached to."""

    group: str
    kind: str
    name: Name
    section: str = ""
    port: int = 0
    namespace_given: bool = False
    origin: Origin = BUILT_IN

    @property
    def is_service(self) -> bool:
        """Whether it is about requests inside the mesh."""
        return self.group in ("", "core") and self.kind == "Service"

    def written(self) -> dict[str, object]:
        """As a status repeats it, the API's defaults filled in."""
        found: dict[str, object] = {"group": self.group, "kind": self.kind}
        if self.namespace_given:
            found["namespace"] = self.name.namespace
        found["name"] = self.name.name
        if self.section:
            found["sectionName"] = self.section
        if self.port:
            found["port"] = self.port
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    """A Kubernetes label selector: all parts must hold."""

    labels: Mapping[str, str] = EMPTY
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(key, operator, values)."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is meant."""
        if any(labels.get(key) != value for key, value in self.labels.items()):
            return False
        return all(_holds(labels.get(k), operator, values) for k, operator, values in self.expressions)


def _holds(value: str | None, operator: str, values: tuple[str, ...]) -> bool:
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacePolicy:
    """From which namespaces something may come."""

    source: str = "Same"
    """`Same`, `All`, `Selector` or `None`."""
    selector: LabelSelector = LabelSelector()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiListener:
    """One listener of a Gateway or ListenerSet as written."""

    name: str
    port: int
    protocol: str
    """`HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`, or a word that nobody knows."""
    hostname: str = ""
    """Lower case; empty for every host."""
    has_tls: bool = False
    passthrough: bool = False
    certificates: tuple[Reference, ...] = ()
    namespaces: NamespacePolicy = NamespacePolicy()
    kinds: tuple[tuple[str, str], ...] = ()
    """(group, kind) of routes; empty for those that the protocol takes."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientValidation:
    """Whose clients may come to TLS listeners."""

    authorities: tuple[Reference, ...]
    insecure_fallback: bool = False
    """Clients without a certificate, or with any other, may come too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiGateway:
    """One Gateway as written."""

    ref: ObjectRef
    name: Name
    class_name: str
    listeners: tuple[ApiListener, ...]
    addresses: tuple[tuple[str, str], ...] = ()
    """(type, value); an empty value asks for any address."""
    labels: Mapping[str, str] = EMPTY
    """Of its infrastructure."""
    annotations: Mapping[str, str] = EMPTY
    parameters: str = ""
    """`Kind name` of its infrastructure's parameters; there are none that we know."""
    validation: ClientValidation | None = None
    port_validations: tuple[tuple[int, ClientValidation | None], ...] = ()
    client_certificate: Reference | None = None
    """What the gateway shows to backends with TLS."""
    is_default: bool = False
    """Routes that ask for no Gateway in particular are its own (`defaultScope`)."""
    listener_sets: NamespacePolicy = NamespacePolicy(source="None")
    created: str = ""
    generation: int = 0
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSetObject:
    """One ListenerSet (or XListenerSet) as written."""

    ref: ObjectRef
    name: Name
    parent: ParentRef
    listeners: tuple[ApiListener, ...]
    created: str = ""
    generation: int = 0
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayClassObject:
    """One GatewayClass as written."""

    ref: ObjectRef
    controller: str
    parameters: str = ""
    """`Kind name`; empty for none."""
    created: str = ""
    generation: int = 0
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceGrantObject:
    """Who may refer to what in the grant's namespace."""

    ref: ObjectRef
    namespace: str
    sources: tuple[tuple[str, str, str], ...]
    """(group, kind, namespace)."""
    targets: tuple[tuple[str, str, str], ...]
    """(group, kind, name); an empty name is every object of the kind."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTlsPolicyObject:
    """TLS towards the backends of a Service."""

    ref: ObjectRef
    name: Name
    targets: tuple[tuple[Reference, str], ...]
    """(Service, section: a port's name or empty)."""
    hostname: str
    authorities: tuple[Reference, ...] = ()
    system_authorities: bool = False
    unknown_authorities: str = ""
    """Well-known ones of somebody else's: the Service is closed."""
    subject_alt_names: tuple[str, ...] = ()
    created: str = ""
    generation: int = 0
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTrafficPolicyObject:
    """How requests to Services are retried and kept together."""

    ref: ObjectRef
    name: Name
    targets: tuple[Reference, ...]
    retry_budget: RetryBudget | None = None
    persistence: SessionPersistence | None = None
    """Where a rule has none of its own."""
    created: str = ""
    generation: int = 0
    origin: Origin = BUILT_IN
