"""v1 ConfigMap."""

from __future__ import annotations

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


DataKey = Annotated[str, AfterValidator(_data_key)]
"""A key of a ConfigMap or Secret."""


class ConfigMapSpec(ObjectSpec):
    IGNORED: ClassVar[Mapping[str, str]] = {"immutable": "an edit takes effect all the same"}
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "binaryData": "has no effect: only text can become an environment variable"
    }

    data: Mapping[DataKey, str] = EMPTY


def lower(document: Document) -> Lowered:
    """Text values by key."""
    value, diagnostics = check(ConfigMapSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    name = Name(document.namespace, document.ref.name)
    lowered = ConfigMapObject(name=name, data=value.data, origin=document.locate())
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
