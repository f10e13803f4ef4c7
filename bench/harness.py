"""Starts a meshgate of its own for a benchmark and takes it away again."""

from __future__ import annotations

import contextlib
import http.client
import json
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MESHGATE = Path(sys.executable).with_name("meshgate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One meshgate."""

    state: Path
    manifests: Path
    port: int

    def ask(self, path: str, host: str = "bench.example") -> int:
        """The status of one request through the gateway."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    def status(self) -> dict[str, object]:
        """`meshgate status -o json`."""
        text = subprocess.run(
            (MESHGATE, "status", "--state", self.state, "-o", "json"),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        found: dict[str, object] = json.loads(text)
        return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def meshgate(manifests: str, more: Sequence[str] = (), isolation: str = "ports") -> Iterator[Running]:
    """A meshgate with these manifests, ready; `more` files lie beside them."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "m").mkdir()
        (directory / "m" / "all.yaml").write_text(manifests)
        for name in ("fast_server.py", *more):
            shutil.copy(HERE / name, directory / "m")
        running = Running(state=directory / "state", manifests=directory / "m", port=free_port())
        up = (
            MESHGATE,
            "up",
            running.manifests,
            "--state",
            running.state,
            "--isolation",
            isolation,
            "--detach",
        )
        ports = ("--http-port", str(running.port), "--https-port", "0")
        subprocess.run((*up, *ports), check=True, timeout=180, stdout=subprocess.DEVNULL)
        try:
            yield running
        finally:
            subprocess.run(
                (MESHGATE, "down", "--state", running.state),
                check=True,
                timeout=120,
                stdout=subprocess.DEVNULL,
            )


def wrk(url: str, headers: Sequence[str], seconds: int = 5, connections: int = 32) -> float:
    """Requests per second; raises where any answer was not 2xx."""
    arguments = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        *(a for h in headers for a in ("-H", h)),
        url,
    ]
    text = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    if "Non-2xx" in text:
        raise RuntimeError(text)
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None:
        raise RuntimeError(text)
    return float(found.group(1))


def machine() -> str:
    """What it ran on."""
    return f"{platform.system()} {platform.release()}, Python {platform.python_version()}"


def spread(values: Sequence[float]) -> str:
    """Minimum, median and maximum."""
    return f"min {min(values):.3f}  median {statistics.median(values):.3f}  max {max(values):.3f}"
