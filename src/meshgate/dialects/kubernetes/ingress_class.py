"""networking.k8s.io/v1 IngressClass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem
from meshgate.model.declared import Declared, IngressClass

_DEFAULT = "ingressclass.kubernetes.io/is-default-class"


class IngressClassDetails(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"parameters": "has no effect: the class has no settings"}

    controller: str = ""


class IngressClassSpec(ObjectSpec):
    spec: IngressClassDetails = IngressClassDetails()


def lower(document: Document) -> Lowered:
    """A class, its controller and whether it is the default one."""
    value, diagnostics = check(IngressClassSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    default = value.metadata.annotations.get(_DEFAULT, "false")
    if default not in ("true", "false"):
        diagnostics.append(
            problem(
                document,
                "MG2005",
                ("metadata", "annotations", _DEFAULT),
                f'must be "true" or "false", got {default!r}',
            )
        )
    lowered = IngressClass(
        name=document.ref.name,
        controller=value.spec.controller,
        default=default == "true",
        origin=document.locate(),
    )
    return Lowered(declared=Declared(ingress_classes=(lowered,)), diagnostics=tuple(diagnostics))


KIND = KindParser(
    group="networking.k8s.io",
    kind="IngressClass",
    versions=frozenset({"v1"}),
    namespaced=False,
    lower=lower,
    plural="ingressclasses",
)
