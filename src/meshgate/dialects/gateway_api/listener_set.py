"""ListenerSet (and its experimental name XListenerSet): listeners that others add to a Gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.listeners import ListenerSpec, lower_listeners
from meshgate.dialects.gateway_api.references import ParentRefSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, XGATEWAY_GROUP, ListenerSetObject
from meshgate.model.names import Name


class ListenerSetSpec(Spec):
    parent_ref: ParentRefSpec
    listeners: Annotated[Items[ListenerSpec], Field(min_length=1, max_length=64)]


class ListenerSet(ObjectSpec):
    spec: ListenerSetSpec


def lower_listener_set(document: Document) -> Lowered:
    """The set with its listeners (MG2xxx)."""
    value, said = check(ListenerSet, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    declared = ListenerSetObject(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        parent=value.spec.parent_ref.lower(document, ("spec", "parentRef")),
        listeners=lower_listeners(value.spec.listeners, document, said),
        created=document.created,
        generation=document.generation,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(listener_sets=(declared,)), diagnostics=tuple(said))


LISTENER_SET = KindParser(
    group=GATEWAY_GROUP,
    kind="ListenerSet",
    versions=frozenset({"v1", "v1alpha1"}),
    namespaced=True,
    lower=lower_listener_set,
    plural="listenersets",
    short_names=("lset",),
)
X_LISTENER_SET = KindParser(
    group=XGATEWAY_GROUP,
    kind="XListenerSet",
    versions=frozenset({"v1alpha1"}),
    namespaced=True,
    lower=lower_listener_set,
    plural="xlistenersets",
)
