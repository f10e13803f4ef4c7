"""Canaille, a real identity provider, in an environment of its own that is made once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build"
LOCK = HERE / "canaille.lock"
INSTALL_S = 300.0
START_S = 60.0


def canaille_python() -> Path:
    """The Python that has Canaille; the test is skipped where it cannot be had."""
    made = BUILD / f"canaille-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    python = made / "bin" / "python"
    if (made / "complete").exists():
        return python
    shutil.rmtree(made, ignore_errors=True)
    pip = (str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check")
    options = ("--require-hashes", "--only-binary", ":all:", "-r", str(LOCK))
    for command in ((sys.executable, "-m", "venv", str(made)), (*pip, *options)):
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode:
            pytest.skip(f"Canaille cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    (made / "complete").touch()
    return python


@asynccontextmanager
async def canaille(python: Path, port: int, settings: Mapping[str, object]) -> AsyncIterator[None]:
    """The provider `http://localhost:PORT` (see canaille_server.py for the settings)."""
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(HERE / "canaille_server.py"),
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(BUILD)},
        cwd=BUILD,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(settings).encode())
        process.stdin.close()
        async with asyncio.timeout(START_S):
            assert await process.stdout.readline() == b"ready\n", "Canaille ended; its words are above"
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
