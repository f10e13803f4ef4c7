"""Gateway: an address of its own, its listeners, and whose clients may come to them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.gateway_api.limits import Group, Kind, ObjectName, repeated
from meshgate.dialects.gateway_api.listeners import ListenerSpec, lower_listeners
from meshgate.dialects.gateway_api.references import NamespacesSpec, ObjectRefSpec, PortNumber
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import Annotations, Labels, ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, ApiGateway, ClientValidation, NamespacePolicy
from meshgate.model.names import Name
from meshgate.model.service import EMPTY


class AddressSpec(Spec):
    """`GatewaySpecAddress`."""

    type: Annotated[str, Field(min_length=1)] = "IPAddress"
    value: Annotated[str, Field(max_length=253)] = ""

    @model_validator(mode="after")
    def _is_of_its_type(self) -> Self:
        if self.type == "Hostname" and self.value and not is_dns_name(self.value.removeprefix("*.")):
            raise fault("MG2004", "must have a host name as its value, with the type Hostname")
        if self.type == "IPAddress" and self.value and not _is_address(self.value):
            raise fault("MG2004", "must have an IP address as its value, with the type IPAddress")
        return self


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _each_once(addresses: tuple[AddressSpec, ...]) -> tuple[AddressSpec, ...]:
    for kind in ("IPAddress", "Hostname"):
        if twice := repeated(a.value for a in addresses if a.type == kind and a.value):
            raise fault("MG2006", f"has {twice} twice")
    return addresses


def _each_port_once(ports: tuple[TlsPortSpec, ...]) -> tuple[TlsPortSpec, ...]:
    if twice := repeated(str(one.port) for one in ports):
        raise fault("MG2006", f"has the port {twice} twice")
    return ports


class ParametersSpec(Spec):
    """`LocalParametersReference`."""

    group: Group
    kind: Kind
    name: ObjectName


class InfrastructureSpec(Spec):
    """`GatewayInfrastructure`."""

    labels: Labels = EMPTY
    annotations: Annotations = EMPTY
    parameters_ref: ParametersSpec | None = None


class ValidationSpec(Spec):
    """`FrontendTLSValidation`."""

    ca_certificate_refs: Annotated[Items[ObjectRefSpec], Field(min_length=1, max_length=16)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"

    def lower(self, document: Document, path: FieldPath) -> ClientValidation:
        """Whose clients may come."""
        return ClientValidation(
            authorities=tuple(
                ref.lower(document, (*path, "caCertificateRefs", i))
                for i, ref in enumerate(self.ca_certificate_refs)
            ),
            insecure_fallback=self.mode == "AllowInsecureFallback",
        )


class TlsConfigSpec(Spec):
    """`TLSConfig`."""

    validation: ValidationSpec | None = None


class TlsPortSpec(Spec):
    """`TLSPortConfig`."""

    port: PortNumber
    tls: TlsConfigSpec


class FrontendSpec(Spec):
    """`FrontendTLSConfig`."""

    default: TlsConfigSpec
    per_port: Annotated[Items[TlsPortSpec], Field(max_length=64), AfterValidator(_each_port_once)] = ()


class BackendTlsSpec(Spec):
    """`GatewayBackendTLS`."""

    client_certificate_ref: ObjectRefSpec | None = None


class GatewayTlsSpec(Spec):
    """`GatewayTLSConfig`."""

    backend: BackendTlsSpec | None = None
    frontend: FrontendSpec | None = None


class AllowedListenersSpec(Spec):
    """`AllowedListeners`."""

    namespaces: NamespacesSpec | None = None


class GatewaySpec(Spec):
    """Fields of v1, standard and experimental."""

    gateway_class_name: ObjectName
    listeners: Annotated[Items[ListenerSpec], Field(min_length=1, max_length=64)]
    addresses: Annotated[Items[AddressSpec], Field(max_length=16), AfterValidator(_each_once)] = ()
    infrastructure: InfrastructureSpec = InfrastructureSpec()
    allowed_listeners: AllowedListenersSpec = AllowedListenersSpec()
    tls: GatewayTlsSpec = GatewayTlsSpec()
    default_scope: Literal["All", "None"] = "None"


class Gateway(ObjectSpec):
    spec: GatewaySpec


def lower_gateway(document: Document) -> Lowered:
    """The Gateway with its listeners (MG2xxx)."""
    value, said = check(Gateway, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    frontend = spec.tls.frontend
    path: FieldPath = ("spec", "tls", "frontend")
    default = frontend.default.validation if frontend else None
    parameters = spec.infrastructure.parameters_ref
    sets = spec.allowed_listeners.namespaces
    certificate = spec.tls.backend.client_certificate_ref if spec.tls.backend else None
    declared = ApiGateway(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        class_name=spec.gateway_class_name,
        listeners=lower_listeners(spec.listeners, document, said),
        addresses=tuple((a.type, a.value) for a in spec.addresses),
        labels=dict(sorted(spec.infrastructure.labels.items())),
        annotations=dict(sorted(spec.infrastructure.annotations.items())),
        parameters=f"{parameters.kind} {parameters.name}" if parameters else "",
        validation=default.lower(document, (*path, "default", "validation")) if default else None,
        port_validations=tuple(
            (p.port, v.lower(document, (*path, "perPort", i, "tls")) if (v := p.tls.validation) else None)
            for i, p in enumerate(frontend.per_port if frontend else ())
        ),
        client_certificate=(
            certificate.lower(document, ("spec", "tls", "backend", "clientCertificateRef"))
            if certificate
            else None
        ),
        is_default=spec.default_scope == "All",
        listener_sets=sets.lower("None") if sets else NamespacePolicy(source="None"),
        created=document.created,
        generation=document.generation,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(api_gateways=(declared,)), diagnostics=tuple(said))


GATEWAY = KindParser(
    group=GATEWAY_GROUP,
    kind="Gateway",
    versions=frozenset({"v1", "v1beta1", "v1alpha2"}),
    namespaced=True,
    lower=lower_gateway,
    plural="gateways",
    short_names=("gtw",),
)
