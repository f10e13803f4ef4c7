"""IPv4 forwarding of the machine's devices: on while some meshgate needs it, then as it was before."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class _Note:
    users: set[str] = field(default_factory=set)
    """The bridges of those who need it."""
    before: dict[str, str] = field(default_factory=dict)
    """Device -> its setting before the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """What all meshgates of this machine note together, in a directory that ends with its run."""

    note: Path
    settings: Path = Path("/proc/sys/net/ipv4/conf")
    links: Path = Path("/sys/class/net")

    def turn_on(self, bridge: str, *devices: str) -> None:
        """The bridge, which exists, and the devices forward from now on."""
        with self._locked():
            note = self._read()
            note.users.add(bridge)
            for device in devices:
                with contextlib.suppress(OSError):
                    note.before.setdefault(
                        device, (self.settings / device / "forwarding").read_text().strip()
                    )
            self._write(note)
            for device in (bridge, *note.before):
                self._set(device, "1")

    def let_go(self, bridge: str) -> None:
        """The bridge needs it no more. Where nobody else does, everything is as before."""
        if not self.note.exists():
            return
        with self._locked():
            note = self._read()
            note.users.discard(bridge)
            if note.users:
                self._write(note)
                return
            for device, value in note.before.items():
                self._set(device, value)
            self.note.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.note.parent.mkdir(mode=0o711, exist_ok=True)
        directory = os.open(self.note.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _read(self) -> _Note:
        """Those whose bridge has gone without a word are forgotten."""
        try:
            loaded = json.loads(self.note.read_text())
            users = {str(bridge) for bridge in loaded["users"] if (self.links / str(bridge)).exists()}
            return _Note(users, {str(device): str(value) for device, value in loaded["before"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return _Note()

    def _write(self, note: _Note) -> None:
        fresh = self.note.with_suffix(".tmp")
        fresh.write_text(json.dumps({"users": sorted(note.users), "before": note.before}))
        fresh.replace(self.note)

    def _set(self, device: str, value: str) -> None:
        with contextlib.suppress(OSError):
            (self.settings / device / "forwarding").write_text(value)
