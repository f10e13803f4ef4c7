"""Runs meshgate itself for end-to-end tests: `up`, what it says of itself, `down`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshgate.cli.client import connect
from meshgate.runtime.netns import unavailable_reason
from meshgate.runtime.paths import RuntimePaths, state_tag
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import GetQuery
from tests.e2e.clients import Answer, Client, Headers
from tests.e2e.waiting import until
from tests.redis_server import free_port

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop/manifests"
ISOLATIONS = ("ports", "netns")


def why_not(isolation: str) -> str | None:
    """Why this machine or user cannot have that isolation; None where it can."""
    return unavailable_reason() if isolation == "netns" else None


@dataclass(slots=True, kw_only=True)
class Meshgate:
    """One running meshgate."""

    state: Path
    paths: tuple[Path, ...]
    isolation: str
    options: tuple[str, ...] = ()
    http_port: int = field(default_factory=free_port)
    https_port: int = field(default_factory=free_port)

    def cli(self, command: str, *arguments: str, fails: bool = False) -> str:
        """What a command prints; it must succeed, or fail where `fails` says so."""
        argv = [str(Path(sys.executable).parent / "meshgate"), command, "--state", str(self.state)]
        done = subprocess.run([*argv, *arguments], capture_output=True, text=True, timeout=120)
        assert (done.returncode != 0) == fails, f"{command} {arguments}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")

    def up(self) -> None:
        """Starts it, or takes over what a crashed one left; returns with all pods ready."""
        ports = ("--http-port", str(self.http_port), "--https-port", str(self.https_port))
        paths = [str(path) for path in self.paths]
        self.cli("up", *paths, "--isolation", self.isolation, *ports, *self.options, "--detach")
        self.wait_ready()

    def down(self) -> None:
        """Ends it in good order."""
        self.cli("down")

    def status(self) -> dict[str, Any]:
        """What `status -o json` prints, asked for without starting a process."""
        with connect(self.state) as admin:
            found: dict[str, Any] = json.loads(wire.encode(admin.call(wire.STATUS, wire.Nothing())))
        return found

    def wait_ready(self) -> dict[str, Any]:
        """Returns the status once every pod is ready and every proxy has its configuration."""

        def ready() -> dict[str, Any] | None:
            found = self.status()
            pods, proxies = found["pods"], found["proxies"]
            meshed = sum(pod["meshed"] for pod in pods)
            good = all(p["ready"] for p in pods) and all(p["synced"] for p in proxies)
            return found if good and len(proxies) >= meshed else None

        try:
            return until(ready, "all pods ready")
        except AssertionError as error:
            log = RuntimePaths.of(self.state).daemon_log("meshgate").read_text()[-3000:]
            raise AssertionError(f"{error}\n{self.cli('status')}\n{log}") from error

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What `get KIND -A -o json` prints, asked for without starting a process."""
        query = GetQuery(kinds=kind, names=(), namespace="default", all_namespaces=True, selector="")
        with connect(self.state) as admin:
            answer: dict[str, Any] = json.loads(wire.encode(admin.call(wire.GET, query)))
        return [found for listed in answer["lists"] for found in listed["objects"]]

    def pod(self, workload: str) -> dict[str, Any]:
        """The one pod of a Deployment."""
        owned = [p for p in self.objects("pods") if owner(p) == workload]
        assert len(owned) == 1, f"{workload}: {[p['metadata']['name'] for p in owned]}"
        return owned[0]

    def pids(self) -> dict[str, int]:
        """`Deployment/container` -> process id, of all pods with one replica."""
        found = {}
        for pod in self.objects("pods"):
            for container in pod["status"]["containerStatuses"]:
                if "running" in container["state"]:
                    found[f"{owner(pod)}/{container['name']}"] = container["state"]["running"]["pid"]
        return found

    def endpoint(self, service: str) -> tuple[str, int]:
        """Where proxies reach a service's one pod: behind its sidecar, if it has one."""
        objects = [o for o in self.objects("endpoints") if o["metadata"]["name"] == service]
        (subset,) = objects[0]["subsets"]
        return subset["addresses"][0]["ip"], subset["ports"][0]["port"]

    def client(self, host: str = "127.0.0.1") -> Client:
        """A connection to the gateway's HTTP port."""
        return Client(self.http_port, host)

    def ask(self, host: str, path: str = "/", headers: Headers = (), method: str = "GET") -> Answer:
        """One request to the gateway over a connection of its own."""
        client = self.client(host)
        try:
            return client.ask(path, headers, method)
        finally:
            client.close()

    def inside(self, workload: str, code: str) -> str:
        """What a Python program prints in the workload's place in the mesh."""
        return self.cli("exec", workload, "--", "python3", "-c", code)

    def guard_pid(self) -> int:
        """The process that brings the control plane back."""
        stat = Path(f"/proc/{self.status()['pid']}/stat").read_text()
        return int(stat.rsplit(")", 1)[1].split()[1])

    def diagnostics(self, code: str) -> list[dict[str, Any]]:
        """What `status` says under that code."""
        return [line for line in self.status()["diagnostics"] if line["code"] == code]

    def certificates(self) -> dict[str, set[str]]:
        """SPIFFE ID -> the serial numbers of its certificates that proxies hold now."""
        found: dict[str, set[str]] = {}
        for path in RuntimePaths.of(self.state).run.glob("*/admin.sock"):
            with contextlib.closing(http.client.HTTPConnection("envoy", timeout=10)) as admin:
                admin.sock = socket.socket(socket.AF_UNIX)
                admin.sock.connect(str(path))
                admin.request("GET", "/certs")
                answer = json.loads(admin.getresponse().read())
            for held in answer["certificates"]:
                for leaf in held["cert_chain"]:
                    for name in leaf["subject_alt_names"]:
                        found.setdefault(name.get("uri", ""), set()).add(leaf["serial_number"])
        return found

    def leftovers(self) -> list[str]:
        """Processes, namespaces, links, tables and sockets that are still this state's."""
        tag, found = state_tag(self.state), []
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                run = str(RuntimePaths.of(self.state).run)
                if (str(self.state) in line or run in line) and int(directory.name) != os.getpid():
                    found.append(f"process {directory.name}: {line[:200]}")
        found.extend(f"socket directory {p}" for p in [RuntimePaths.of(self.state).run] if p.exists())
        if self.isolation == "netns":
            asked = (("ip", "netns", "list"), ("ip", "-br", "link"), ("nft", "list", "tables"))
            for argv in asked:
                lines = subprocess.run(argv, capture_output=True, text=True, timeout=10).stdout.splitlines()
                found.extend(line for line in lines if f"mg-{tag}" in line or f"mg{tag}" in line)
                found.extend(line for line in lines if f"meshgate_{tag}" in line)
        return found

    def crash(self, *pids: int) -> None:
        """kill -9, the first before the second, with no time between."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def owner(pod: Mapping[str, Any]) -> str:
    """The Deployment of a pod."""
    return str(pod["metadata"]["ownerReferences"][0]["name"])


@contextlib.contextmanager
def running(
    state: Path, paths: Sequence[Path], isolation: str, *options: str, **ports: int
) -> Iterator[Meshgate]:
    """A meshgate of its own for a test; afterwards it is down and has left nothing."""
    meshgate = Meshgate(state=state, paths=tuple(paths), isolation=isolation, options=options, **ports)
    try:
        meshgate.up()
        yield meshgate
    finally:
        if (state / "run").exists() and meshgate.leftovers():
            meshgate.down()
    left = meshgate.leftovers()
    assert left == [], left
