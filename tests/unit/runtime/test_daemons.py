"""Processes that serve all pods: kept alive, adopted, and ended when nobody wants them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from meshgate.runtime.daemons import Daemon
from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.process_id import ProcessId, is_alive
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import Isolation
from tests.unit.runtime.tools import Environments, Sidecars, run, until

SERVER = """
import os, socket, sys
if os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True: server.accept()
"""


def make(state: Path, *daemons: Daemon, on_demand: tuple[Daemon, ...] = ()) -> LocalRuntime:
    options = RuntimeOptions(
        state=state,
        isolation=Isolation.PORTS,
        sidecars=Sidecars(),
        environments=Environments(),
        daemons=daemons,
        on_demand=on_demand,
    )
    return LocalRuntime(options)


def recorded(state: Path) -> tuple[ProcessId, bool]:
    record = json.loads((state / "run/records.json").read_text())["daemons"]["limits"]
    return ProcessId(record["pid"], record["started"]), record["ready"]


def test_a_daemon_is_kept_adopted_and_ended(tmp_path: Path) -> None:
    async def body() -> None:
        first = make(tmp_path)
        socket = first.paths.run / "limits.sock"
        daemon = Daemon(name="limits", argv=(sys.executable, "-c", SERVER, str(socket)), socket=socket)
        first = make(tmp_path, daemon)
        await first.adopt()
        # Pods count on it from their start, so it is ready before the first can be asked for.
        assert recorded(tmp_path)[1]
        assert socket.stat().st_mode & 0o777 == 0o660
        killed, _ = recorded(tmp_path)
        os.kill(killed.pid, signal.SIGKILL)
        await until(lambda: recorded(tmp_path)[0] != killed and recorded(tmp_path)[1], "it is back")
        process, _ = recorded(tmp_path)
        await first.shutdown(clean=False)
        assert is_alive(process)

        second = make(tmp_path, daemon)
        await second.adopt()
        assert recorded(tmp_path)[0] == process
        await second.shutdown(clean=False)

        third = make(tmp_path)
        await third.adopt()
        assert not is_alive(process)
        await third.shutdown()
        assert not (tmp_path / "run/records.json").exists()

    run(body())


def test_a_daemon_on_demand_starts_when_it_is_wanted_and_survives_the_control_plane(tmp_path: Path) -> None:
    async def body() -> None:
        socket = make(tmp_path).paths.run / "limits.sock"
        daemon = Daemon(name="limits", argv=(sys.executable, "-c", SERVER, str(socket)), socket=socket)
        first = make(tmp_path, on_demand=(daemon,))
        await first.adopt()
        await first.want(())
        assert not socket.exists()
        await first.want(("limits",))
        process, ready = recorded(tmp_path)
        assert ready
        await first.shutdown(clean=False)

        # Nobody knows yet whether it is wanted: it goes on.
        second = make(tmp_path, on_demand=(daemon,))
        await second.adopt()
        assert is_alive(process)
        await second.want(("limits",))
        assert recorded(tmp_path)[0] == process
        await second.shutdown(clean=False)

        # Nobody wants it any more, but a proxy may not have heard of that yet.
        third = make(tmp_path, on_demand=(daemon,))
        await third.adopt()
        await third.want(())
        assert recorded(tmp_path)[0] == process
        assert is_alive(process)
        await third.shutdown()
        assert not is_alive(process)

    run(body())
