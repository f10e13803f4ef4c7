"""Every object there is, kept the way an API server would: a small kube-apiserver in memory.

Files and the API write here; the pipeline reads `documents()`. A broken edit never takes
away what worked: the last good version stays, and `problems()` says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from weakref import WeakKeyDictionary

import structlog

from meshgate.core.clock import Clock
from meshgate.core.diagnostics import Diagnostic, ObjectRef, ordered
from meshgate.dialects.document import Document, Json
from meshgate.sources.built_in import BUILT_IN, built_in
from meshgate.sources.in_force import Check, FileInForce, accept
from meshgate.sources.kept import Identity, KeptState, KeptStateError, Override
from meshgate.sources.merging import content_hash, desired, with_metadata
from meshgate.sources.stored import API, Problem, SourceText, StoredObject

_STILL = "the last good version stays in force"

V = TypeVar("V")
_log = structlog.get_logger(__name__)


class ObjectStore:
    """All objects. Not for several threads; nothing in here waits, except `changed_after`."""

    def __init__(self, *, check: Check, clock: Clock, kept: KeptState | None = None) -> None:
        """Restores what `kept` holds; the first `replace_sources` must then bring all files.

        Raises `KeptStateError`.
        """
        self._check, self._clock = check, clock
        self._kept = kept or KeptState(None)
        stored = self._kept.load()
        self._overrides = dict(stored.overrides)
        self._identities = dict(stored.identities)
        self._born = min((i.created for i in self._identities.values()), default=_timestamp(clock.now()))
        self._last_version = max((i.resource_version for i in self._identities.values()), default=0)
        self._files: dict[str, FileInForce] = {}
        for ref, (source, document) in stored.good.items():
            good = {**self._files.get(source, FileInForce()).good, ref: document}
            self._files[source] = FileInForce(tuple(good.values()), good)
        self._kept_good = dict(stored.good)
        self._loaded = False
        self._hashes: WeakKeyDictionary[Document, str] = WeakKeyDictionary()
        self._stamped: WeakKeyDictionary[Document, Document] = WeakKeyDictionary()
        self._objects: dict[ObjectRef, StoredObject] = {}
        self._from_files: dict[ObjectRef, list[tuple[str, Document]]] = {}
        self._listed: tuple[Document, ...] | None = None
        self._changed = asyncio.Event()
        self.revision = 0
        """Rises with every change."""

    # ---- reading ----

    def get(self, ref: ObjectRef) -> StoredObject | None:
        """The object in force, also a namespace that nobody wrote."""
        return self._objects.get(ref) or built_in(ref, self._born)

    def objects(self) -> tuple[StoredObject, ...]:
        """All of them, namespaces that nobody wrote included, by creation time and name."""
        missing = [built_in(ref, self._born) for ref in BUILT_IN]
        found = [*self._objects.values(), *(m for m in missing if m and m.ref not in self._objects)]
        return tuple(sorted(found, key=lambda o: (o.identity.created, o.ref.name, o.ref)))

    def documents(self) -> tuple[Document, ...]:
        """What the pipeline shall read: by creation time, then name.

        A second definition of the same object follows the first, so that it gets reported.
        """
        if self._listed is None:
            listed: list[Document] = []
            in_force = self._objects.values()
            for stored in sorted(in_force, key=lambda o: (o.identity.created, o.ref.name, o.ref)):
                listed.append(stored.document)
                if not stored.changed_by_api:
                    again = self._from_files[stored.ref][1:]
                    listed.extend(self._stamp(d, stored.identity) for _, d in again)
            self._listed = tuple(listed)
        return self._listed

    def problems(self) -> tuple[Problem, ...]:
        """What is written and not in force, by source."""
        return tuple(p for source in sorted(self._files) for p in self._files[source].problems)

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that reading the files gave, and why objects in them are not in force."""
        found = [
            replace(d, message=f"{d.message} ({_STILL})") if p.last_good else d
            for p in self.problems()
            for d in p.diagnostics
        ]
        return ordered([*found, *(d for file in self._files.values() for d in file.warnings)])

    async def changed_after(self, revision: int) -> int:
        """Waits until there is something newer than `revision`; says how far the store is."""
        while self.revision <= revision:
            self._changed.clear()
            await self._changed.wait()
        return self.revision

    def close(self) -> None:
        """Closes the file of what is kept."""
        self._kept.close()

    # ---- files ----

    def replace_source(
        self, source: str, documents: Sequence[Document], diagnostics: Sequence[Diagnostic]
    ) -> None:
        """What one file holds now; see `replace_sources`."""
        self.replace_sources({source: SourceText(documents=tuple(documents), diagnostics=tuple(diagnostics))})

    def replace_sources(self, texts: Mapping[str, SourceText]) -> None:
        """What these files hold now, as by `kubectl apply --prune` for each; others stay.

        Objects with errors keep their last good version. Where a part of a file cannot be
        read, nothing of the file counts as removed.
        """
        if not self._loaded:
            # What was restored stands in for files that are still there, not for removed ones.
            self._files = {source: file for source, file in self._files.items() if source in texts}
            self._loaded = True
        for source, text in texts.items():
            file = accept(self._files.get(source, FileInForce()), source, text, self._check)
            if file == FileInForce():
                self._files.pop(source, None)
            else:
                self._files[source] = file
        self._settle({})

    def sources(self) -> tuple[str, ...]:
        """The files that have objects or problems."""
        return tuple(sorted(self._files))

    # ---- the API ----

    def put(self, document: Document, last_applied: Mapping[str, Json] | None = None) -> None:
        """Takes an object from the API; the caller has checked it.

        Raises `KeptStateError` where it is in force but would be forgotten by a restart.
        `last_applied` is given by `apply` only; other writes leave it as it was.
        """
        ref = document.ref
        before = self._overrides.get(ref)
        if last_applied is None and before is not None:
            last_applied = before.last_applied
        self._settle({ref: Override(document=document, base=self._file_hash(ref), last_applied=last_applied)})

    def remove(self, *refs: ObjectRef) -> None:
        """Takes objects away; one from a file stays away until the file changes it. Raises as `put`."""
        bases = {ref: self._file_hash(ref) for ref in refs}
        self._settle(
            {ref: Override(document=None, base=base) if base else None for ref, base in bases.items()}
        )

    def last_applied(self, ref: ObjectRef) -> Mapping[str, Json] | None:
        """What `apply` was last given for the object, or what its file says."""
        override = self._overrides.get(ref)
        if override is not None and override.last_applied is not None:
            return override.last_applied
        found = self._from_files.get(ref)
        return found[0][1].data if found else None

    def check(self, document: Document) -> tuple[Diagnostic, ...]:
        """The verdict on an object that is not stored yet."""
        return self._check(document)

    # ---- the inside ----

    def _hash(self, document: Document) -> str:
        found = self._hashes.get(document)
        if found is None:
            found = self._hashes[document] = content_hash(document.data)
        return found

    def _file_hash(self, ref: ObjectRef) -> str:
        found = self._from_files.get(ref)
        return self._hash(found[0][1]) if found else ""

    def _stamp(self, document: Document, identity: Identity) -> Document:
        """The document with its creation time, by which dialects tell old from new, and its generation."""
        found = self._stamped.get(document)
        created, generation = identity.created, identity.generation
        if found is None or (found.created, found.generation) != (created, generation):
            data = with_metadata(document.data, {"creationTimestamp": created, "generation": generation})
            found = self._stamped[document] = replace(document, data=data)
        return found

    def _index_files(self) -> dict[ObjectRef, list[tuple[str, Document]]]:
        index: dict[ObjectRef, list[tuple[str, Document]]] = {}
        for source in sorted(self._files):
            for document in self._files[source].documents:
                index.setdefault(document.ref, []).append((source, document))
        for several in index.values():
            if len(several) > 1:
                several.sort(key=lambda entry: entry[1].locate())
        return index

    def _settle(self, edits: Mapping[ObjectRef, Override | None]) -> None:
        """Works out what is in force, gives identities, writes down what must be kept."""
        self._from_files = self._index_files()
        changed_overrides: dict[ObjectRef, Override | None] = dict(edits)
        for ref, override in self._overrides.items():
            if ref not in edits and override.base != self._file_hash(ref):
                changed_overrides[ref] = None
        _update(self._overrides, changed_overrides)

        changed_identities: dict[ObjectRef, Identity | None] = {}
        now = _timestamp(self._clock.now())
        objects: dict[ObjectRef, StoredObject] = {}
        for ref, source, document, by_api in self._in_force():
            identity = self._identities.get(ref)
            fresh = self._identify(identity, document, now)
            if fresh is not identity:
                changed_identities[ref] = fresh
            objects[ref] = StoredObject(
                ref=ref,
                document=self._stamp(document, fresh),
                source=source,
                identity=fresh,
                changed_by_api=by_api,
            )
        changed_identities.update(dict.fromkeys(self._identities.keys() - objects.keys()))
        _update(self._identities, changed_identities)
        self._objects, self._listed = objects, None
        self.revision += 1
        self._changed.set()
        try:
            self._kept.write(
                identities=changed_identities, overrides=changed_overrides, good=self._changed_good()
            )
        except KeptStateError as error:
            if edits:
                raise
            # What files say is in the files; only creation times would be new after a restart.
            _log.error("state_not_kept", reason=error.message, remedy=error.remedy)

    def _in_force(self) -> Iterable[tuple[ObjectRef, str, Document, bool]]:
        for ref, found in self._from_files.items():
            if ref not in self._overrides:
                source, document = found[0]
                yield ref, f"file:{source}", document, False
        for ref, override in self._overrides.items():
            if override.document is not None:
                from_file = self._from_files.get(ref)
                source = f"file:{from_file[0][0]}" if from_file else API
                yield ref, source, override.document, True

    def _identify(self, before: Identity | None, document: Document, now: str) -> Identity:
        content = self._hash(document)
        if before is not None and before.content == content:
            return before
        self._last_version += 1
        spec = content_hash(desired(document.data))
        generation = 1
        if before is not None:
            generation = before.generation + (before.desired != spec)
        return Identity(
            created=before.created if before else now,
            generation=generation,
            resource_version=self._last_version,
            content=content,
            desired=spec,
        )

    def _changed_good(self) -> dict[ObjectRef, tuple[str, Document] | None]:
        """What stands in for broken objects and so is in no file any more."""
        now: dict[ObjectRef, tuple[str, Document]] = {}
        for source, file in self._files.items():
            if file.problems:
                now.update({ref: (source, document) for ref, document in file.good.items()})
        changed: dict[ObjectRef, tuple[str, Document] | None] = {
            ref: kept for ref, kept in now.items() if self._kept_good.get(ref) != kept
        }
        changed.update(dict.fromkeys(self._kept_good.keys() - now.keys()))
        self._kept_good = now
        return changed


def _update(entries: dict[ObjectRef, V], changes: Mapping[ObjectRef, V | None]) -> None:
    for ref, value in changes.items():
        if value is None:
            entries.pop(ref, None)
        else:
            entries[ref] = value


def _timestamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
