"""What one proxy may know: a `Catalog` over the shared store."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, Protocol, TypeVar

from meshgate.xds.dependencies import Tracked
from meshgate.xds.resource import Resource

P = TypeVar("P")

EntryKey = tuple[str, str, Hashable]
"""(type URL, name, scope)."""


class Entry(Tracked, Generic[P]):
    """One translated resource and the views that use it."""

    __slots__ = ("key", "resource", "users")

    def __init__(self, key: EntryKey) -> None:
        super().__init__()
        self.key = key
        self.resource: Resource | None = None
        self.users: set[View[P]] = set()


class Given(Tracked, Generic[P]):
    """The names of one type that a wildcard gives one view."""

    __slots__ = ("names", "type_url", "view")

    def __init__(self, view: View[P], type_url: str) -> None:
        super().__init__()
        self.view = view
        self.type_url = type_url
        self.names: frozenset[str] = frozenset()


class Use(Tracked, Generic[P]):
    """One name that a view asked for: its scope and the entry behind it."""

    __slots__ = ("entry", "key", "scope", "seen", "version", "view")

    def __init__(self, view: View[P], key: tuple[str, str]) -> None:
        super().__init__()
        self.view = view
        self.key = key
        self.scope: Hashable = None
        self.entry: Entry[P] | None = None
        self.seen = False
        self.version: str | None = None
        """What was last reported; meaningless until `seen`."""


class Source(Protocol[P]):
    """The part of the store that a view uses."""

    def entry(self, view: View[P], use: Use[P]) -> Entry[P]:
        """The shared entry of a name in its scope, translated if it is new or stale."""
        ...

    def leave(self, view: View[P], entry: Entry[P]) -> None:
        """`view` no longer uses the entry."""
        ...

    def names(self, given: Given[P]) -> frozenset[str]:
        """The names that a wildcard gives at present."""
        ...

    def scope(self, use: Use[P]) -> Hashable:
        """The scope in which the view's proxy sees a name at present."""
        ...

    def forget(self, node: Tracked) -> None:
        """Nobody needs this answer any more."""
        ...


class View(Generic[P]):
    """The resources of one proxy at their newest; it remembers what was asked so as to report changes."""

    def __init__(self, proxy: P, source: Source[P]) -> None:
        self.proxy = proxy
        self._source = source
        self._uses: dict[tuple[str, str], Use[P]] = {}
        self._given: dict[str, Given[P]] = {}
        self._touched: set[tuple[str, str]] = set()
        self._touched_types: set[str] = set()

    def wildcard(self, type_url: str) -> frozenset[str]:
        """The names that a wildcard subscription gives."""
        given = self._given.get(type_url)
        if given is None:
            given = self._given[type_url] = Given(self, type_url)
        if given.stale:
            given.names = self._source.names(given)
        return given.names

    def get(self, type_url: str, name: str) -> Resource | None:
        """The resource, translated now if it is new or stale."""
        key = (type_url, name)
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = Use(self, key)
        resource = self._look(use)
        version = resource.version if resource else None
        if not use.seen:
            use.seen, use.version = True, version
        elif use.version != version:
            # Whoever asks may do so in passing; the change is still reported by `changes`.
            self._touched.add(key)
        return resource

    def release(self, type_url: str, name: str) -> None:
        """The proxy no longer asks for this name."""
        self._touched.discard((type_url, name))
        if use := self._uses.pop((type_url, name), None):
            self._source.forget(use)
            if use.entry is not None:
                self._source.leave(self, use.entry)

    def touch(self, type_url: str, name: str) -> None:
        """What is behind a name is stale."""
        self._touched.add((type_url, name))

    def touch_names(self, type_url: str) -> None:
        """What the wildcard of a type gives is stale."""
        self._touched_types.add(type_url)

    def is_touched(self) -> bool:
        """Whether `changes` has something to look at."""
        return bool(self._touched or self._touched_types)

    def changes(self) -> Mapping[str, frozenset[str]]:
        """What really changed since it was last asked for, by type; translates what it must to know.

        A type may stand there with no names where its wildcard has to be asked again.
        """
        types, self._touched_types = self._touched_types, set()
        keys, self._touched = self._touched, set()
        changed: dict[str, set[str]] = {type_url: set() for type_url in types}
        for key in keys:
            use = self._uses.get(key)
            if use is None:
                continue
            resource = self._look(use)
            version = resource.version if resource else None
            if use.version != version:
                use.version = version
                changed.setdefault(key[0], set()).add(key[1])
        return {type_url: frozenset(names) for type_url, names in changed.items()}

    def clear(self) -> None:
        """Let go of everything; the view is of no use afterwards."""
        for type_url, name in list(self._uses):
            self.release(type_url, name)
        for given in self._given.values():
            self._source.forget(given)
        self._given.clear()

    def _look(self, use: Use[P]) -> Resource | None:
        if use.stale:
            use.scope = self._source.scope(use)
        if use.entry is None or use.entry.stale or use.entry.key[2] != use.scope:
            entry = self._source.entry(self, use)
            if use.entry is not None and use.entry is not entry:
                self._source.leave(self, use.entry)
            use.entry = entry
        return use.entry.resource
