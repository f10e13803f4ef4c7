"""Files and folders of manifests, watched.

What changes on the disk is found by looking at all files again whenever the system says
that something happened, so editors that write beside and rename, symbolic links and whole
folders that move are all the same case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog
from watchfiles import awatch

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.dialects.yaml_text import read_documents
from meshgate.sources.manifests import Found, Seen, is_so, look, read
from meshgate.sources.objects import ObjectStore
from meshgate.sources.stored import SourceText

_LOOK_EVERY_MS = 1_000
"""Where the system reports nothing (a link into another file system), this finds it."""
_QUIET_MS = 30
_LONGEST_MS = 100
_GRACE_S = 0.3
"""How long a file must be as it is before what it has no more counts: editors truncate or rename, then write,
and a large file is written in parts, between which a busy machine does something else."""

_LOOK_AGAIN_S = 0.03

_log = structlog.get_logger(__name__)


def _read_source(file: str) -> SourceText:
    text, problem = read(file)
    if problem is not None:
        return SourceText(diagnostics=(problem,))
    documents, diagnostics = read_documents(text, file)
    return SourceText(documents=documents, diagnostics=diagnostics)


class FileSource:
    """Keeps the object store at what the files hold."""

    def __init__(self, paths: Sequence[str], store: ObjectStore) -> None:
        self._paths = tuple(paths)
        self._store = store
        self._files: Mapping[str, Seen] = {}
        self._problems: tuple[Diagnostic, ...] = ()
        self._objects: dict[str, frozenset[ObjectRef]] = {}
        """What each file held that is in the store."""
        self._read: dict[str, tuple[Seen, SourceText]] = {}
        """What was read and is not in the store yet."""
        self._doubtful_since: dict[tuple[str, Seen | None], float] = {}
        self._directories: frozenset[str] = frozenset()

    def load(self) -> None:
        """Reads everything into the store; to be called once, before anybody asks the store."""
        found = look(self._paths)
        self._take(found, {file: _read_source(file) for file in found.files}, ())

    def _take(self, found: Found, texts: Mapping[str, SourceText], gone: Iterable[str]) -> None:
        changes = {**dict.fromkeys(gone, SourceText()), **texts}
        for problem in found.diagnostics:
            # What is gone is gone; only what is there and cannot be read keeps its objects.
            lost = not is_so(Path(problem.origin.file).exists) and problem.origin.file in self._known()
            said = replace(problem, severity=Severity.WARNING) if lost else problem
            changes[problem.origin.file] = SourceText(diagnostics=(said,))
        self._files, self._directories, self._problems = found.files, found.directories, found.diagnostics
        for file, text in changes.items():
            self._objects[file] = frozenset(document.ref for document in text.documents)
        self._read.clear()
        self._store.replace_sources(changes)

    async def run(self) -> None:
        """Follows the files until cancelled; what a save changes is in the store within a moment."""
        while True:
            watched = self._directories
            async for _ in _alarms(watched):
                await self._refresh()
                if self._directories != watched:
                    break

    async def _refresh(self) -> None:
        found, texts = await self._look()
        while self._half_saved(found, texts):
            await asyncio.sleep(_LOOK_AGAIN_S)
            found, texts = await self._look()
        unreadable = {problem.origin.file for problem in found.diagnostics}
        gone = sorted(f for f in self._known() if f not in found.files and f not in unreadable)
        if not texts and not gone and found.diagnostics == self._problems:
            self._directories = found.directories
            return
        _log.info("files_changed", changed=sorted(texts), removed=gone)
        self._take(found, texts, gone)

    async def _look(self) -> tuple[Found, Mapping[str, SourceText]]:
        """What is there, and what is in the files that are not as they were."""
        found = await asyncio.to_thread(look, self._paths)
        changed = {file: seen for file, seen in found.files.items() if self._files.get(file) != seen}
        for file, seen in changed.items():
            if file not in self._read or self._read[file][0] != seen:
                self._read[file] = seen, await asyncio.to_thread(_read_source, file)
        return found, {file: self._read[file][1] for file in changed}

    def _known(self) -> set[str]:
        return {*self._files, *(problem.origin.file for problem in self._problems)}

    def _half_saved(self, found: Found, texts: Mapping[str, SourceText]) -> bool:
        """Whether a file has just lost something, which is often the first half of a save."""
        now = asyncio.get_running_loop().time()
        lost = {file for file, before in self._files.items() if before.size and file not in found.files}
        lost |= {file for file, text in texts.items() if self._lacks(file, text)}
        doubtful = ((file, found.files.get(file)) for file in lost)
        self._doubtful_since = {key: self._doubtful_since.get(key, now) for key in doubtful}
        return any(now - since < _GRACE_S for since in self._doubtful_since.values())

    def _lacks(self, file: str, text: SourceText) -> bool:
        return not self._objects.get(file, frozenset()) <= {document.ref for document in text.documents}


async def _alarms(directories: frozenset[str]) -> AsyncIterator[None]:
    """Something may have changed: when the system says so, and at least once per second."""
    there = [path for path in sorted(directories) if is_so(Path(path).is_dir)]
    if not there:
        while True:
            await asyncio.sleep(_LOOK_EVERY_MS / 1000)
            yield
    try:
        watcher = awatch(
            *there,
            watch_filter=None,
            recursive=False,
            step=_QUIET_MS,
            debounce=_LONGEST_MS,
            rust_timeout=_LOOK_EVERY_MS,
            yield_on_timeout=True,
        )
        async for _ in watcher:
            yield
    except OSError as error:
        # A directory went between the look and the watch, or the system's watches are used up.
        _log.warning("watch_failed", reason=str(error))
        await asyncio.sleep(_LOOK_EVERY_MS / 1000)
        yield
