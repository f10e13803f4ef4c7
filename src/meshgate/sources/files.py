"""Files and folders of manifests: read once, then watched.

What changes on the disk is found by looking at all files again whenever the system says
that something happened, so editors that write beside and rename, symbolic links and whole
folders that move are all the same case.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from watchfiles import awatch

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import Origin
from meshgate.dialects.yaml_text import MAX_TEXT_BYTES, read_documents
from meshgate.sources.objects import ObjectStore, SourceText

SUFFIXES = (".yaml", ".yml", ".json")
STATE_MARK = "meshgate.db"
"""The file by which a state directory is known: what it holds are no manifests."""
STANDARD_INPUT = "-"
_MAX_FILES = 20_000
_LOOK_EVERY_MS = 1_000
"""Where the system reports nothing (a link into another file system), this finds it."""
_QUIET_MS = 30
_LONGEST_MS = 100
_GRACE_S = 0.3
"""How long a file may be empty or gone before that counts: editors truncate or rename, then write."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What tells a file's content from another without reading it."""

    modified_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Found:
    """One look at all paths."""

    files: Mapping[str, _Seen]
    directories: frozenset[str]
    """Where a change could be made that concerns us."""
    diagnostics: tuple[Diagnostic, ...]


def _unreadable(file: str, error: OSError) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR,
        code="MG1005",
        origin=Origin(file),
        message=f"cannot be read: {error.strerror or error}",
        remedy="check that it exists and that you may read it",
    )


def _standard_input() -> str:
    return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1).decode(errors="replace")


def _look(paths: Iterable[str]) -> _Found:
    look = _Look()
    for path in paths:
        if Path(path).is_dir():
            look.folder(path, set())
        else:
            look.file(path)
    return _Found(dict(sorted(look.files.items())), frozenset(look.directories), tuple(look.diagnostics))


class _Look:
    def __init__(self) -> None:
        self.files: dict[str, _Seen] = {}
        self.directories: set[str] = set()
        self.diagnostics: list[Diagnostic] = []
        self._named: set[str] = set()

    def folder(self, path: str, above: set[str]) -> None:
        """Reads a folder; `above` are the real paths on the way, against links that lead in circles."""
        real = os.path.realpath(path)
        if real in above or Path(path, STATE_MARK).is_file():
            return
        if len(self.files) >= _MAX_FILES:
            error = OSError(0, f"more than {_MAX_FILES} files; this folder was left out")
            self.diagnostics.append(_unreadable(path, error))
            return
        self.directories.add(real)
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            self.diagnostics.append(_unreadable(path, error))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                self.folder(entry.path, above | {real})
            elif entry.name.endswith(SUFFIXES):
                self.file(entry.path)

    def file(self, path: str) -> None:
        absolute = os.path.abspath(path)  # noqa: PTH100  # `absolute` keeps `..`, `resolve` follows links
        if absolute in self._named:
            return
        self._named.add(absolute)
        self.directories.add(str(Path(path).absolute().parent))
        self.directories.add(str(Path(os.path.realpath(path)).parent))
        try:
            found = Path(path).stat()
        except OSError as error:
            self.diagnostics.append(_unreadable(path, error))
            return
        self.files[path] = _Seen(found.st_mtime_ns, found.st_size, found.st_ino)


def _read(file: str) -> tuple[str, Diagnostic | None]:
    try:
        if not Path(file).is_file():
            raise OSError(0, "it is not a file")  # a pipe, say, would wait for its writer
        with Path(file).open("rb") as opened:
            # One more than allowed, so that the reader of YAML sees that it is too long.
            data = opened.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        return "", _unreadable(file, error)
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return "", Diagnostic(
            severity=Severity.ERROR,
            code="MG1001",
            origin=Origin(file, line, column),
            message="the text is not UTF-8",
            remedy="save the file as UTF-8",
        )


def _read_source(file: str) -> SourceText:
    text, problem = _read(file)
    if problem is not None:
        return SourceText(diagnostics=(problem,))
    documents, diagnostics = read_documents(text, file)
    return SourceText(documents=documents, diagnostics=diagnostics)


def read_paths(paths: Sequence[str]) -> tuple[dict[str, str], tuple[Diagnostic, ...]]:
    """The texts of all manifests below the paths, by file name as the user would write it (MG1001, MG1005).

    `-` is the standard input. Folders are read with all that is in them but names that begin with a
    dot and state directories; a file that is named itself may have any name.
    """
    found = _look(path for path in paths if path != STANDARD_INPUT)
    texts: dict[str, str] = {}
    diagnostics = list(found.diagnostics)
    if STANDARD_INPUT in paths:
        texts["<stdin>"] = _standard_input()
    for file in found.files:
        text, problem = _read(file)
        if problem is None:
            texts[file] = text
        else:
            diagnostics.append(problem)
    return texts, tuple(diagnostics)


class FileSource:
    """Keeps the object store at what the files hold."""

    def __init__(self, paths: Sequence[str], store: ObjectStore) -> None:
        self._paths = tuple(paths)
        self._store = store
        self._files: Mapping[str, _Seen] = {}
        self._problems: tuple[Diagnostic, ...] = ()
        self._doubtful_since: dict[str, float] = {}
        self._directories: frozenset[str] = frozenset()

    def load(self) -> None:
        """Reads everything into the store; to be called once, before anybody asks the store."""
        found = _look(self._paths)
        self._take(found, {file: _read_source(file) for file in found.files}, ())

    def _take(self, found: _Found, texts: Mapping[str, SourceText], gone: Iterable[str]) -> None:
        changes = {**dict.fromkeys(gone, SourceText()), **texts}
        for problem in found.diagnostics:
            # What is gone is gone; only what is there and cannot be read keeps its objects.
            lost = not Path(problem.origin.file).exists() and problem.origin.file in self._known()
            said = replace(problem, severity=Severity.WARNING) if lost else problem
            changes[problem.origin.file] = SourceText(diagnostics=(said,))
        self._files, self._directories, self._problems = found.files, found.directories, found.diagnostics
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
        found = await asyncio.to_thread(_look, self._paths)
        while self._half_saved(found):
            await asyncio.sleep(_GRACE_S / 10)
            found = await asyncio.to_thread(_look, self._paths)
        changed = [f for f, seen in found.files.items() if self._files.get(f) != seen]
        unreadable = {problem.origin.file for problem in found.diagnostics}
        gone = sorted(f for f in self._known() if f not in found.files and f not in unreadable)
        if not changed and not gone and found.diagnostics == self._problems:
            self._directories = found.directories
            return
        texts = {file: await asyncio.to_thread(_read_source, file) for file in changed}
        _log.info("files_changed", changed=changed, removed=gone)
        self._take(found, texts, gone)

    def _known(self) -> set[str]:
        return {*self._files, *(problem.origin.file for problem in self._problems)}

    def _half_saved(self, found: _Found) -> bool:
        """Whether a file has just become empty or gone, which is often the first half of a save."""
        now = asyncio.get_running_loop().time()
        doubtful = {
            file
            for file, before in self._files.items()
            if before.size and ((now_there := found.files.get(file)) is None or not now_there.size)
        }
        self._doubtful_since = {file: self._doubtful_since.get(file, now) for file in doubtful}
        return any(now - since < _GRACE_S for since in self._doubtful_since.values())


async def _alarms(directories: frozenset[str]) -> AsyncIterator[None]:
    """Something may have changed: when the system says so, and at least once per second."""
    there = [path for path in sorted(directories) if Path(path).is_dir()]
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
