"""Reads log files from the end, or on and on as they grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshgate.sources.backend import LogFile

_POLL_S = 0.2
_CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class _Cursor:
    """How far one file has been read."""

    file: LogFile
    offset: int = 0
    rest: bytes = b""
    """The beginning of a line whose end is not written yet."""

    def read(self) -> tuple[str, bool]:
        """The next whole lines, with prefix, and whether there may be more at once."""
        try:
            with Path(self.file.path).open("rb") as opened:
                if os.fstat(opened.fileno()).st_size < self.offset:
                    self.offset, self.rest = 0, b""  # rotated: its writer goes on at the start
                opened.seek(self.offset)
                data = opened.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return "", False
        self.offset += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        return self._text(lines), len(data) == _CHUNK_BYTES

    def last(self) -> str:
        """What remains without an end of line."""
        lines = [self.rest] if self.rest else []
        self.rest = b""
        return self._text(lines)

    def skip_to_last(self, count: int) -> None:
        """Moves to the start of the last `count` lines."""
        try:
            with Path(self.file.path).open("rb") as opened:
                self.offset = _start_of_last(opened.read(), count)
        except FileNotFoundError:
            return

    def _text(self, lines: Sequence[bytes]) -> str:
        prefix = f"{self.file.prefix} " if self.file.prefix else ""
        return "".join(f"{prefix}{line.decode(errors='replace')}\n" for line in lines)


def _start_of_last(data: bytes, count: int) -> int:
    end = len(data) - 1 if data.endswith(b"\n") else len(data)
    for _ in range(count):
        end = data.rfind(b"\n", 0, end)
        if end < 0:
            return 0
    return end + 1 if count else len(data)


async def follow(files: Sequence[LogFile], *, tail: int = -1, forever: bool = False) -> AsyncIterator[str]:
    """Whole lines of all files; with `forever` also what is written from now on, until cancelled.

    `tail` is how many lines of the past to give for each file, -1 for all.
    """
    cursors = [_Cursor(file) for file in files]
    if tail >= 0:
        for cursor in cursors:
            await asyncio.to_thread(cursor.skip_to_last, tail)
    while True:
        quiet = True
        for cursor in cursors:
            text, more = await asyncio.to_thread(cursor.read)
            quiet = quiet and not more
            if text:
                yield text
        if not quiet:
            continue
        if not forever:
            break
        await asyncio.sleep(_POLL_S)
    for cursor in cursors:
        if text := cursor.last():
            yield text
