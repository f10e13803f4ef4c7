"""Gives out ports of this machine: not in use, and the same again after a restart."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from collections.abc import Callable, Collection
from pathlib import Path

FIRST_PORT = 20000
LAST_PORT = 31999
"""Below the range that Linux (32768) and macOS (49152) take for outgoing connections."""
_STRETCH = 500
_REMEMBERED = 4096


class PortsExhausted(Exception):
    """Every port of the range is taken."""


def is_free(port: int) -> bool:
    """Whether a listener could take the port on every IPv4 address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


class Stretch:
    """A part of the range in which no other meshgate of this machine begins to look, until it is closed.

    A port that was given out is free until its pod listens there, so two that look at the same
    moment must not look at the same place.
    """

    def __init__(self, path: Path) -> None:
        """The same for the same file where nobody has it; the claim is an abstract Unix socket."""
        seed = int(hashlib.sha256(str(path.resolve()).encode()).hexdigest(), 16)
        # Where all are claimed, or the system knows no such sockets, the seed alone decides.
        self.first = FIRST_PORT + seed % (LAST_PORT - FIRST_PORT + 1)
        self._claim: socket.socket | None = None
        stretches = (LAST_PORT - FIRST_PORT + 1) // _STRETCH
        for step in range(stretches if sys.platform == "linux" else 0):
            number = (seed + step) % stretches
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0meshgate-ports-{number}")
            except OSError:
                claim.close()
                continue
            self.first, self._claim = FIRST_PORT + number * _STRETCH, claim
            break

    def close(self) -> None:
        """Lets others begin there."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None


class PortAllocator:
    """Maps keys to ports and keeps the mapping in a file.

    A released key is remembered, so that a pod that comes back under its old name finds
    its old ports where nobody took them meanwhile.
    """

    def __init__(
        self,
        path: Path,
        reserved: Collection[int] = (),
        is_free: Callable[[int], bool] = is_free,
        *,
        first: int = FIRST_PORT,
    ) -> None:
        """It begins to look at `first`."""
        self._path = path
        self._reserved = frozenset(reserved)
        self._is_free = is_free
        self._ports = self._read()
        self._held: set[str] = set()
        self._next = first

    def _read(self) -> dict[str, int]:
        try:
            loaded = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(loaded, dict):
            return {}
        return {
            str(key): port
            for key, port in loaded.items()
            if isinstance(port, int) and FIRST_PORT <= port <= LAST_PORT
        }

    def hold(self, keys: Collection[str], *, adopted: bool = False) -> dict[str, int]:
        """The ports of the keys, allocated where they have none; raises `PortsExhausted`.

        With `adopted`, ports that are in use stay: the user is the process we adopt.
        """
        before = dict(self._ports)
        for key in keys:
            if key not in self._held and not (adopted and key in self._ports):
                self._ports[key] = self._usable(key)
            self._held.add(key)
        if self._ports != before:
            self._write()
        return {key: self._ports[key] for key in keys}

    def release(self, keys: Collection[str]) -> None:
        """Lets others have the ports of the keys."""
        self._held.difference_update(keys)

    def _usable(self, key: str) -> int:
        taken = {self._ports[held] for held in self._held} | self._reserved
        old = self._ports.pop(key, None)
        if old is not None and old not in taken and self._is_free(old):
            return old
        # Ports that a released key remembers are passed over first, then given away.
        for avoided in (taken | set(self._ports.values()), taken):
            for _ in range(FIRST_PORT, LAST_PORT + 1):
                port = self._next
                self._next = FIRST_PORT if port == LAST_PORT else port + 1
                if port not in avoided and self._is_free(port):
                    return port
        raise PortsExhausted(f"no free port between {FIRST_PORT} and {LAST_PORT}")

    def _write(self) -> None:
        excess = max(len(self._ports) - _REMEMBERED, 0)
        for key in [key for key in self._ports if key not in self._held][:excess]:
            del self._ports[key]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".tmp")
        fresh.write_text(json.dumps(self._ports))
        fresh.replace(self._path)
