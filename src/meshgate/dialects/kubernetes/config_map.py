"""v1 ConfigMap."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import check, fault
from meshgate.model.declared import ConfigMapObject, Declared
from meshgate.model.names import Name
from meshgate.model.service import EMPTY

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def _data_key(key: str) -> str:
    if _KEY.fullmatch(key) is None or key in (".", ".."):
        raise fault("MG2004", "must be at most 253 letters, digits, '-', '_' and '.'")
    return key


def _base64(text: str) -> str:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise fault("MG2001", "must be base64") from None
    return text


DataKey = Annotated[str, AfterValidator(_data_key)]
"""A key of a ConfigMap or Secret."""
Base64 = Annotated[str, AfterValidator(_base64)]
"""Bytes as base64; white space does not count."""


class ConfigMapSpec(ObjectSpec):
    IGNORED: ClassVar[Mapping[str, str]] = {"immutable": "an edit takes effect all the same"}

    data: Mapping[DataKey, str] = EMPTY
    binary_data: Mapping[DataKey, Base64] = EMPTY


def lower(document: Document) -> Lowered:
    """Values by key; those of `binaryData` are for who wants bytes (descriptions of gRPC services)."""
    value, diagnostics = check(ConfigMapSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    name = Name(document.namespace, document.ref.name)
    binary = {key: base64.b64decode(text) for key, text in value.binary_data.items()}
    lowered = ConfigMapObject(name=name, data=value.data, binary=binary, origin=document.locate())
    return Lowered(declared=Declared(config_maps=(lowered,)), diagnostics=tuple(diagnostics))


KIND = KindParser(
    group="",
    kind="ConfigMap",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="configmaps",
    short_names=("cm",),
)
