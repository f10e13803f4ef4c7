"""Who read what: the index from parts of the model to the answers that depend on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Protocol

Read = tuple[str, str]
"""(facet, key) of the model; the key `*` stands for which keys the facet has."""

WHOLE: Final = "*"


class Reader(Protocol):
    """A model that remembers what was read of it."""

    @property
    def reads(self) -> Collection[Read]:
        """All that was read so far, also what was looked for and not there."""
        ...


class Tracked:
    """An answer that was worked out from the model; stale until it is first worked out."""

    __slots__ = ("reads", "stale")

    def __init__(self) -> None:
        self.reads: frozenset[Read] = frozenset()
        self.stale = True


class Dependencies:
    """The index; holds a node from its first `record` until `forget`."""

    def __init__(self) -> None:
        self._readers: dict[Read, set[Tracked]] = {}

    def record(self, node: Tracked, reads: Iterable[Read]) -> None:
        """Replace what `node` depends on."""
        fresh = frozenset(reads)
        if fresh == node.reads:
            return
        self.forget(node)
        node.reads = fresh
        for read in fresh:
            self._readers.setdefault(read, set()).add(node)

    def forget(self, node: Tracked) -> None:
        """`node` depends on nothing any more."""
        for read in node.reads:
            if (nodes := self._readers.get(read)) is not None:
                nodes.discard(node)
                if not nodes:
                    del self._readers[read]
        node.reads = frozenset()

    def affected(self, changed: Iterable[Read]) -> set[Tracked]:
        """The nodes that a change of these parts may have made wrong: those that read one of them."""
        return set[Tracked]().union(*(self._readers.get(read, ()) for read in changed))
