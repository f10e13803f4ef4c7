"""A verdict as JSON data: stable names, for programs and for the command line."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import cast

from meshgate.simulate.verdict import Verdict


def as_json(verdict: Verdict) -> dict[str, object]:
    """Fields by their names; places are objects of file, line and column; nothing is left out."""
    return cast("dict[str, object]", _plain(verdict))


def _plain(value: object) -> object:
    match value:
        case enum.Enum():
            return value.value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple():
            return [_plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        case _:
            return value
