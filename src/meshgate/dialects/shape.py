"""Which fields of a pydantic model hold models again: read once per model from its annotations."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A field that holds one model, a list of them or a map of them."""

    model: Any
    many: str | None
    """`list`, `map` or None for a single one."""


@cache
def shape_of(model: type[BaseModel]) -> Mapping[str, Child | None]:
    """Each field as it is written, with the model in it; None for plain values and real unions."""
    return {info.alias or name: _child(info.annotation) for name, info in model.model_fields.items()}


def _child(annotation: object) -> Child | None:
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        return _child(arguments[0])
    if origin in (Union, types.UnionType):
        members = [m for a in arguments if (m := _child(a)) is not None]
        return members[0] if len(members) == 1 else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Child(model=annotation, many=None)
    if isinstance(origin, type) and arguments:
        inner = _child(arguments[1] if issubclass(origin, Mapping) and len(arguments) > 1 else arguments[0])
        if inner is not None and inner.many is None:
            if issubclass(origin, Mapping):
                return Child(model=inner.model, many="map")
            if issubclass(origin, Sequence | frozenset | set):
                return Child(model=inner.model, many="list")
    return None
