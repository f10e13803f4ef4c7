"""Dataclasses as JSON and back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.core.typed_json import MalformedError, dump, load


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    colour: Colour = Colour.RED
    key: Secret | None = None
    origin: Origin = BUILT_IN


@dataclass(frozen=True, kw_only=True)
class Tree:
    leaves: Mapping[str, tuple[Leaf, ...]] = field(default_factory=lambda: MappingProxyType({}))
    names: frozenset[str] = frozenset()
    ratio: float = 0.5
    on: bool = False
    place: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Stranger:
    name: str = ""


WHOLE = Tree(
    leaves={"a": (Leaf(key=Secret(b"\xff\x00")), Leaf())},
    names=frozenset({"y", "x"}),
    ratio=0.25,
    on=True,
    place=Path("/a/b"),
)


def test_what_is_written_is_read() -> None:
    assert load(Tree, dump(WHOLE)) == WHOLE


def test_where_it_was_written_does_not_count() -> None:
    there = Leaf(origin=Origin("in.yaml", 3, 1))
    assert dump(there) == dump(Leaf())


def test_the_text_does_not_depend_on_any_order() -> None:
    assert dump({"b": 1, "a": frozenset({"2", "1"})}) == dump({"a": frozenset({"1", "2"}), "b": 1})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "1",
        dump(Stranger()),
        dump(Tree(leaves={"a": (Stranger(),)})),  # type: ignore[dict-item]
        '{"!": "Tree", "other": 1}',
        '{"!": "Leaf", "colour": {"!enum": ["Colour", "BLUE"]}}',
        '{"!": "Leaf", "colour": {"!enum": ["Tree", "x"]}}',
        '{"leaves": 1}',
    ],
)
def test_what_dump_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        load(Tree, text)
