"""References to Kong's vaults, which nothing here resolves: the reference itself would be the value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Json

_REFERENCE = "{vault://"


def vault_references(value: Json, path: FieldPath = ()) -> Iterator[FieldPath]:
    """Where texts in a config refer to a vault."""
    if isinstance(value, str):
        if value.startswith(_REFERENCE):
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from vault_references(item, (*path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from vault_references(item, (*path, index))
