"""Frozen dataclasses as JSON and back, for files between processes of ours.

Every dataclass and enum is written with its name, and only names that can be reached from
the wanted type are read again, so that a file never makes anything else. Secrets are written in
the clear: whoever stores the text keeps it readable by the owner only (mode 0600).
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret

T = TypeVar("T")
_KIND, _SECRET, _ENUM, _MAP, _SET, _PATH = "!", "!secret", "!enum", "!map", "!set", "!path"


class MalformedError(ValueError):
    """The text is not what `dump` writes; the message names a type or a field, never a value."""


def dump(value: object) -> str:
    """`value` as text that does not depend on anything else; origins are left out."""
    return json.dumps(_written(value), sort_keys=True, separators=(",", ":"))


def load(wanted: type[T], text: bytes | str) -> T:
    """The value that `dump` wrote. Raises `MalformedError`."""
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON") from error
    found = _read(written, {kind.__name__: kind for kind in _reachable(wanted)})
    if not isinstance(found, wanted):
        raise MalformedError(f"not a {wanted.__name__}")
    return found


def _written(value: object) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Secret():
            return {_SECRET: base64.b64encode(value.reveal()).decode()}
        case Path():
            return {_PATH: str(value)}
        case enum.Enum():
            return {_ENUM: [type(value).__name__, value.name]}
        case Mapping():
            return {_MAP: sorted(([key, _written(item)] for key, item in value.items()), key=repr)}
        case frozenset():
            return {_SET: sorted(map(_written, value), key=repr)}
        case tuple() | list():
            return [_written(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: _written(item)
            for f in dataclasses.fields(value)
            if not isinstance(item := getattr(value, f.name), Origin)
        }
        return {_KIND: type(value).__name__, **fields}
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _read(written: Any, known: Mapping[str, type]) -> Any:
    if isinstance(written, list):
        return tuple(_read(item, known) for item in written)
    if not isinstance(written, dict):
        return written
    match written:
        case {"!secret": str(text)}:
            return Secret(base64.b64decode(text))
        case {"!path": str(text)}:
            return Path(text)
        case {"!enum": [str(name), str(member)]}:
            kind = known.get(name)
            if kind is None or not issubclass(kind, enum.Enum) or member not in kind.__members__:
                raise MalformedError(f"{name} is no such enumeration")
            return kind[member]
        case {"!map": list(pairs)}:
            return MappingProxyType({key: _read(item, known) for key, item in pairs})
        case {"!set": list(items)}:
            return frozenset(_read(item, known) for item in items)
        case {"!": str(name), **fields}:
            return _made(name, {key: _read(item, known) for key, item in fields.items()}, known)
    raise MalformedError("an object without a kind")


def _made(name: str, fields: dict[str, Any], known: Mapping[str, type]) -> Any:
    kind = known.get(name)
    if kind is None or not dataclasses.is_dataclass(kind):
        raise MalformedError(f"{name} is no kind that belongs here")
    try:
        return kind(**fields)
    except TypeError as error:
        raise MalformedError(f"the fields of {name} do not fit") from error


def _reachable(kind: object, seen: set[object] | None = None) -> Iterator[type]:
    """Every dataclass and enum that a value of that type may hold."""
    seen = set() if seen is None else seen
    if kind in seen or kind in (Origin, Secret, type(BUILT_IN)):
        return
    seen.add(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield kind
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield kind
        for hint in typing.get_type_hints(kind).values():
            yield from _reachable(hint, seen)
    for part in typing.get_args(kind):
        yield from _reachable(part, seen)
