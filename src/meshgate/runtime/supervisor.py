"""The life of one pod: its place, its sidecar, its containers, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime

import structlog

from meshgate.runtime.backoff import Backoff
from meshgate.runtime.commands import CommandFailed
from meshgate.runtime.containers import Container
from meshgate.runtime.handover import handing_over
from meshgate.runtime.keeper import Keeper
from meshgate.runtime.placement import Placement
from meshgate.runtime.pod_parts import PodParts, PodTools
from meshgate.runtime.records import ProcessRecord
from meshgate.runtime.spec import PodSpec
from meshgate.runtime.status import Phase, PodStatus

_log = structlog.get_logger(__name__)
_WITHDRAW_DEADLINE_S = 15
_PROXY_GRACE_S = 5
_BYPASS_RETRY_S = 0.2
_LEAST_GRACE_S = 2
"""For SIGTERM, where a hook took the whole grace; the kubelet's number."""


class PodSupervisor:
    """Runs one pod until it is stopped."""

    def __init__(self, spec: PodSpec, placement: Placement, tools: PodTools) -> None:
        self.spec = spec
        self.placement = placement
        self._tools = tools
        self._started_at: datetime = tools.clock.now()
        self._stopping = False
        self._adopted = False
        self._gone = False
        self._place_message = self._stop_failed = ""
        self._bypassed: bool | None = False
        """None: not known, because an earlier control plane may have changed it."""
        self._ready_since: float | None = None
        self._ready_changed = asyncio.Event()
        self._parts = PodParts(spec, placement, tools, self._changed)
        self._keepers, self._proxy = self._parts.keepers, self._parts.proxy
        self._task: asyncio.Task[None] | None = None
        self._stop_task: asyncio.Task[None] | None = None
        self._preparing: asyncio.Future[None] | None = None

    # ---- running ----

    def adopt(self, processes: Mapping[str, ProcessRecord]) -> None:
        """Takes over what runs of the pod already; call before `start`."""
        self._adopted = True
        self._bypassed = None
        for keeper in self._keepers:
            recorded = processes.get(keeper.name)
            if recorded is not None:
                keeper.adopt(recorded)

    def start(self) -> None:
        """Begins to run the pod."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"pod {self.spec.key}")
        self._changed()

    async def _run(self) -> None:
        try:
            await self._settle()
            async with asyncio.TaskGroup() as keepers:
                if self._proxy is not None:
                    keepers.create_task(self._proxy.run())
                    if not self.spec.host_network:
                        keepers.create_task(self._follow_sidecar(self._proxy))
                for app in self._parts.apps:
                    keepers.create_task(self._run_app(app))
        except Exception:
            # A bug that hits one pod must leave the others running.
            self._place_message = "stopped by a bug of meshgate; see its log"
            _log.exception("pod_failed", pod=str(self.spec.key))
            self._changed()

    async def _settle(self) -> None:
        """Makes the pod's place, again and again with back-off until it succeeds."""
        backoff = Backoff()
        while not self._adopted:
            try:
                preparing = self._tools.place.prepare(self.spec, self.placement)
                self._preparing = asyncio.ensure_future(preparing)
                # Half a namespace must not go on being made while the pod's end removes it.
                await asyncio.shield(self._preparing)
                break
            except (CommandFailed, OSError) as failed:
                self._place_message = str(failed)
                _log.error("pod_place_failed", pod=str(self.spec.key), reason=self._place_message)
                self._changed()
                await asyncio.sleep(backoff.after_run(0))
        self._place_message = ""
        if self._adopted:
            with contextlib.suppress(CommandFailed):
                await self._tools.place.reach_services(self.spec, self.placement)

    async def _run_app(self, app: Keeper) -> None:
        while self._proxy is not None and app.pid is None:
            # The application's first call must find its sidecar ready.
            if self._proxy.became_ready.is_set() or self._bypassed:
                break
            await self._next_change()
        await app.run()

    async def _follow_sidecar(self, proxy: Keeper) -> None:
        """Leads traffic past a sidecar that has ended, and through it again once it is ready."""
        while not self._stopping:
            wanted = self.spec.bypass and not proxy.ready and proxy.restarts > 0
            if wanted == self._bypassed:
                await self._next_change()
                continue
            try:
                await self._tools.place.set_bypass(self.spec, self.placement, wanted)
            except (CommandFailed, OSError) as failed:
                _log.error("sidecar_bypass_failed", pod=str(self.spec.key), reason=str(failed))
                await asyncio.sleep(_BYPASS_RETRY_S)
                continue
            told, self._bypassed = bool(self._bypassed), wanted
            if told != wanted:
                _log.warning("sidecar_bypassed" if wanted else "sidecar_back", pod=str(self.spec.key))
                self._changed()

    # ---- reporting ----

    @property
    def ready(self) -> bool:
        """Whether the pod may be sent requests."""
        keepers = self._parts.apps if self._bypassed else self._keepers
        return not self._stopping and bool(keepers) and all(keeper.ready for keeper in keepers)

    @property
    def available(self) -> bool:
        """Whether it has been ready for as long as its rollout asks for."""
        if not self.ready or self._ready_since is None:
            return False
        now = asyncio.get_running_loop().time()
        return self._adopted or now - self._ready_since >= self.spec.rollout.min_ready_s

    @property
    def proxied(self) -> bool:
        """Whether its proxy serves, which it does to the end."""
        return self._proxy is not None and self._proxy.ready

    @property
    def stopping(self) -> bool:
        """Whether its end has begun."""
        return self._stopping

    async def wait_ready(self) -> None:
        """Returns once the pod is ready; the caller sets the deadline."""
        while not self.ready:
            await self._next_change()

    async def _next_change(self) -> None:
        self._ready_changed.clear()
        await self._ready_changed.wait()

    def refresh(self, spec: PodSpec, placement: Placement) -> None:
        """Takes a spec of the same hash and its placement: labels and service ports may differ."""
        if (spec, placement) == (self.spec, self.placement):
            return
        self.spec, self.placement = spec, placement
        self._tools.records.set_spec(spec)
        if self._parts.sidecar is not None:
            self._parts.sidecar.pod, self._parts.sidecar.placement = spec, placement
        self._changed()

    def status(self) -> PodStatus:
        """The pod as it is now."""
        spec, place = self.spec, self.placement
        return PodStatus(
            name=spec.name,
            namespace=spec.namespace,
            spec_hash=spec.spec_hash,
            workload=spec.workload,
            labels=spec.labels,
            ip=place.ip,
            phase=self._phase(),
            ready=self.ready,
            available=self.available,
            bypassed=bool(self._bypassed),
            restarts=sum(keeper.restarts for keeper in self._keepers),
            port_map=place.app_ports,
            inbound_ports=place.inbound_ports,
            service_ports=place.service_ports,
            outbound_port=place.outbound_port or None,
            pids={keeper.name: keeper.pid for keeper in self._keepers if keeper.pid is not None},
            started_at=self._started_at,
            message=self._message(),
        )

    def _phase(self) -> Phase:
        if self._gone:
            return Phase.GONE
        if self._stopping:
            return Phase.TERMINATING
        if any(keeper.crash_looping for keeper in self._keepers):
            return Phase.CRASH_LOOP
        running = all(keeper.pid is not None for keeper in self._keepers)
        return Phase.RUNNING if running else Phase.PENDING

    def _message(self) -> str:
        if self._bypassed and self._proxy is not None and self.ready:
            return f"goes on without its sidecar, which is down: {self._proxy.message}"
        if self._gone or self.ready:
            return ""
        if self._stopping:
            return self._stop_failed or "stopping"
        if self._place_message:
            return self._place_message
        for keeper in self._keepers:
            if not keeper.ready:
                said = f"{keeper.name}: {keeper.message}"
                if keeper is self._proxy and keeper.pid is None and self._parts.sidecar is not None:
                    said = "; ".join((said, *self._parts.sidecar.last_lines()))
                return said
        return ""

    def _changed(self) -> None:
        self._ready_changed.set()
        if not self.ready:
            self._ready_since = None
        elif self._ready_since is None:
            loop = asyncio.get_running_loop()
            self._ready_since = loop.time()
            if self.spec.rollout.min_ready_s:
                loop.call_later(self.spec.rollout.min_ready_s + 0.01, self._changed)
        self._tools.report(self.status())

    # ---- ending ----

    def begin_stop(self) -> asyncio.Task[None]:
        """Starts the pod's end once; the same task for every caller."""
        if self._stop_task is None:
            self._stopping = True
            self._stop_task = asyncio.get_running_loop().create_task(self._stop())
            self._stop_task.add_done_callback(self._stopped)
        return self._stop_task

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Says why a pod stays as it is: a process that SIGKILL does not end, a disk that is full."""
        failed = None if task.cancelled() else task.exception()
        if failed is not None:
            self._stop_failed = f"cannot be ended: {str(failed) or type(failed).__name__}"
            _log.error("pod_stop_failed", pod=str(self.spec.key), exc_info=failed)
            self._changed()

    async def _stop(self) -> None:
        """Withdraw, drain and hooks, SIGTERM to the containers, then to Envoy, then remove the place."""
        self._tools.records.set_ending(self.spec.key)
        self._changed()
        with handing_over() if self.spec.host_network else contextlib.nullcontext():
            drained = asyncio.ensure_future(self._withdraw_and_drain())
            await asyncio.gather(*(self._stop_app(*app, drained) for app in self._parts.containers), drained)
            if self._proxy is not None:
                await self._proxy.stop(_PROXY_GRACE_S)
        await self._end_task()
        await self._tools.place.remove(self.spec, self.placement)
        self._tools.records.remove_pod(self.spec.key)
        self._gone = True
        self._changed()
        _log.info("pod_removed", pod=str(self.spec.key))

    async def _withdraw_and_drain(self) -> None:
        if self._proxy is None or self._proxy.became_ready.is_set():
            await self._withdraw()
            if self._parts.sidecar is not None:
                await self._parts.sidecar.drain()

    async def _stop_app(self, container: Container, app: Keeper, drained: asyncio.Future[None]) -> None:
        """The hook runs while requests drain; what it takes is taken from the grace, as in Kubernetes."""
        grace_s = self.spec.termination_grace_s
        took_s = await container.before_stop(app, grace_s)
        await asyncio.wait([drained])
        await app.stop(max(grace_s - took_s, min(grace_s, _LEAST_GRACE_S)))

    async def _withdraw(self) -> None:
        """Waits until nobody sends new requests; goes on after 15 s, or if the caller has a bug."""
        try:
            async with asyncio.timeout(_WITHDRAW_DEADLINE_S):
                await self._tools.withdraw(self.status())
        except TimeoutError:
            _log.warning("endpoint_withdrawal_late", pod=str(self.spec.key))
        except Exception:
            _log.exception("endpoint_withdrawal_failed", pod=str(self.spec.key))

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._preparing is not None:
            await asyncio.gather(self._preparing, return_exceptions=True)

    async def abandon(self) -> None:
        """Lets all processes run on; another control plane may adopt them."""
        if self._stop_task is not None:
            self._stop_task.cancel()
            await asyncio.gather(self._stop_task, return_exceptions=True)
        for keeper in self._keepers:
            keeper.abandon()
        await self._end_task()
