"""ReferenceGrant: who may refer to what in the grant's namespace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.references import NamespaceName
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, ReferenceGrantObject


class FromSpec(Spec):
    group: str
    kind: str
    namespace: NamespaceName


class ToSpec(Spec):
    group: str
    kind: str
    name: str = ""


class ReferenceGrantSpec(Spec):
    from_: Annotated[Items[FromSpec], Field(min_length=1, alias="from")]
    to: Annotated[Items[ToSpec], Field(min_length=1)]


class ReferenceGrant(ObjectSpec):
    spec: ReferenceGrantSpec


def lower_reference_grant(document: Document) -> Lowered:
    """The grant (MG2xxx)."""
    value, said = check(ReferenceGrant, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    declared = ReferenceGrantObject(
        ref=document.ref,
        namespace=document.namespace,
        sources=tuple((f.group, f.kind, f.namespace) for f in value.spec.from_),
        targets=tuple(("" if t.group == "core" else t.group, t.kind, t.name) for t in value.spec.to),
        origin=document.locate(),
    )
    return Lowered(declared=Declared(reference_grants=(declared,)), diagnostics=tuple(said))


REFERENCE_GRANT = KindParser(
    group=GATEWAY_GROUP,
    kind="ReferenceGrant",
    versions=frozenset({"v1", "v1beta1", "v1alpha2"}),
    namespaced=True,
    lower=lower_reference_grant,
    plural="referencegrants",
    short_names=("refgrant",),
)
