"""`LocalRuntime`: makes what runs equal to what is wanted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from meshgate.runtime import leftovers
from meshgate.runtime.daemons import Daemons
from meshgate.runtime.dns_daemon import dns_daemon, write_table
from meshgate.runtime.dns_table import DnsTable
from meshgate.runtime.envoy_process import PROXY_CONTAINER
from meshgate.runtime.exec_plan import ExecPlan, exec_plan
from meshgate.runtime.guard import note_guard
from meshgate.runtime.log_files import keep_rotated
from meshgate.runtime.netns import Network
from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import Placement
from meshgate.runtime.places import Places, record_of
from meshgate.runtime.pod_parts import PodTools
from meshgate.runtime.ports import PortAllocator, Stretch
from meshgate.runtime.records import PodRecord, Records
from meshgate.runtime.redirect import PROXY_UID, Services
from meshgate.runtime.rolling import moves
from meshgate.runtime.spec import Isolation, PodKey, PodSpec
from meshgate.runtime.status import Phase, PodStatus, StatusQueue
from meshgate.runtime.supervisor import PodSupervisor

_log = structlog.get_logger(__name__)


class LocalRuntime:
    """Runs pods on this machine. `adopt` first, then `apply` at will, `shutdown` last."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.paths = RuntimePaths.of(options.state)
        self.statuses = StatusQueue()
        """The newest status of each pod whose state changed; for one reader."""
        self._options = options
        self._records: Records | None = None
        self._network: Network | None = None
        self._stretch: Stretch | None = None
        self._places: Places | None = None
        self._daemons: Daemons | None = None
        self._names: DnsTable | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._removals: set[asyncio.Task[None]] = set()
        self._desired: dict[PodKey, PodSpec] = {}
        self._pods: dict[PodKey, PodSupervisor] = {}
        self._adoptable: dict[PodKey, PodRecord] = {}
        self._left: dict[PodKey, PodSpec] = {}
        """How the adoptable run, as far as that was kept."""
        self._closing = False
        self._reconcile_due = False

    # ---- beginning ----

    async def adopt(self) -> tuple[PodKey, ...]:
        """Takes the state directory over and removes what is dead or no longer fits this machine.

        Returns the pods that still run; the next `apply` keeps those that it asks for, with
        their processes untouched, and the rest until others have taken over. Raises
        `records.StateInUse` where another meshgate runs on the state, `commands.CommandFailed`
        where the network cannot be made.
        """
        self.paths.create()
        note_guard(self.paths.run)
        records = self._records = Records(self.paths.records)
        bridge_stood = await self._make_network(records)
        self._stretch = Stretch(self.paths.ports)
        ports = PortAllocator(self.paths.ports, self._options.reserved_ports, first=self._stretch.first)
        places = self._places = Places(self.paths, ports, self._network)
        old = self._network or (
            Network(self.paths.tag, records.state.network) if records.state.network else None
        )
        removals = []
        for pod in records.state.pods.values():
            if (bridge_stood or not pod.netns) and places.still_there(pod) and leftovers.is_running(pod):
                self._adoptable[pod.key] = pod
                if (spec := records.spec(pod.key)) is not None:
                    self._left[pod.key] = spec
                if self._network is not None and pod.netns:
                    self._network.place(pod.key, pod.ip)
            else:
                removals.append(leftovers.remove_pod(pod, records, self.paths, old))
        await asyncio.gather(*removals)
        await self._start_daemons(records)
        await self._leave_network(records, old)
        self._spawn(partial(keep_rotated, self._log_files, self._options.log_max_bytes))
        return tuple(self._adoptable)

    async def _make_network(self, records: Records) -> bool:
        """Makes the bridge in netns isolation; True if it was there, with its pods."""
        if self._options.isolation is not Isolation.NETNS:
            return False
        network = self._network = Network(self.paths.tag, records.state.network)
        stood = network.stands()
        records.set_network(network.record)
        await network.create()
        return stood

    async def _leave_network(self, records: Records, old: Network | None) -> None:
        """Removes the network of an earlier run where this one uses ports."""
        if self._network is None and old is not None:
            await old.delete()
            records.set_network(None)

    async def _start_daemons(self, records: Records) -> None:
        """Keeps DNS, in netns isolation, and what the caller asked for; ends what nobody wants."""
        wanted = list(self._options.daemons)
        if self._network is not None:
            wanted.append(dns_daemon(self.paths, self._network.gateway, self._options.cluster_domain))
        self._daemons = Daemons(self.paths, records, self.open_socket_to_proxies)
        await self._daemons.end_others({d.name for d in (*wanted, *self._options.on_demand)})
        for daemon in wanted:
            self._spawn(self._daemons.keep(daemon))
        await self._daemons.wait_until_ready()

    async def want(self, names: Collection[str]) -> None:
        """Starts those of `on_demand`, and returns when they are ready. Once started they stay.

        Also where an earlier control plane did it: a gateway that has not heard of the newest
        configuration may ask them still.
        """
        daemons = self._daemons
        assert daemons is not None, "adopt() comes first"
        on_demand = [d for d in self._options.on_demand if d.name in names or daemons.left(d.name)]
        started = [d for d in on_demand if not daemons.keeps(d.name)]
        for daemon in started:
            self._spawn(daemons.keep(daemon))
        if started:
            await daemons.wait_until_ready()
        await daemons.end_unwanted(d.name for d in self._options.on_demand)

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        async def body() -> None:
            try:
                await work()
            except Exception:
                _log.exception("runtime_task_failed")

        self._tasks.append(asyncio.get_running_loop().create_task(body()))

    @property
    def _tools(self) -> PodTools:
        assert self._records is not None, "adopt() comes first"
        assert self._places is not None
        return PodTools(
            paths=self.paths,
            records=self._records,
            sidecars=self._options.sidecars,
            environments=self._options.environments,
            place=self._places,
            report=self._report,
            withdraw=self._options.withdraw,
            clock=self._options.clock,
        )

    # ---- reconciling ----

    async def apply(self, pods: Sequence[PodSpec]) -> None:
        """Makes `pods` what is wanted and begins to get there; returns before it is reached.

        A pod whose `spec_hash` is new replaces the workload's old ones step by step, see
        `PodSpec.rollout`. Pods that were adopted are reported, ready as they were, before this
        returns.
        """
        self._desired = {pod.key: pod for pod in pods}
        self._take_over()
        self._reconcile()

    def _take_over(self) -> None:
        """Supervises what was adopted, wanted or not: a pod goes as others do, once it may be missed."""
        for key, record in tuple(self._adoptable.items()):
            spec = self._desired.get(key) or self._left.get(key)
            if spec is None:
                self._remove_leftover(self._adoptable.pop(key))
                continue
            self._begin(spec)
            if record.ending:
                self._pods[key].begin_stop()
        self._left.clear()

    def _remove_leftover(self, pod: PodRecord) -> None:
        assert self._records is not None
        work = leftovers.remove_pod(pod, self._records, self.paths, self._network)
        task = asyncio.get_running_loop().create_task(work)
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    def _reconcile(self) -> None:
        """Starts what is missing, refreshes what stays, begins the end of what may go."""
        self._reconcile_due = False
        if self._closing:
            return
        for key, pod in self._desired.items():
            running = self._pods.get(key)
            if running is not None and not running.stopping:
                assert self._places is not None
                running.refresh(pod, self._places.plan(pod))
        step = moves(self._desired, self._pods)
        for key in step.begin:
            self._begin(self._desired[key])
        for key in step.end:
            self._pods[key].begin_stop()

    def _begin(self, pod: PodSpec) -> None:
        """Records the pod, adopts what runs of it, and starts its supervisor."""
        assert self._places is not None
        assert self._records is not None
        record = self._adoptable.pop(pod.key, None)
        placement = self._places.plan(pod, record)
        self._records.set_spec(pod)
        if record is None:
            self._records.set_pod(record_of(pod, placement))
        supervisor = PodSupervisor(pod, placement, self._tools)
        if record is not None:
            supervisor.adopt(record.processes)
        self._pods[pod.key] = supervisor
        supervisor.start()

    def _report(self, status: PodStatus) -> None:
        self.statuses.put(status)
        if status.phase is Phase.GONE:
            self._pods.pop(status.key, None)
        if not self._reconcile_due and not self._closing:
            # Later, not here: a report comes from inside of what reconciling would change.
            self._reconcile_due = True
            asyncio.get_running_loop().call_soon(self._reconcile)

    # ---- asking ----

    def pods(self) -> tuple[PodStatus, ...]:
        """Every pod as it is now, replaced ones included until they are gone."""
        return tuple(pod.status() for pod in self._pods.values())

    def troubles(self) -> tuple[tuple[str, str], ...]:
        """(daemon, what happened) of each process for all pods that does not run."""
        return self._daemons.troubles() if self._daemons else ()

    def proxied(self) -> tuple[PodSpec, ...]:
        """Every pod whose proxy serves."""
        return tuple(pod.spec for pod in self._pods.values() if pod.proxied)

    def specs(self) -> tuple[PodSpec, ...]:
        """Every pod that runs, those that were adopted before the first `apply` included."""
        return (*self._left.values(), *(pod.spec for pod in self._pods.values()))

    def supervised(self) -> tuple[tuple[PodSpec, Placement], ...]:
        """Every pod that runs or is being stopped, with its place."""
        return tuple((pod.spec, pod.placement) for pod in self._pods.values())

    def placement(self, key: PodKey) -> Placement:
        """Where the pod is; raises `KeyError` for one that does not run."""
        return self._pods[key].placement

    @property
    def network(self) -> Network | None:
        """The bridge's address and subnets in netns isolation."""
        return self._network

    def set_names(self, table: DnsTable) -> None:
        """What DNS answers inside the pods. Without effect in ports isolation."""
        if self._network is not None and table != self._names:
            write_table(self.paths, table)
            self._names = table

    async def set_services(self, services: Services) -> None:
        """Where service addresses lead in pods that have no sidecar, as kube-proxy would; TCP.

        Addresses should be of `network.service_subnet`. Without effect in ports isolation.
        """
        if self._places is not None:
            await self._places.set_services(services)

    def open_socket_to_proxies(self, path: Path) -> None:
        """Lets Envoy, and no other user, connect to a Unix socket that the caller has bound."""
        if self._network is not None:
            os.chown(path, -1, PROXY_UID)
        path.chmod(0o660)

    def exec_in(self, key: PodKey, argv: Sequence[str], container: str | None = None) -> ExecPlan:
        """How to run a command in the pod's place in the mesh; raises `KeyError` where it does not run."""
        pod = self._pods[key]
        return exec_plan(pod.spec, pod.placement, argv, container, self._options.environments)

    def logs(self, key: PodKey) -> Mapping[str, Path]:
        """Container -> its log file, the sidecar's included; older parts end in `.1`, `.2`, `.3`."""
        pod = self._pods[key].spec
        names = [container.name for container in pod.containers]
        names += [PROXY_CONTAINER] if pod.meshed else []
        return {name: self.paths.log(pod.namespace, pod.name, name) for name in names}

    def _log_files(self) -> list[Path]:
        files = [path for key in self._pods for path in self.logs(key).values()]
        return [*files, *(self._daemons.logs() if self._daemons else ())]

    # ---- ending ----

    async def shutdown(self, *, clean: bool = True) -> None:
        """Drains and removes everything, gateways first; nothing but logs is left behind.

        With `clean=False` everything runs on, for another control plane to adopt.
        """
        self._closing = True
        if clean:
            await self._stop_pods()
        else:
            await asyncio.gather(*(pod.abandon() for pod in self._pods.values()))
        if self._daemons is not None:
            if clean:
                await self._daemons.stop()
            else:
                self._daemons.abandon()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._removals, return_exceptions=True)
        if clean and self._records is not None:
            if self._network is not None:
                await self._network.delete()
                self._records.set_network(None)
            self.paths.remove()
        if self._stretch is not None:
            self._stretch.close()
        if self._records is not None:
            self._records.close()

    async def _stop_pods(self) -> None:
        for record in self._adoptable.values():
            self._remove_leftover(record)
        self._adoptable.clear()
        gateways = [pod for pod in self._pods.values() if pod.spec.host_network]
        for pods in (gateways, tuple(self._pods.values())):
            await asyncio.gather(*(pod.begin_stop() for pod in pods), return_exceptions=True)
