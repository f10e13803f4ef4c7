"""Positions of fields, found by reading a document's events again, only when one is asked for.

Reading stays fast and small because no position is kept beside the data. The tree of the
last few documents is remembered, since diagnostics of one document come together.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache

import yaml
from yaml._yaml import CParser

from meshgate.core.origin import FieldPath


@dataclass(slots=True)
class _Mark:
    """The place of a node (line and column from 0) and its children by key or index."""

    line: int
    column: int
    children: dict[str | int, _Mark] | None = None
    """None for scalars, which are most."""
    keys: dict[str | int, tuple[int, int]] | None = None
    merged: list[_Mark] | None = None
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
        if key and i == last and owner.keys and part in owner.keys:
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
        if node.children and part in node.children:
            return node, node.children[part]
        pending.extend(node.merged or ())
    return mark, None


@lru_cache(maxsize=8)
def _tree(text: str) -> _Mark:
    """The marks of the first document of `text`; what was read before an error counts."""
    reader = _Reader()
    with contextlib.suppress(yaml.YAMLError, UnicodeError):  # the reader of the document has said so
        reader.read(CParser(text))
    return reader.root


class _Reader:
    def __init__(self) -> None:
        self.root = _Mark(0, 0)
        self._anchors: dict[str, _Mark] = {}
        self._stack: list[tuple[_Mark, bool, bool]] = []
        """The containers around the current one: (mark, is a mapping, the current one is a key)."""
        self._current: _Mark | None = None
        self._in_mapping = False
        self._key: str | None = None
        """The key whose value comes next; None where a key comes next, empty for an odd one."""
        self._key_at = (0, 0)

    def read(self, parser: CParser) -> None:
        while True:
            event = parser.get_event()
            kind = type(event)
            if kind is yaml.DocumentEndEvent or kind is yaml.StreamEndEvent:
                return
            if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._current, self._in_mapping, was_key = self._stack.pop()
                self._key = "" if was_key else None
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)

    def _node(self, event: yaml.NodeEvent) -> None:
        start = event.start_mark
        assert start is not None  # libyaml always gives one
        is_key = self._in_mapping and self._key is None
        if is_key and isinstance(event, yaml.ScalarEvent):
            self._key, self._key_at = event.value, (start.line, start.column)
            return
        mark = _Mark(start.line, start.column) if self._current is not None else self.root
        mark.line, mark.column = start.line, start.column
        if isinstance(event, yaml.AliasEvent):
            mark.target = self._anchors.get(event.anchor or "")
        elif event.anchor:
            self._anchors[event.anchor] = mark
        if self._current is not None:
            self._attach(self._current, mark)
        if isinstance(event, yaml.CollectionStartEvent):
            mark.children = {}
            self._stack.append((self._current or self.root, self._in_mapping, is_key))
            self._current, self._in_mapping = mark, isinstance(event, yaml.MappingStartEvent)
            self._key = None
        else:
            self._key = "" if is_key else None

    def _attach(self, parent: _Mark, mark: _Mark) -> None:
        assert parent.children is not None
        if not self._in_mapping:
            parent.children[len(parent.children)] = mark
        elif self._key == "<<":
            parent.merged = parent.merged or []
            parent.merged.append(mark)
        elif self._key:
            if parent.keys is None:
                parent.keys = {}
            parent.children.setdefault(self._key, mark)
            parent.keys.setdefault(self._key, self._key_at)
