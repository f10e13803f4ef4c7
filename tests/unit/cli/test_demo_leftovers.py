"""What stayed behind is found from outside, and nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshgate.cli.demo_leftovers import Leftovers, Marks, look_for, remove

DEADLINE_S = 60.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")


def started(folder: Path, **env: str) -> subprocess.Popen[bytes]:
    """A process in the folder that lives until it is ended."""
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_a_process_of_ours_is_found_and_ended_and_no_other(tmp_path: Path) -> None:
    state, shop = tmp_path / "state", tmp_path / "shop"
    shop.mkdir()
    marks = Marks.of(state, shop)
    with started(shop, MESHGATE_PROCESS="abc") as ours, started(shop) as users:
        for process in (ours, users):
            assert process.stdout is not None
            process.stdout.readline()
        left = look_for(marks)
        assert [process.pid for process, _ in left.processes] == [ours.pid]
        assert str(left).startswith(f"process {ours.pid} (")
        remove(left)
        assert ours.wait(DEADLINE_S) == -9
        assert users.poll() is None
        assert not look_for(marks)
        users.kill()


def test_nothing_is_nothing(tmp_path: Path) -> None:
    left = look_for(Marks.of(tmp_path / "state", tmp_path / "shop"))
    assert left == Leftovers()
    assert (bool(left), str(left)) == (False, "nothing")
