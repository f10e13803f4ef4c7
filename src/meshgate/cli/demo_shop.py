"""The shop of one demo: a copy of its files, a meshgate of its own that runs it, and their end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import meshgate
from meshgate.cli.client import answers, connect, socket_of
from meshgate.cli.demo_http import ADDRESS
from meshgate.cli.demo_leftovers import Leftovers, Marks, look_for, remove
from meshgate.cli.down import stop
from meshgate.cli.errors import CliError
from meshgate.cli.printing import get_in, list_in, text_in
from meshgate.cli.up import start_detached
from meshgate.model.proxy import Isolation
from meshgate.runtime.ports import is_free
from meshgate.runtime.process_id import ProcessId, identify, is_alive, signal_process
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.backend import GetQuery, JsonObject, StatusReport
from meshgate.sources.up_options import UpOptions

_READY_S = 60.0
_END_S = 60.0
SPLIT_FILE = "manifests/seed/04-hybrid.yaml"
"""Holds the weights of user-service that the demo edits."""


def find_shop() -> Path:
    """The folder examples/shop of the checkout that this package is installed from."""
    found = Path(meshgate.__file__).resolve().parents[2] / "examples" / "shop"
    if not (found / "manifests").is_dir():
        raise CliError(
            f"the demo's files are not there: {found}",
            "run it from a clone of the repository: `make demo`",
        )
    return found


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


class Shop:
    """Use it as `shop = Shop(...)`, `start`, and `close` in a `finally`."""

    def __init__(self, state: Path | None, isolation: Isolation | None, port: int | None) -> None:
        """Copies the files; without a `state` all lives in a temporary folder that goes at the end."""
        source = find_shop()
        if state is not None and answers(socket_of(state.absolute())):
            raise CliError(f"meshgate runs on {state} already", "name another --state, or none")
        if port is not None and not is_free(port):
            raise CliError(f"port {port} is taken", "name another --http-port, or none for any that is free")
        self.port = port or free_port()
        self._home = Path(tempfile.mkdtemp(prefix="meshgate-demo-")).resolve()
        self.folder = self._home / "shop"
        self.state = (state or self._home / "state").absolute()
        shutil.copytree(source, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self._isolation = isolation
        self._marks = Marks.of(self.state, self.folder)
        self._guard: ProcessId | None = None
        self.closed = False

    def start(self) -> float:
        """Does what `meshgate up --detach` does; the seconds until the gateway was ready."""
        began = time.monotonic()
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = UpOptions(
            paths=(str(self.folder / "manifests"),),
            state=self.state,
            isolation=self._isolation,
            http_port=self.port,
            https_port=0,
            detach=True,
        )
        self._guard = identify(start_detached(options).guard_pid)
        return time.monotonic() - began

    def wait_until_ready(self) -> StatusReport:
        """Waits until every pod is ready and every proxy in step, at most a minute; how it is then."""
        until = time.monotonic() + _READY_S
        while True:
            report = self.status()
            in_step = sum(proxy.synced for proxy in report.proxies)
            if all(pod.ready for pod in report.pods) and in_step >= sum(pod.meshed for pod in report.pods):
                return report
            if time.monotonic() > until:
                return report
            time.sleep(0.1)

    def close(self) -> Leftovers:
        """`meshgate down`; then by force what is left, and what that was. May be called again."""
        if self.closed:
            return Leftovers()
        with contextlib.suppress(CliError):
            stop(self.state)
        if self._guard is not None:
            _wait_for_end(self._guard)
        left = look_for(self._marks)
        remove(left)
        shutil.rmtree(self._home, ignore_errors=True)
        self.closed = True
        return left

    # ---- what it asks of the control plane ----

    def status(self) -> StatusReport:
        """What `meshgate status` shows."""
        with connect(self.state) as client:
            return client.call(wire.STATUS, Nothing())

    def objects(self, kind: str) -> tuple[JsonObject, ...]:
        """What `meshgate get KIND` shows, in the default namespace."""
        with connect(self.state) as client:
            answer = client.call(wire.GET, GetQuery(kinds=kind))
        return tuple(found for listed in answer.lists for found in listed.objects)

    def pids(self) -> Mapping[tuple[str, str], int]:
        """(Deployment, container) -> process id; a sidecar's container is `istio-proxy`."""
        found: dict[tuple[str, str], int] = {}
        for pod in self.objects("pods"):
            deployment = text_in(pod, "metadata", "ownerReferences", 0, "name")
            for container in list_in(pod, "status", "containerStatuses"):
                pid = get_in(container, "state", "running", "pid")
                if isinstance(pid, int):
                    found[deployment, text_in(container, "name")] = pid
        return found

    def address_of(self, service: str) -> tuple[str, int]:
        """Where the first pod of a service is reached, its sidecar's port included."""
        for found in self.objects("endpoints"):
            if text_in(found, "metadata", "name") == service:
                port = get_in(found, "subsets", 0, "ports", 0, "port")
                if isinstance(port, int):
                    return text_in(found, "subsets", 0, "addresses", 0, "ip"), port
        raise CliError(f"{service} has no endpoint")

    def kill(self, deployment: str, container: str) -> int:
        """kill -9 of a container's process; its pid."""
        pid = self.pids()[deployment, container]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_control_plane(self) -> int:
        """kill -9 of the control plane itself; its pid."""
        pid = self.status().pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_guard(self) -> None:
        """kill -9 of what would start the control plane again."""
        if self._guard is not None:
            signal_process(self._guard, signal.SIGKILL)

    def set_weights(self, v1: int, v2: int) -> float:
        """Edits user-service's VirtualService as an editor saves it; the moment of it (monotonic)."""
        file = self.folder / SPLIT_FILE
        weights = iter((v1, v2))
        text = re.sub(r"weight: \d+", lambda _: f"weight: {next(weights)}", file.read_text())
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_text(text)
        saved = time.monotonic()
        fresh.replace(file)
        return saved


def _wait_for_end(guard: ProcessId) -> None:
    """The guard goes after its control plane; one that does not is told to, and then ended."""
    for number, wait_s in ((None, 1.0), (signal.SIGTERM, _END_S), (signal.SIGKILL, 1.0)):
        if number is not None:
            signal_process(guard, number)
        until = time.monotonic() + wait_s
        while is_alive(guard):
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        else:
            return
