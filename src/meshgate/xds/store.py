"""The lazy, dependency-tracked cache of resources that all streams share.

Nothing is translated before a proxy asks for it, and nothing again before something that its
translation read has changed. Three kinds of answers are kept, each with what it read of the
model: the resource of a (type, name, scope), shared by all proxies of that scope; and per proxy
the names a wildcard gives and the scope of each name.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Generic, TypeVar

import structlog

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import BUILT_IN
from meshgate.xds.dependencies import WHOLE, Dependencies, Read, Reader, Tracked
from meshgate.xds.references import references
from meshgate.xds.resource import Resource, assemble, serialise
from meshgate.xds.translator import Translator
from meshgate.xds.types import short
from meshgate.xds.view import Entry, EntryKey, Given, Use, View

M = TypeVar("M")
R = TypeVar("R", bound=Reader)
P = TypeVar("P")
T = TypeVar("T")

INSTANCES: Final = "instances"
"""The facet that endpoint changes touch."""
IDLE_ENTRIES: Final = 4096
"""Translated resources kept though no open stream asks for them, e.g. while a proxy reconnects."""

_NONE: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType({})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring(Generic[M, R, P]):
    """What the store is made of and does not know itself."""

    translator: Translator[R, P]
    reader: Callable[[M], R]
    """Wraps a model so that what is read of it is recorded."""
    diff: Callable[[M, M], frozenset[Read]]
    """(facet, key) of every entry that differs, and (facet, "*") where a facet's keys do."""
    with_facet: Callable[[M, str, Mapping[str, object]], M]
    """The model with these entries in place of its own facet of that name."""


class Store(Generic[M, R, P]):
    """Resources of one model at its newest; hands each proxy a `View`. Not safe for threads."""

    def __init__(self, wiring: Wiring[M, R, P], model: M) -> None:
        self._wiring = wiring
        self._model = model
        self._overlays: dict[str, Mapping[str, object]] = {}
        self._dependencies = Dependencies()
        self._entries: dict[EntryKey, Entry[P]] = {}
        self._idle: OrderedDict[EntryKey, None] = OrderedDict()
        self._faults: dict[Tracked, Diagnostic] = {}
        self._interned: weakref.WeakValueDictionary[tuple[str, ...], Resource] = weakref.WeakValueDictionary()
        self.translations = 0
        """Calls of `Translator.translate` so far; for metrics, and to show that little is done twice."""

    def open(self, proxy: P) -> View[P]:
        """What `proxy` may know; close it when its stream ends."""
        return View(proxy, self)

    def close(self, view: View[P]) -> None:
        """Forget a view and what only it used."""
        view.clear()

    def update(self, model: M, facets: Mapping[str, Mapping[str, object]] = _NONE) -> frozenset[View[P]]:
        """Take a new model (configuration lane); gives the views that have something to look at.

        Costs no translation: each view translates what it needs when its `changes` are asked for.
        What came by the short lane is newer than the model's own and stays, but for `facets`.
        """
        self._overlays.update(facets)
        for facet, entries in self._overlays.items():
            model = self._wiring.with_facet(model, facet, entries)
        return self._replace(model, self._wiring.diff(self._model, model))

    def update_endpoints(self, instances: Mapping[str, object]) -> frozenset[View[P]]:
        """Take the newest endpoints, all of them, by key (short lane)."""
        return self.update_facet(INSTANCES, instances)

    def update_facet(self, facet: str, entries: Mapping[str, object]) -> frozenset[View[P]]:
        """Take the whole of one facet (short lane); only what read a changed key is touched.

        From now on `update` takes this facet from here and no longer from the model.
        """
        old = self._overlays.get(facet)
        self._overlays[facet] = entries
        model = self._wiring.with_facet(self._model, facet, entries)
        if old is None:
            changed = frozenset(r for r in self._wiring.diff(self._model, model) if r[0] == facet)
        else:
            keys = old.keys() | entries.keys()
            changed = frozenset((facet, key) for key in keys if old.get(key) != entries.get(key))
            if old.keys() != entries.keys():
                changed |= {(facet, WHOLE)}
        return self._replace(model, changed)

    def faults(self) -> tuple[Diagnostic, ...]:
        """MG9001 for every resource whose translation fails at present; its last good bytes are served."""
        return tuple(self._faults.values())

    def entry(self, view: View[P], use: Use[P]) -> Entry[P]:
        """The shared entry, translated if it is new or stale; `view` becomes one of its users."""
        key = (*use.key, use.scope)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(key)
        entry.users.add(view)
        self._idle.pop(key, None)
        if entry.stale:
            self.translations += 1
            label = self._label(*use.key)
            entry.resource = self._ask(entry, label, lambda r: self._make(r, use), entry.resource)
        return entry

    def leave(self, view: View[P], entry: Entry[P]) -> None:
        """`view` no longer uses the entry; the last to leave makes it idle, or drops it if worthless."""
        entry.users.discard(view)
        if entry.users or self._entries.get(entry.key) is not entry:
            return
        if entry.stale or entry.resource is None:
            self._drop(entry)
            return
        self._idle[entry.key] = None
        while len(self._idle) > IDLE_ENTRIES:
            self._drop(self._entries[next(iter(self._idle))])

    def names(self, given: Given[P]) -> frozenset[str]:
        """The names that a wildcard gives a view's proxy."""
        ask, proxy, type_url = self._wiring.translator.wildcard, given.view.proxy, given.type_url
        return self._ask(given, self._label(type_url, "*"), lambda r: ask(r, proxy, type_url), given.names)

    def scope(self, use: Use[P]) -> Hashable:
        """The scope in which a view's proxy sees a name."""
        ask, proxy = self._wiring.translator.scope, use.view.proxy
        return self._ask(use, self._label(*use.key), lambda r: ask(r, proxy, *use.key), use.scope)

    def forget(self, node: Tracked) -> None:
        """Nobody needs this answer any more."""
        self._dependencies.forget(node)
        self._faults.pop(node, None)

    def _ask(self, node: Tracked, label: str, question: Callable[[R], T], last: T) -> T:
        """Put a question to the translator and record what it read; a bug in it gives `last`."""
        reader = self._wiring.reader(self._model)
        try:
            answer = question(reader)
        except Exception as error:
            answer = last
            self._faults[node] = _fault(label, error)
        else:
            self._faults.pop(node, None)
        node.stale = False
        self._dependencies.record(node, reader.reads)
        return answer

    def _replace(self, model: M, changed: frozenset[Read]) -> frozenset[View[P]]:
        self._model = model
        touched: set[View[P]] = set()
        for node in self._dependencies.affected(changed):
            node.stale = True
            match node:
                case Entry():
                    for view in node.users:
                        view.touch(node.key[0], node.key[1])
                    touched |= node.users
                    if not node.users:
                        self._drop(node)
                case Use():
                    node.view.touch(*node.key)
                    touched.add(node.view)
                case Given():
                    node.view.touch_names(node.type_url)
                    touched.add(node.view)
        return frozenset(touched)

    def _make(self, reader: R, use: Use[P]) -> Resource | None:
        type_url, name = use.key
        translated = self._wiring.translator.translate(reader, use.view.proxy, type_url, name)
        if translated is None:
            return None
        body, version = serialise(translated.message)
        twin = self._interned.get((type_url, version))
        if twin is None:
            made = assemble(type_url, name, body, version, translated.aliases, references(translated.message))
            self._interned[(type_url, version)] = made
        else:
            made = assemble(type_url, name, twin.body, version, translated.aliases, twin.references)
        return self._interned.setdefault((type_url, name, made.version), made)

    def _drop(self, entry: Entry[P]) -> None:
        self._entries.pop(entry.key, None)
        self._idle.pop(entry.key, None)
        self.forget(entry)

    @staticmethod
    def _label(type_url: str, name: str) -> str:
        return f"{short(type_url)} {name}"


def _fault(label: str, error: Exception) -> Diagnostic:
    """Only the kind of the error and where it arose: its text may quote what must not be printed."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}" if frame else "?"
    kind = type(error).__name__
    _log.error("xds_translation_failed", resource=label, error=kind, place=place)
    return Diagnostic(
        severity=Severity.ERROR,
        code="MG9001",
        origin=BUILT_IN,
        message=f"{label}: {kind} in {place}; its last good state stays in force",
    )
