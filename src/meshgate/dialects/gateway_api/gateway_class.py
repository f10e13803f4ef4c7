"""GatewayClass: which controller's Gateways are of this class."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, fault
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, GatewayClassObject

_CONTROLLER = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def _controller(text: str) -> str:
    if not _CONTROLLER.fullmatch(text):
        raise fault("MG2004", "must be a name like example.com/controller")
    return text


class ParametersSpec(Spec):
    """`ParametersReference`."""

    group: str
    kind: str
    name: str
    namespace: str = ""


class GatewayClassSpec(Spec):
    controller_name: Annotated[str, AfterValidator(_controller)]
    parameters_ref: ParametersSpec | None = None
    description: str = ""


class GatewayClass(ObjectSpec):
    spec: GatewayClassSpec


def lower_gateway_class(document: Document) -> Lowered:
    """The class (MG2xxx)."""
    value, said = check(GatewayClass, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    parameters = value.spec.parameters_ref
    declared = GatewayClassObject(
        ref=document.ref,
        controller=value.spec.controller_name,
        parameters=f"{parameters.kind} {parameters.name}" if parameters else "",
        created=document.created,
        generation=document.generation,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(gateway_classes=(declared,)), diagnostics=tuple(said))


GATEWAY_CLASS = KindParser(
    group=GATEWAY_GROUP,
    kind="GatewayClass",
    versions=frozenset({"v1", "v1beta1", "v1alpha2"}),
    namespaced=False,
    lower=lower_gateway_class,
    plural="gatewayclasses",
    short_names=("gc",),
)
