"""v1 Secret: values are hidden from the first step on and never shown."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from meshgate.core.secret import Secret
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.config_map import DataKey
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import SecretText, check, fault
from meshgate.model.declared import Declared, SecretObject
from meshgate.model.names import Name

_NOTHING: Mapping[str, Secret] = {}


def _decoded(value: object) -> Secret:
    if isinstance(value, str):
        try:
            # Line breaks are allowed, as Go's decoder allows them.
            return Secret(base64.b64decode("".join(value.split()), validate=True))
        except (binascii.Error, ValueError):
            pass
    raise fault("MG2002", "must be base64 (the value is not shown)", "plain text goes under stringData")


Base64Text = Annotated[Secret, BeforeValidator(_decoded)]


class SecretSpec(ObjectSpec):
    IGNORED: ClassVar[Mapping[str, str]] = {"immutable": "an edit takes effect all the same"}
    HIDE_VALUES: ClassVar[bool] = True

    type: str = "Opaque"
    data: Mapping[DataKey, Base64Text] = _NOTHING
    string_data: Mapping[DataKey, SecretText] = _NOTHING


def lower(document: Document) -> Lowered:
    """Values by key; `stringData` wins over `data`, as in Kubernetes."""
    value, diagnostics = check(SecretSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    lowered = SecretObject(
        name=Name(document.namespace, document.ref.name),
        type=value.type,
        labels=value.metadata.labels,
        data={**value.data, **value.string_data},
        origin=document.locate(),
    )
    return Lowered(declared=Declared(secrets=(lowered,)), diagnostics=tuple(diagnostics))


KIND = KindParser(
    group="",
    kind="Secret",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="secrets",
)
