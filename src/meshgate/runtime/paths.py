"""Where the runtime keeps its files: logs and records in the state directory, sockets on a short path."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from meshgate.runtime.spec import PodKey


def state_tag(state: Path) -> str:
    """6 hex digits that tell one state directory's links and namespaces from another's."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:6]


def run_root() -> Path:
    """A short directory: a Unix socket's path holds 107 bytes, and a state directory may be deep.

    It also has to be reachable by Envoy's own user, which a home directory is not.
    """
    if os.geteuid() == 0:
        return Path("/run/meshgate") if Path("/run").is_dir() else Path("/var/run/meshgate")
    return Path(tempfile.gettempdir()) / f"meshgate-{os.geteuid()}"


class UnsafeRunDirectory(Exception):
    """Somebody else made the directory that our sockets belong in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimePaths:
    """The paths of one state directory."""

    state: Path
    run: Path
    """Sockets, bootstraps, the DNS table; removed by a clean shutdown."""

    @classmethod
    def of(cls, state: Path) -> RuntimePaths:
        """Names the paths; makes nothing."""
        return cls(state=state, run=run_root() / state_tag(state))

    @property
    def tag(self) -> str:
        """See `state_tag`."""
        return state_tag(self.state)

    @property
    def records(self) -> Path:
        """Directory of `records.json`."""
        return self.state / "run"

    @property
    def ports(self) -> Path:
        """File of the port allocator."""
        return self.state / "ports.json"

    @property
    def xds_socket(self) -> Path:
        """Where the caller shall serve xDS to the sidecars, in every isolation."""
        return self.run / "xds.sock"

    @property
    def dns_table(self) -> Path:
        """Names and their addresses, read by the DNS process."""
        return self.run / "dns.json"

    def log(self, namespace: str, pod: str, container: str) -> Path:
        """The log of one container; kept when the pod is gone."""
        return self.state / "logs" / namespace / pod / f"{container}.log"

    def daemon_log(self, name: str) -> Path:
        """The log of a process that serves all pods."""
        return self.state / "logs" / f"{name}.log"

    def pod(self, key: PodKey) -> Path:
        """The pod's own directory for its bootstrap and admin socket."""
        return self.run / key.digest

    def create(self) -> None:
        """Makes the run directory; raises `UnsafeRunDirectory` where another user owns its parent."""
        for directory in (self.run.parent, self.run):
            directory.mkdir(mode=0o711, exist_ok=True)
            found = directory.lstat()
            if found.st_uid != os.geteuid() or directory.is_symlink():
                raise UnsafeRunDirectory(f"{directory} belongs to another user")
            directory.chmod(0o711)
        self.state.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Removes the run directory, and its parent where no other state uses it."""
        shutil.rmtree(self.run, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.run.parent.rmdir()


def left_behind(state: Path) -> bool:
    """Whether a control plane began on the state directory and did not end in order."""
    return (RuntimePaths.of(state).records / "records.json").exists()
