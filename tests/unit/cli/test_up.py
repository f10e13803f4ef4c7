"""`up` and `down` with real processes: the guard, and a small control plane below it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from meshgate.cli import client, up
from meshgate.cli.client import answers, connect, socket_of
from meshgate.runtime.guard import noted_guard
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.process_id import ProcessId, identify, is_alive
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.up_options import UpOptions
from tests.unit.cli.conftest import Meshgate
from tests.unit.sources.control import service

_DEADLINE_S = 60.0
_ROOT = Path(__file__).parents[3]


_refuse_taken_port = up._refuse_taken_port


@pytest.fixture(autouse=True)
def no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small control plane opens no port, so others may have the usual ones."""
    monkeypatch.setattr(up, "_refuse_taken_port", lambda *_: None)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, manifests: Path) -> None:
    """Has `up` start the small control plane."""

    def argv(options: UpOptions) -> tuple[str, ...]:
        return (sys.executable, "-m", "tests.unit.cli.small_plane", options.to_json())

    monkeypatch.setattr(up, "control_plane_argv", argv)
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    (manifests / "a.yaml").write_text(service())


@pytest.fixture
def fresh(tmp_path: Path, meshgate: Meshgate) -> Iterator[Path]:
    """A state directory on which nothing runs, before and after."""
    state = tmp_path / "fresh"
    yield state
    if answers(socket_of(state)):
        meshgate("down", "--state", state)


def pid_of(state: Path) -> ProcessId:
    with connect(state) as client:
        process = identify(client.call(wire.STATUS, Nothing()).pid)
    assert process is not None
    return process


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _DEADLINE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.usefixtures("small")
def test_detach_returns_when_the_gateway_is_ready(meshgate: Meshgate, fresh: Path, manifests: Path) -> None:
    ran = meshgate("up", manifests, "--state", fresh, "--detach")
    assert (ran.code, ran.err) == (0, "")
    assert "http://127.0.0.1:8080" in ran.out
    assert meshgate("get", "svc", "-o", "name", "--state", fresh).out == "service/web\n"
    again = meshgate("up", manifests, "--state", fresh)
    assert (again.code, "already" in again.err) == (1, True)
    process, guard = pid_of(fresh), noted_guard(RuntimePaths.of(fresh).run)
    assert guard is not None
    assert is_alive(guard)
    ended = meshgate("down", "--state", fresh)
    assert (ended.code, ended.out) == (0, "meshgate has stopped\n")
    assert not is_alive(process)
    assert not is_alive(guard)
    assert meshgate("down", "--state", fresh).code == 1


@pytest.mark.usefixtures("small")
def test_commands_wait_for_a_control_plane_that_comes_back(
    meshgate: Meshgate, fresh: Path, manifests: Path
) -> None:
    meshgate("up", manifests, "--state", fresh, "--detach")
    process = pid_of(fresh)
    os.kill(process.pid, signal.SIGKILL)
    assert meshgate("get", "svc", "-o", "name", "--state", fresh).out == "service/web\n"
    assert pid_of(fresh) != process


@pytest.mark.usefixtures("small")
def test_commands_do_not_wait_for_one_that_nobody_brings_back(
    meshgate: Meshgate, fresh: Path, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meshgate("up", manifests, "--state", fresh, "--detach")
    process = pid_of(fresh)
    guard = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
    for pid in (guard, process.pid):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(process))
    never = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: pytest.fail("it waits"))
    monkeypatch.setattr(client, "time", never)
    ran = meshgate("get", "svc", "--state", fresh)
    assert ran.code == 1
    assert "no meshgate runs" in ran.err
    RuntimePaths.of(fresh).remove()


def test_an_end_at_the_start_is_told_with_its_reason(
    meshgate: Meshgate, fresh: Path, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys; sys.exit('error: the port 8080 is in use')"
    monkeypatch.setattr(up, "control_plane_argv", lambda options: (sys.executable, "-c", script))
    ran = meshgate("up", manifests, "--state", fresh, "--detach")
    assert ran.code == 1
    assert "exit code 1" in ran.err
    assert "the port 8080 is in use" in ran.err


def test_a_port_that_somebody_has_is_told_before_anything_starts(
    meshgate: Meshgate, fresh: Path, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "_refuse_taken_port", _refuse_taken_port)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = meshgate("up", manifests, "--state", fresh, "--http-port", str(port))
    assert ran.code == 1
    assert f"port {port}: Address already in use" in ran.err
    assert "--http-port" in ran.err


def test_in_the_foreground_events_are_shown_and_ctrl_c_ends_it(fresh: Path, manifests: Path) -> None:
    code = (
        "import sys; from meshgate import cli; from meshgate.cli import up\n"
        "plane = 'tests.unit.cli.small_plane'\n"
        "up._refuse_taken_port = lambda *_: None\n"
        "up.control_plane_argv = lambda o: (sys.executable, '-m', plane, o.to_json())\n"
        "sys.exit(cli.run())"
    )
    argv = [sys.executable, "-c", code, "up", str(manifests), "--state", str(fresh)]
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ran:
        assert ran.stdout is not None
        seen = ""
        while "http://127.0.0.1:8080" not in seen or "ready\n" not in seen:
            line = ran.stdout.readline()
            assert line, seen
            seen += line
        process = pid_of(fresh)
        ran.send_signal(signal.SIGINT)
        rest = ran.stdout.read()
        ran.wait(_DEADLINE_S)
    until(lambda: not is_alive(process))
    assert "ready" in seen
    assert "Exception in thread" not in rest
