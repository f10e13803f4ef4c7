"""The command line in this process, against a small control plane in a thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshgate import cli
from meshgate.sources.up_options import UpOptions
from tests.unit.cli.small_plane import run


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Meshgate = Callable[..., Ran]


@pytest.fixture
def meshgate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Meshgate:
    """Runs `meshgate ARGS`, error boundary included."""

    def call(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["meshgate", *map(str, args)])
        capfd.readouterr()
        code = cli.run()
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """The folder that the control plane reads."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    return folder


@pytest.fixture
def state(tmp_path: Path, manifests: Path) -> Iterator[Path]:
    """The state directory of a control plane that runs on `manifests`."""
    state = tmp_path / "state"
    ready = threading.Event()

    async def serve() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(run(UpOptions(paths=(str(manifests),), state=state), started))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        ready.set()
        stop.append((asyncio.get_running_loop(), task))
        await asyncio.gather(task, return_exceptions=True)

    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[int]]] = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    yield state
    if thread.is_alive():
        loop, task = stop[0]
        loop.call_soon_threadsafe(task.cancel)
    thread.join(20)
    assert not thread.is_alive()
