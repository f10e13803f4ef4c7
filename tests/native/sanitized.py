"""Builds the C filters with one of the programs beside, under a sanitizer."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from meshgate.native import LIBRARY

HERE = Path(__file__).parent


def built(program: str, folder: Path, *files: str, looks_for: str = "address,undefined") -> Path:
    """The program of that name, with these files of the filters or all; skips without that sanitizer."""
    made = folder / program
    sources = [
        str(LIBRARY.parent / name) for name in files or sorted(p.name for p in LIBRARY.parent.glob("*.c"))
    ]
    argv = [
        "cc",
        "-std=c11",
        "-g",
        "-D_GNU_SOURCE",
        f"-fsanitize={looks_for}",
        "-fno-sanitize-recover=all",
        "-pthread",
    ]
    done = subprocess.run(
        [*argv, f"-I{LIBRARY.parent}", *sources, str(HERE / f"{program}.c"), "-o", str(made)],
        capture_output=True,
        text=True,
    )
    if "sanitize" in done.stderr or "asan" in done.stderr or "tsan" in done.stderr:
        pytest.skip(f"this compiler has no sanitizer for {looks_for}")
    assert done.returncode == 0, done.stderr
    return made


def said(program: Path, texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """The lines that it answers with."""
    given = b"".join(kind.encode() + struct.pack("<I", len(text)) + text for kind, text in texts)
    done = subprocess.run([program], input=given, capture_output=True)
    if b"unexpected memory mapping" in done.stderr:
        pytest.skip("this kernel lays memory out as the sanitizer cannot")
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode("latin-1").splitlines()
