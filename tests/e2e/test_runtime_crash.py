"""kill -9 of the process that hosts the runtime: the next one adopts, and cleans what no longer fits."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from meshgate.runtime.commands import run_blocking
from meshgate.runtime.paths import RuntimePaths, state_tag
from meshgate.runtime.process_id import ProcessId, identify, is_alive
from meshgate.runtime.redirect import DNS_PORT
from tests.unit.runtime.tools import DEADLINE_S, NETNS_REASON, fetch, wait_until

ROOT = Path(__file__).parents[2]
NO_NETNS = pytest.mark.skipif(NETNS_REASON is not None, reason=str(NETNS_REASON))
ISOLATIONS = [
    "ports",
    pytest.param("netns", marks=[pytest.mark.root, NO_NETNS]),
]
pytestmark = [pytest.mark.envoy, pytest.mark.e2e]


class Host:
    """One process that hosts a runtime, and what it said."""

    def __init__(self, state: Path, isolation: str, *pods: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.runtime_host", str(state), isolation, *pods],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self.process.stdout.close()

    def line(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._lines.get(timeout=DEADLINE_S))
        return loaded

    def ready(self, name: str, spec_hash: str = "1") -> dict[str, Any]:
        """The first status that shows the pod ready."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            line = self.line()
            if (line.get("name"), line.get("hash"), line.get("ready")) == (name, spec_hash, True):
                return line
        raise AssertionError(f"{name} never got ready")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0
        self._reader.join()


@contextmanager
def hosting(state: Path, isolation: str, *pods: str) -> Iterator[Host]:
    host = Host(state, isolation, *pods)
    try:
        yield host
    finally:
        host.kill()


def sweep(state: Path, isolation: str) -> None:
    """Ends whatever a failed test left."""
    with hosting(state, isolation) as host:
        host.line()
        host.stop()


def reached(status: dict[str, Any]) -> tuple[int, str]:
    port = 8080 if status["ip"] != "127.0.0.1" else status["inbound"]
    return asyncio.run(fetch(status["ip"], port))


def identities(status: dict[str, Any]) -> dict[str, ProcessId]:
    found = {name: identify(pid) for name, pid in status["pids"].items()}
    assert None not in found.values()
    return {name: process for name, process in found.items() if process is not None}


def assert_nothing_left(state: Path, isolation: str) -> None:
    tag = state_tag(state)
    assert not (state / "run/records.json").exists()
    assert not RuntimePaths.of(state).run.exists()
    if isolation == "netns":
        assert f"mg-{tag}" not in run_blocking(("ip", "netns", "list"))
        assert f"mg{tag}" not in run_blocking(("ip", "-br", "link"))
        assert f"meshgate_{tag}" not in run_blocking(("nft", "list", "tables"))
        assert not list(Path("/etc").glob(f"netns/mg-{tag}*"))


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_adopts_what_fits_and_removes_the_rest(tmp_path: Path, isolation: str) -> None:
    try:
        with hosting(tmp_path, isolation, "keep:1", "change:1", "drop:1") as first:
            assert first.line() == {"adopted": []}
            waiting: dict[str, dict[str, Any]] = {"keep": {}, "change": {}, "drop": {}}
            while not all(waiting.values()):
                line = first.line()
                if line["ready"]:
                    waiting[line["name"]].update(line)
            processes = {name: identities(status) for name, status in waiting.items()}
            kept = waiting["keep"]
            first.kill()
        # Traffic goes on without a control plane.
        assert reached(kept) == (200, str(kept["pids"]["app"]))

        with hosting(tmp_path, isolation, "keep:1", "change:2") as second:
            assert sorted(second.line()["adopted"]) == ["change", "drop", "keep"]
            first_said = second.line()
            while first_said["name"] != "keep":
                first_said = second.line()
            # Ready at once: adopting takes no endpoint away.
            assert (first_said["ready"], first_said["pids"]) == (True, kept["pids"])
            fresh = second.ready("change", "2")
            assert reached(fresh) == (200, str(fresh["pids"]["app"]))
            old = [*processes["change"].values(), *processes["drop"].values()]
            wait_until(lambda: not any(is_alive(process) for process in old), "the rest is gone")
            assert reached(kept) == (200, str(kept["pids"]["app"]))
            assert identities(kept) == processes["keep"]

            # An adopted process is not our child, and yet its end is seen.
            os.kill(kept["pids"]["app"], signal.SIGKILL)
            again = second.ready("keep")
            while again["pids"] == kept["pids"]:
                again = second.ready("keep")
            assert again["pids"]["istio-proxy"] == kept["pids"]["istio-proxy"]
            assert reached(again) == (200, str(again["pids"]["app"]))
            last = [*identities(again).values(), *identities(fresh).values()]
            second.stop()
        assert not any(is_alive(process) for process in last)
        assert_nothing_left(tmp_path, isolation)
    finally:
        sweep(tmp_path, isolation)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_the_next_start_cleans_up_after_a_crash(tmp_path: Path, isolation: str) -> None:
    try:
        with hosting(tmp_path, isolation, "one:1") as first:
            status = first.ready("one")
            left = identities(status)
            first.kill()
        assert all(is_alive(process) for process in left.values())
        with hosting(tmp_path, isolation) as second:
            assert second.line() == {"adopted": ["one"]}
            second.stop()
        assert not any(is_alive(process) for process in left.values())
        assert_nothing_left(tmp_path, isolation)
    finally:
        sweep(tmp_path, isolation)


@pytest.mark.root
@NO_NETNS
def test_names_are_answered_while_the_control_plane_is_dead(tmp_path: Path) -> None:
    def dns_process() -> ProcessId:
        recorded = json.loads((tmp_path / "run/records.json").read_text())["daemons"]["dns"]
        return ProcessId(recorded["pid"], recorded["started"])

    def answered() -> bool:
        subnet = json.loads((tmp_path / "run/records.json").read_text())["network"]["subnet"]
        server = str(ipaddress.IPv4Network(subnet)[1])
        query = dns.message.make_query("nobody.default.svc.cluster.local", "A")
        with suppress(OSError, dns.exception.Timeout):
            return dns.query.udp(query, server, port=DNS_PORT, timeout=1).rcode() == dns.rcode.NXDOMAIN
        return False

    try:
        with hosting(tmp_path, "netns", "one:1") as first:
            first.ready("one")
            wait_until(answered, "the name server answers")
            process = dns_process()
            uids = Path(f"/proc/{process.pid}/status").read_text().split("Uid:")[1].split()[:4]
            assert uids == ["65534"] * 4
            first.kill()
        assert answered()
        with hosting(tmp_path, "netns", "one:1") as second:
            second.ready("one")
            assert dns_process() == process
            os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda: dns_process() != process and answered(), "the name server is back")
            second.stop()
        assert_nothing_left(tmp_path, "netns")
    finally:
        sweep(tmp_path, "netns")


@pytest.mark.root
@NO_NETNS
def test_the_other_isolation_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    try:
        with hosting(tmp_path, "netns", "one:1") as first:
            left = identities(first.ready("one"))
            first.kill()
        with hosting(tmp_path, "ports", "one:1") as second:
            assert second.line() == {"adopted": []}
            status = second.ready("one")
            assert status["ip"] == "127.0.0.1"
            assert not any(is_alive(process) for process in left.values())
            second.stop()
        assert_nothing_left(tmp_path, "netns")
    finally:
        sweep(tmp_path, "ports")
