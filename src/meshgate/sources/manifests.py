"""The texts of manifests: which files there are below the paths that a user names, and what is in them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import Origin
from meshgate.dialects.yaml_text import MAX_TEXT_BYTES

SUFFIXES = (".yaml", ".yml", ".json")
STATE_MARK = "meshgate.db"
"""The file by which a state directory is known: what it holds are no manifests."""
STANDARD_INPUT = "-"
_MAX_FILES = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells a file's content from another without reading it."""

    modified_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class Found:
    """One look at all paths."""

    files: Mapping[str, Seen]
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


def is_so(check: Callable[[], bool]) -> bool:
    """What a look at a path says; no where it cannot be looked at (a link to itself, a closed folder)."""
    try:
        return check()
    except OSError:
        return False


def _standard_input() -> str:
    return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1).decode(errors="replace")


def look(paths: Iterable[str]) -> Found:
    """What is at the paths now, unread."""
    seen = _Look()
    for path in paths:
        if is_so(Path(path).is_dir):
            seen.folder(path, set())
        else:
            seen.file(path)
    return Found(dict(sorted(seen.files.items())), frozenset(seen.directories), tuple(seen.diagnostics))


class _Look:
    def __init__(self) -> None:
        self.files: dict[str, Seen] = {}
        self.directories: set[str] = set()
        self.diagnostics: list[Diagnostic] = []
        self._named: set[str] = set()

    def folder(self, path: str, above: set[str]) -> None:
        """Reads a folder; `above` are the real paths on the way, against links that lead in circles."""
        real = os.path.realpath(path)
        if real in above or is_so(Path(path, STATE_MARK).is_file):
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
            if is_so(entry.is_dir):
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
        self.files[path] = Seen(found.st_mtime_ns, found.st_size, found.st_ino)


def read(file: str) -> tuple[str, Diagnostic | None]:
    """The text of a file, or why there is none (MG1001, MG1005)."""
    try:
        if not stat.S_ISREG(Path(file).stat().st_mode):
            raise OSError(0, "it is not a file")  # a pipe, say, would wait for its writer
        with Path(file).open("rb") as opened:
            # One more than allowed, so that the reader of YAML sees that it is too long.
            data = opened.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        return "", _unreadable(file, error)
    # What is cut off may be cut in a character; it is refused for its length.
    errors = "ignore" if len(data) > MAX_TEXT_BYTES else "strict"
    try:
        return data.decode("utf-8-sig", errors), None
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


def has_manifests(paths: Sequence[str]) -> bool:
    """Whether any file there would be read."""
    return bool(look(paths).files)


def read_paths(paths: Sequence[str]) -> tuple[dict[str, str], tuple[Diagnostic, ...]]:
    """The texts of all manifests below the paths, by file name as the user would write it (MG1001, MG1005).

    `-` is the standard input. Folders are read with all that is in them but names that begin with a
    dot and state directories; a file that is named itself may have any name.
    """
    found = look(path for path in paths if path != STANDARD_INPUT)
    texts: dict[str, str] = {}
    diagnostics = list(found.diagnostics)
    if STANDARD_INPUT in paths:
        texts["<stdin>"] = _standard_input()
    for file in found.files:
        text, problem = read(file)
        if problem is None:
            texts[file] = text
        else:
            diagnostics.append(problem)
    return texts, tuple(diagnostics)
