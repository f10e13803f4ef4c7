"""One stand-in as a process, as `up --stand-ins` starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

PORTS = ("8080", "7000/tcp", "53/udp")
_LISTENS = re.compile(r"port (\S+) at 127\.0\.0\.1:(\d+)\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A running one."""

    process: subprocess.Popen[str]
    places: Mapping[str, int]
    """Port as it was asked for -> where it is."""
    lines: deque[str]
    """Its log, as far as it has come; whole after `end`."""
    reader: threading.Thread

    @property
    def http(self) -> int:
        """Where HTTP is spoken."""
        return self.places["8080"]

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """The exit code, once it has ended."""
        code = self.process.wait(timeout=60)
        self.reader.join(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def start() -> StandIn:
    """Returns when it listens; its pod is `default/catalog-1`, its version v2."""
    argv = [sys.executable, "-P", "-m", "meshgate.standins", "--workload=catalog", "--container=app"]
    argv += ["--image=catalog:2", "--version=v2", *(f"--port={port}" for port in PORTS)]
    given = {"POD_NAME": "catalog-1", "POD_NAMESPACE": "default", "POD_IP": "127.0.0.1"}
    given |= {f"PORT_{port.partition('/')[0]}": "0" for port in PORTS}
    process = subprocess.Popen(argv, env=os.environ | given, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = [_LISTENS.fullmatch(process.stdout.readline()) for _ in PORTS]
    lines: deque[str] = deque(maxlen=1000)
    # Read on, or a full pipe would stop it.
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reader.start()
    places = {m[1]: int(m[2]) for m in found if m}
    return StandIn(process=process, places=places, lines=lines, reader=reader)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """One for all tests of a module."""
    found = start()
    yield found
    assert found.end() == 0
