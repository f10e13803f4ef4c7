"""Objects that nobody has to write: namespaces, and the class of the Gateways that Meshgate serves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from meshgate.core.diagnostics import ObjectRef
from meshgate.dialects.document import Document, Json
from meshgate.model.gateway_api import CLASS, CONTROLLER, GATEWAY_GROUP
from meshgate.sources.kept import Identity
from meshgate.sources.stored import API, StoredObject

IMPLICIT_NAMESPACES = ("default", "istio-system", "kube-system", "meshgate-system")
"""They are there without being written."""

BUILT_IN_FILE = "<built-in>"
_CLASS_SPEC: Mapping[str, Json] = {
    "controllerName": CONTROLLER,
    "description": "Gateways that Meshgate serves",
}
BUILT_IN: Mapping[ObjectRef, tuple[str, Mapping[str, Json]]] = MappingProxyType(
    {
        **{ObjectRef("Namespace", "", name): ("v1", {}) for name in IMPLICIT_NAMESPACES},
        ObjectRef("GatewayClass", "", CLASS, GATEWAY_GROUP): (f"{GATEWAY_GROUP}/v1", {"spec": _CLASS_SPEC}),
    }
)
"""Their apiVersion and what stands beside their name."""


def built_in(ref: ObjectRef, created: str) -> StoredObject | None:
    """The object as if somebody had written it at that time; None where it is none of these."""
    if ref not in BUILT_IN:
        return None
    version, members = BUILT_IN[ref]
    data: dict[str, Json] = {"apiVersion": version, "kind": ref.kind, "metadata": {"name": ref.name}}
    data |= members
    document = Document(ref=ref, api_version=version, data=data, file=BUILT_IN_FILE, namespace_given=False)
    identity = Identity(created=created, generation=1, resource_version=1, content="", desired="")
    return StoredObject(ref=ref, document=document, source=API, identity=identity, changed_by_api=False)
