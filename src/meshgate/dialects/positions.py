"""Positions of fields, found by reading a document's events again, only when one is asked for.

Reading stays fast and small because no position is kept beside the data. The tree of the
last few documents is remembered, since diagnostics of one document come together.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import lru_cache

import yaml
from yaml._yaml import CParser

from meshgate.core.origin import FieldPath


@dataclass(slots=True)
class _Mark:
    """The place of a node (line and column from 0) and its children by key or index."""

    line: int
    column: int
    children: dict[str | int, _Mark] = field(default_factory=dict)
    keys: dict[str | int, tuple[int, int]] = field(default_factory=dict)
    merged: list[_Mark] = field(default_factory=list)
    """What `<<` brings in."""
    target: _Mark | None = None
    """For an alias: the node it stands for."""


def locate_in_text(text: str, path: FieldPath, *, key: bool = False) -> tuple[int, int]:
    """(line, column) from 0 of the value at `path`, or of its key; of the nearest parent if missing."""
    mark = _tree(text)
    last = len(path) - 1
    for i, part in enumerate(path):
        owner, child = _child(mark, part)
        if child is None:
            break
        if key and i == last and part in owner.keys:
            return owner.keys[part]
        mark = child
    return mark.line, mark.column


def _child(mark: _Mark, part: str | int) -> tuple[_Mark, _Mark | None]:
    """The child and the node that holds it, through aliases and merges."""
    pending = [mark]
    for _ in range(1000):  # a bound: merges may share what they bring in
        if not pending:
            break
        node = pending.pop(0)
        node = node.target or node
        if part in node.children:
            return node, node.children[part]
        pending.extend(node.merged)
    return mark, None


@lru_cache(maxsize=8)
def _tree(text: str) -> _Mark:
    """The marks of the first document of `text`; what was read before an error counts."""
    root = _Mark(0, 0)
    with contextlib.suppress(yaml.YAMLError, UnicodeError):  # the reader of the document has said so
        _read(CParser(text), root)
    return root


def _read(parser: CParser, root: _Mark) -> None:
    anchors: dict[str, _Mark] = {}
    stack: list[tuple[_Mark, bool, bool]] = []
    current: _Mark | None = None
    in_mapping = False
    key: str | None = None
    key_at = (0, 0)
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is yaml.DocumentEndEvent or kind is yaml.StreamEndEvent:
            return
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            current, in_mapping, was_key = stack.pop()
            key = "" if was_key else None
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        start = event.start_mark
        assert start is not None  # libyaml always gives one
        if in_mapping and key is None and isinstance(event, yaml.ScalarEvent):
            key, key_at = event.value, (start.line, start.column)
            continue
        is_key = in_mapping and key is None  # an alias or container as a key: nobody asks for it
        mark = _Mark(start.line, start.column) if current is not None else root
        mark.line, mark.column = start.line, start.column
        if isinstance(event, yaml.AliasEvent):
            mark.target = anchors.get(event.anchor or "")
        elif event.anchor:
            anchors[event.anchor] = mark
        if current is not None:
            if not in_mapping:
                current.children[len(current.children)] = mark
            elif key == "<<":
                current.merged.append(mark)
            elif key:
                current.children.setdefault(key, mark)
                current.keys.setdefault(key, key_at)
        if kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            stack.append((current or root, in_mapping, is_key))
            current, in_mapping, key = mark, kind is yaml.MappingStartEvent, None
        else:
            key = "" if is_key else None
            if current is None:
                return
