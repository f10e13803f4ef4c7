from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshgate.runtime.process import (
    TOKEN_VARIABLE,
    Launch,
    Process,
    SpawnFailed,
    describe_exit,
    end_recorded,
)
from meshgate.runtime.process_id import (
    ProcessId,
    identify,
    is_alive,
    marked_processes,
    session_members,
    signal_process,
)
from tests.unit.runtime.tools import run, until, wait_until

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def launch(tmp_path: Path, *argv: str, token: str = "unit") -> Launch:
    return Launch(argv=argv, env=dict(os.environ), log=tmp_path / "log", token=token)


def test_a_process_has_its_own_session_and_its_output_is_kept(tmp_path: Path) -> None:
    async def body() -> None:
        process = Process.spawn(launch(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 3"))
        await process.exited.wait()
        assert process.returncode == 3
        assert not is_alive(process.identity)
        sleeper = Process.spawn(launch(tmp_path, "sleep", "3600"))
        assert os.getsid(sleeper.pid) == sleeper.pid
        await sleeper.stop(5)
        assert sleeper.returncode == -signal.SIGTERM

    run(body())
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_one_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    async def body() -> None:
        script = "trap '' TERM; sleep 3600 & echo $!; while :; do wait; done"
        process = Process.spawn(launch(tmp_path, "sh", "-c", script))
        await until(lambda: (tmp_path / "log").read_text() != "", "the trap is set")
        child = identify(int((tmp_path / "log").read_text()))
        assert child is not None
        await process.stop(0.05)
        assert process.returncode == -signal.SIGKILL
        await until(lambda: not is_alive(child), "the child is gone")

    run(body())


@LINUX
def test_an_adopted_process_is_watched_and_stopped_though_it_is_not_a_child(tmp_path: Path) -> None:
    # The shell starts it and ends: it belongs to somebody else now.
    script = "setsid sleep 3600 >/dev/null 2>&1 & echo $!"
    pid = int(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)
    identity = identify(pid)
    assert identity is not None

    async def body() -> None:
        process = Process.adopt(identity, "unit-adopted")
        assert process is not None
        assert not process.exited.is_set()
        await process.stop(5)
        assert process.returncode is None

    run(body())
    assert not is_alive(identity)


@LINUX
def test_a_recycled_pid_is_never_touched(tmp_path: Path) -> None:
    async def body() -> None:
        process = Process.spawn(launch(tmp_path, "sleep", "3600"))
        earlier = ProcessId(process.pid, "1")
        assert Process.adopt(earlier, "other") is None
        assert not signal_process(earlier, signal.SIGKILL)
        assert session_members(earlier) == ()
        end_recorded(earlier, "no-such-token")
        assert is_alive(process.identity)
        await process.stop(5)

    run(body())


@LINUX
def test_what_was_started_but_never_recorded_is_found_by_its_token() -> None:
    child = subprocess.Popen(["sleep", "3600"], env={**os.environ, TOKEN_VARIABLE: "unit-lost"})
    wait_until(lambda: bool(marked_processes(TOKEN_VARIABLE, "unit-lost")), "its environment is there")
    end_recorded(None, "unit-lost")
    assert child.wait(10) == -signal.SIGKILL


def test_the_exit_is_seen_by_polling_where_there_are_no_pidfds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)

    async def body() -> None:
        process = Process.spawn(launch(tmp_path, "sh", "-c", "exit 4"))
        await process.exited.wait()
        assert process.returncode == 4
        sleeper = Process.spawn(launch(tmp_path, "sleep", "3600"))
        await sleeper.stop(5)
        assert sleeper.returncode == -signal.SIGTERM

    run(body())


def test_a_command_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def body() -> None:
        with pytest.raises(SpawnFailed, match="cannot start '/no/such'"):
            Process.spawn(launch(tmp_path, "/no/such"))

    run(body())


def test_an_abandoned_process_runs_on(tmp_path: Path) -> None:
    async def body() -> ProcessId:
        process = Process.spawn(launch(tmp_path, "sleep", "3600", token="unit-abandoned"))
        process.abandon()
        return process.identity

    identity = run(body())
    assert is_alive(identity)
    end_recorded(identity, "unit-abandoned")
    os.waitpid(identity.pid, 0)


@pytest.mark.parametrize(
    ("code", "text"),
    [(None, "ended"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_how_an_end_is_told(code: int | None, text: str) -> None:
    assert describe_exit(code) == text


def test_many_exits_at_once_are_all_reaped(tmp_path: Path) -> None:
    async def body() -> None:
        started = [Process.spawn(launch(tmp_path, "true", token=f"t{n}")) for n in range(20)]
        await asyncio.gather(*(process.exited.wait() for process in started))
        assert [process.returncode for process in started] == [0] * 20
        with pytest.raises(ProcessLookupError):
            os.kill(started[0].pid, 0)

    run(body())
