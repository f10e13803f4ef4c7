"""Gateway: an address of its own, its listeners, and whose clients may come to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.listeners import ListenerSpec, lower_listeners
from meshgate.dialects.gateway_api.references import NamespacesSpec, ObjectRefSpec, PortNumber
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import Annotations, Labels, ObjectSpec
from meshgate.dialects.schema import Items, Spec, check
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, ApiGateway, ClientValidation, NamespacePolicy
from meshgate.model.names import Name
from meshgate.model.service import EMPTY


class AddressSpec(Spec):
    """`GatewaySpecAddress`."""

    type: Annotated[str, Field(min_length=1)] = "IPAddress"
    value: str = ""


class ParametersSpec(Spec):
    """`LocalParametersReference`."""

    group: str
    kind: str
    name: str


class InfrastructureSpec(Spec):
    """`GatewayInfrastructure`."""

    labels: Labels = EMPTY
    annotations: Annotations = EMPTY
    parameters_ref: ParametersSpec | None = None


class ValidationSpec(Spec):
    """`FrontendTLSValidation`."""

    ca_certificate_refs: Annotated[Items[ObjectRefSpec], Field(min_length=1)]
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
    per_port: Items[TlsPortSpec] = ()


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

    gateway_class_name: Annotated[str, Field(min_length=1)]
    listeners: Items[ListenerSpec] = ()
    addresses: Items[AddressSpec] = ()
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
