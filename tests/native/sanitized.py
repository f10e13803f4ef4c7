"""Builds the C filters with one of the programs beside, under AddressSanitizer."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from meshgate.native import LIBRARY

HERE = Path(__file__).parent


def built(program: str, folder: Path, *, without: str = "") -> Path:
    """The program of that name; skips where the compiler has no AddressSanitizer."""
    made = folder / program
    sources = [str(path) for path in sorted(LIBRARY.parent.glob("*.c")) if path.name != without]
    argv = [
        "cc",
        "-std=c11",
        "-g",
        "-D_GNU_SOURCE",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ]
    done = subprocess.run(
        [*argv, f"-I{LIBRARY.parent}", *sources, str(HERE / f"{program}.c"), "-o", str(made)],
        capture_output=True,
        text=True,
    )
    if "sanitize" in done.stderr or "libasan" in done.stderr:
        pytest.skip("this compiler has no AddressSanitizer")
    assert done.returncode == 0, done.stderr
    return made


def said(program: Path, texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """The lines that it answers with."""
    given = b"".join(kind.encode() + struct.pack("<I", len(text)) + text for kind, text in texts)
    done = subprocess.run([program], input=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode("latin-1").splitlines()
