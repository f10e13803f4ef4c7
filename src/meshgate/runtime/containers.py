"""What it takes to run a pod's containers and its sidecar: their commands and their watchers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from meshgate.runtime import envoy_admin
from meshgate.runtime.envoy_process import EnvoyCommand
from meshgate.runtime.expansion import expand_all
from meshgate.runtime.keeper import Keeper
from meshgate.runtime.log_files import tail
from meshgate.runtime.netns import enter_argv
from meshgate.runtime.placement import Placement, SidecarFactory
from meshgate.runtime.probes import Prober, connect, first_success, startup, until_failed
from meshgate.runtime.process import Launch, SpawnFailed
from meshgate.runtime.spec import ContainerSpec, PodSpec, Probe

_log = structlog.get_logger(__name__)
_IMPLICIT_WAIT_S = 5
_ADMIN_POLL_S = 0.05
_LAST_LINES = 5


def _look_for(program: str, env: Mapping[str, str], cwd: str | None) -> None:
    folder = Path(cwd or ".")
    if not folder.is_dir():
        raise SpawnFailed(f"cannot start {program!r}: the folder {cwd} is not on this machine")
    # A path is meant from where the program runs; a name is looked up in its own environment.
    path = str(folder / program) if "/" in program else program
    if shutil.which(path, path=env.get("PATH", os.defpath)) is None:
        raise SpawnFailed(
            f"cannot start {program!r}: this machine has no such program, and images are not run here"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One application process of a pod."""

    pod: PodSpec
    spec: ContainerSpec
    placement: Placement
    env: Mapping[str, str]
    log: Path

    def launch(self, token: str) -> Launch:
        """Its command, inside the pod's namespace where it has one.

        Raises `SpawnFailed` where the program is not there: a namespace's door would only say that it failed.
        """
        argv = expand_all(self.spec.argv, self.env)
        _look_for(argv[0], self.env, self.spec.cwd)
        return Launch(
            argv=enter_argv(self.placement.netns, argv),
            env=self.env,
            cwd=self.spec.cwd,
            log=self.log,
            token=token,
        )

    async def watch(self, keeper: Keeper, adopted: bool) -> None:
        """Runs the probes: startup first, then readiness and liveness side by side."""
        prober = self._prober
        if not adopted and not (await self._hooked(keeper) and await self._started(keeper, prober)):
            return
        async with asyncio.TaskGroup() as probes:
            probes.create_task(self._readiness(keeper, prober, adopted))
            if self.spec.liveness is not None:
                probes.create_task(self._liveness(keeper, prober, self.spec.liveness, adopted))

    @property
    def _prober(self) -> Prober:
        return Prober(placement=self.placement, env=self.env, cwd=self.spec.cwd)

    async def _hooked(self, keeper: Keeper) -> bool:
        """The postStart hook; where it fails the container begins anew, as in Kubernetes."""
        if self.spec.post_start is None:
            return True
        verdict = await self._prober.act(self.spec.post_start)
        if not verdict.ok:
            await self._restart(keeper, f"postStart hook: {verdict.reason}")
        return verdict.ok

    async def before_stop(self, keeper: Keeper, grace_s: float) -> float:
        """Runs the preStop hook of a running container; the seconds that it took."""
        if self.spec.pre_stop is None or keeper.pid is None:
            return 0
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(grace_s):
                verdict = await self._prober.act(self.spec.pre_stop)
            reason = verdict.reason
        except TimeoutError:
            reason = f"not done within {grace_s:g} s"
        if reason:
            _log.warning("pre_stop_hook_failed", pod=str(self.pod.key), name=self.spec.name, reason=reason)
        return loop.time() - began

    async def _restart(self, keeper: Keeper, reason: str) -> None:
        grace_s = self.pod.termination_grace_s
        await keeper.restart(reason, max(grace_s - await self.before_stop(keeper, grace_s), 0))

    async def _started(self, keeper: Keeper, prober: Prober) -> bool:
        probe = self.spec.startup
        if probe is None:
            return True
        note = _noting(keeper, "startup probe")
        if await startup(probe, prober.check, note):
            return True
        await self._restart(keeper, f"startup probe failed: {keeper.message}")
        return False

    async def _readiness(self, keeper: Keeper, prober: Prober, adopted: bool) -> None:
        probe = self.spec.readiness
        if probe is None:
            if not adopted and self.spec.startup is None:
                await self._listening()
            keeper.set_ready(True)
            return
        if not adopted:
            await asyncio.sleep(probe.initial_delay_s)
        if not keeper.ready:
            await first_success(probe, prober.check, _noting(keeper, "readiness probe"))
            keeper.set_ready(True)
        while True:
            reason = await until_failed(probe, prober.check)
            keeper.set_ready(False, f"readiness probe: {reason}")
            await first_success(probe, prober.check, _noting(keeper, "readiness probe"))
            keeper.set_ready(True)

    async def _liveness(self, keeper: Keeper, prober: Prober, probe: Probe, adopted: bool) -> None:
        if not adopted:
            await asyncio.sleep(probe.initial_delay_s)
        reason = await until_failed(probe, prober.check)
        await self._restart(keeper, f"liveness probe: {reason}")

    async def _listening(self) -> None:
        """Waits up to 5 s until one of the pod's TCP ports accepts, where no probe says more.

        Kubernetes calls such a container ready at once, and its first requests fail.
        """
        ports = [port.number for port in self.pod.ports if port.protocol == "TCP"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IMPLICIT_WAIT_S):
                while ports:
                    for port in ports:
                        with contextlib.suppress(OSError):
                            (await connect(self.placement, port)).close()
                            return
                    await asyncio.sleep(_ADMIN_POLL_S)


def _noting(keeper: Keeper, what: str) -> Callable[[str], None]:
    return lambda reason: keeper.set_ready(keeper.ready, f"{what}: {reason}")


@dataclass(slots=True, kw_only=True)
class Sidecar:
    """The Envoy of a pod."""

    pod: PodSpec
    placement: Placement
    factory: SidecarFactory
    log: Path
    _log_start: int = 0

    def launch(self, token: str) -> Launch:
        """Its command; its bootstrap is made anew for each start."""
        with contextlib.suppress(OSError):
            self._log_start = self.log.stat().st_size
        command = EnvoyCommand(
            pod=self.pod, placement=self.placement, factory=self.factory, log=self.log, token=token
        )
        return command.launch()

    async def watch(self, keeper: Keeper, adopted: bool) -> None:
        """Waits until Envoy serves; it stays ready until it ends."""
        if adopted and keeper.ready:
            return
        keeper.set_ready(False, "waiting for Envoy and its first configuration")
        try:
            await envoy_admin.wait_ready(self.placement.admin_socket)
        except asyncio.CancelledError:
            if not keeper.stopping:
                last = self.last_lines()
                _log.error("envoy_ended_before_ready", pod=str(self.pod.key), last_lines=last)
            raise
        keeper.set_ready(True)

    def last_lines(self) -> tuple[str, ...]:
        """The last that the latest Envoy wrote, for the message about its end."""
        return tail(self.log, _LAST_LINES, self._log_start)

    async def drain(self) -> None:
        """Lets the requests in flight end; see `envoy_admin.drain`."""
        if self.pod.host_network:
            # Another gateway listens at the same port, or none shall: nothing new may come to this one.
            close = ""
        else:
            close = "?graceful&inboundonly" if self.pod.containers else "?graceful"
        await envoy_admin.drain(self.placement.admin_socket, self.pod.drain_s, close=close)
