"""Events of one YAML document to plain data, with limits and without recursion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import yaml
from yaml._yaml import CParser

from meshgate.dialects.scalars import BadScalar, plain_scalar

MAX_DEPTH = 100
"""Levels of lists and mappings."""
MAX_NODES = 500_000
"""Values in one document (a List of some 15,000 objects)."""
MAX_EXPANDED = 20_000
"""Values that aliases and merges may add to one document."""
MAX_SCALAR = 1_572_864
"""Characters of one value: Kubernetes' limit for a whole object, 1.5 MiB."""
MAX_KEY = 1024
MAX_PROBLEMS = 20

Mark: TypeAlias = "yaml.Mark | yaml._yaml.Mark"
Data: TypeAlias = "bool | int | float | str | list[Data] | dict[str, Data] | None"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a document that can still be read; position from 0, in the document."""

    code: str
    line: int
    column: int
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """One document."""

    data: Data
    problems: tuple[Problem, ...]
    start: Mark
    end: int
    """Index in the text where it ends."""
    root: tuple[int, int]
    """Line and column of the root value from 0, the line counted from `start`."""


class ComposeError(Exception):
    """The rest of the document cannot be read."""

    def __init__(self, code: str, mark: Mark, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code, self.mark, self.remedy = code, mark, remedy


def _start(event: yaml.Event) -> Mark:
    assert event.start_mark is not None  # libyaml always gives one
    return event.start_mark


def _end(event: yaml.Event) -> Mark:
    assert event.end_mark is not None
    return event.end_mark


class Composer:
    """Makes data of a parser's events, document by document."""

    def __init__(self, parser: CParser) -> None:
        self._event = parser.get_event

    def next_document(self) -> Composed | None:
        """The next document; None at the end. Raises `ComposeError` and yaml.YAMLError."""
        event = self._event()
        while not isinstance(event, yaml.DocumentStartEvent):
            if isinstance(event, yaml.StreamEndEvent):
                return None
            event = self._event()
        start = _start(event)
        body = _Body(start.line)
        data = body.read(self._event)
        end = self._event()
        while not isinstance(end, yaml.DocumentEndEvent):
            end = self._event()
        return Composed(
            data=data,
            problems=tuple(body.problems),
            start=start,
            end=_end(end).index,
            root=body.root or (0, 0),
        )


@dataclass(frozen=True, slots=True)
class _Anchor:
    value: Data
    size: int
    height: int
    """Levels of containers in it."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping whose end was not read yet."""

    container: list[Data] | dict[str, Data]
    anchor: str | None
    nodes_before: int
    key: str | None = None
    """The key whose value comes next; None where a key comes next (or in a list)."""
    height: int = 1
    merges: list[Data] | None = None


class _Body:
    """The state of one document while it is read."""

    def __init__(self, first_line: int) -> None:
        self.problems: list[Problem] = []
        self._first_line = first_line
        self._nodes = 0
        self._expanded = 0
        self._anchors: dict[str, _Anchor] = {}
        self._open_anchors: set[str] = set()
        self._stack: list[_Frame] = []
        self.root: tuple[int, int] | None = None

    def read(self, next_event: object) -> Data:
        """Reads the root node to its end."""
        assert callable(next_event)
        stack = self._stack
        while True:
            event = next_event()
            kind = type(event)
            height = 0
            value: Data
            if kind is yaml.ScalarEvent:
                value = self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, {} if kind is yaml.MappingStartEvent else [])
                continue
            elif kind is yaml.AliasEvent:
                value, height = self._alias(event)
            else:
                value, height = self._close()
            if not stack:
                return value
            frame = stack[-1]
            if height >= frame.height:
                frame.height = height + 1
            container = frame.container
            if type(container) is list:
                container.append(value)
            elif frame.key is None:
                frame.key = self._key(event, value, frame)
            else:
                self._put(frame, frame.key, value, event)
                frame.key = None

    def _count(self, event: yaml.NodeEvent) -> None:
        self._nodes += 1
        if self.root is None:
            mark = _start(event)
            self.root = mark.line - self._first_line, mark.column
        if self._nodes > MAX_NODES:
            raise ComposeError("MG1002", _start(event), f"more than {MAX_NODES} values", "split the document")
        if getattr(event, "tag", None) is not None:
            self._problem("MG1001", event, "tags (`!`) are not supported", "quote text instead")

    def _scalar(self, event: yaml.ScalarEvent) -> Data:
        self._count(event)
        text: str = event.value
        if len(text) > MAX_SCALAR:
            raise ComposeError(
                "MG1002", _start(event), f"a value of more than {MAX_SCALAR} characters", "shorten it"
            )
        value: Data = text
        if event.implicit[0]:
            try:
                value = plain_scalar(text)
            except BadScalar as error:
                self._problem("MG2002", event, str(error), "put it in quotes if it is text")
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, 1, 0)
        return value

    def _open(self, event: yaml.CollectionStartEvent, container: list[Data] | dict[str, Data]) -> None:
        self._count(event)
        if len(self._stack) >= MAX_DEPTH:
            raise ComposeError("MG1002", _start(event), f"more than {MAX_DEPTH} levels deep", "use fewer")
        if event.anchor:
            self._open_anchors.add(event.anchor)
        self._stack.append(_Frame(container, event.anchor, self._nodes))

    def _close(self) -> tuple[Data, int]:
        frame = self._stack.pop()
        value = frame.container
        if frame.merges is not None and isinstance(value, dict):
            for merged in frame.merges:
                if isinstance(merged, dict):
                    for key, inner in merged.items():
                        value.setdefault(key, inner)
        if frame.anchor:
            self._open_anchors.discard(frame.anchor)
            size = self._nodes - frame.nodes_before + 1
            self._anchors[frame.anchor] = _Anchor(value, size, frame.height)
        return value, frame.height

    def _alias(self, event: yaml.AliasEvent) -> tuple[Data, int]:
        name = event.anchor or ""
        if name in self._open_anchors:
            raise ComposeError(
                "MG1001", _start(event), f"the alias *{name[:40]} stands inside itself", "write it out"
            )
        anchor = self._anchors.get(name)
        quote = "put text that begins with * in quotes"
        if anchor is None:
            raise ComposeError(
                "MG1001", _start(event), f"the alias *{name[:40]} has no anchor before it", quote
            )
        self._nodes += anchor.size
        self._expanded += anchor.size
        if self._expanded > MAX_EXPANDED:
            raise ComposeError(
                "MG1002",
                _start(event),
                f"aliases expand to more than {MAX_EXPANDED} values",
                "write them out",
            )
        if len(self._stack) + anchor.height > MAX_DEPTH:
            raise ComposeError("MG1002", _start(event), f"more than {MAX_DEPTH} levels deep", "use fewer")
        return anchor.value, anchor.height

    def _key(self, event: yaml.Event, value: Data, frame: _Frame) -> str:
        if isinstance(event, yaml.ScalarEvent):
            if isinstance(value, int):
                # `8080:` and `true:` become text, as kubectl makes JSON of them.
                value = str(value).lower()
            if isinstance(value, str):
                if len(value) > MAX_KEY:
                    raise ComposeError(
                        "MG1002", _start(event), f"a key of more than {MAX_KEY} characters", "shorten it"
                    )
                if value in frame.container:
                    self._problem(
                        "MG1004", event, f"the key {value[:80]!r} is there twice", "keep one of them"
                    )
                return value
            # `1.5:` or `null:` as a key: JSON has text keys only. Kept as written to be named.
            self._problem("MG2001", event, f"the key {event.value[:40]} must be text", "put it in quotes")
            return event.value
        if isinstance(value, str):
            return value  # an alias of text
        self._problem(
            "MG2001", event, "a key must be text, not a list, an object or a number", "write NAME: VALUE"
        )
        return f"?{len(frame.container)}"

    def _put(self, frame: _Frame, key: str, value: Data, event: yaml.Event) -> None:
        container = frame.container
        assert isinstance(container, dict)
        if key == "<<":
            brought = value if isinstance(value, list) else [value]
            if not all(isinstance(one, dict) for one in brought):
                self._problem(
                    "MG2001", event, "`<<` takes a mapping or a list of mappings", "name one by *ANCHOR"
                )
            frame.merges = frame.merges or []
            frame.merges.extend(brought)
        else:
            container.setdefault(key, value)

    def _problem(self, code: str, event: yaml.Event, message: str, remedy: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            mark = _start(event)
            self.problems.append(Problem(code, mark.line - self._first_line, mark.column, message, remedy))
