"""Plans, makes and removes the place of a pod, in either isolation."""

from __future__ import annotations

import asyncio
import shutil
from typing import assert_never

import structlog

from meshgate.runtime.commands import CommandFailed
from meshgate.runtime.netns import Network, PodNetwork
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import LOOPBACK, Placement, PortPlan, netns_ports
from meshgate.runtime.ports import PortAllocator
from meshgate.runtime.records import PodRecord
from meshgate.runtime.redirect import (
    RedirectRules,
    Services,
    bypass_ruleset,
    restored_ruleset,
    service_ruleset,
)
from meshgate.runtime.spec import Isolation, PodKey, PodSpec

_log = structlog.get_logger(__name__)


class Places:
    """The places of all pods of one runtime; a `supervisor.Place`."""

    def __init__(self, paths: RuntimePaths, ports: PortAllocator, network: Network | None) -> None:
        """`network` is there in netns isolation, and only there."""
        self._paths = paths
        self._ports = ports
        self._network = network
        self._plans: dict[PodKey, PortPlan] = {}
        self._services: Services = {}
        self._service_pods: dict[PodKey, str] = {}
        """Pods without a sidecar and their namespaces: the kernel sends them to services."""
        self._outdated: set[PodKey] = set()
        """Those of them whose rules could not be loaded; tried again with the next change of any pod."""
        self._loading = asyncio.Lock()

    @property
    def isolation(self) -> Isolation:
        """How pods are kept apart."""
        return Isolation.NETNS if self._network else Isolation.PORTS

    def plan(self, pod: PodSpec, record: PodRecord | None = None) -> Placement:
        """The pod's place, by name; makes nothing. With a record, the place it has already.

        Calling it again gives the same ports, and new ones for new `service_ports` only.
        """
        network = None
        match self.isolation:
            case Isolation.PORTS:
                plan = self._plans.setdefault(pod.key, PortPlan(self._ports, pod.key))
                ports = plan.hold(pod, adopted=record is not None)
                ip = LOOPBACK
            case Isolation.NETNS:
                assert self._network is not None
                ports = netns_ports(pod)
                ip = self._network.gateway
                if not pod.host_network:
                    network = self._network.place(pod.key, record.ip if record else "")
                    ip = network.ip
            case _:
                assert_never(self.isolation)
        apps, inbound, outbound, services = ports
        run_dir = self._paths.pod(pod.key)
        return Placement(
            isolation=self.isolation,
            ip=ip,
            app_ports=apps,
            inbound_ports=inbound,
            outbound_port=outbound,
            service_ports=services,
            run_dir=run_dir,
            admin_socket=run_dir / "admin.sock",
            xds_socket=self._paths.xds_socket,
            netns=network.netns if network else "",
            link=network.link if network else "",
            dns_address=self._network.gateway if self._network else "",
        )

    def still_there(self, record: PodRecord) -> bool:
        """Whether what the pod stands on exists, so that it can be adopted."""
        if record.isolation is not self.isolation:
            return False
        if self._network is None or not record.netns:
            return True
        return self._network.exists(PodNetwork(netns=record.netns, link=record.link, ip=record.ip))

    async def prepare(self, pod: PodSpec, placement: Placement) -> None:
        """Makes the namespace with its link, resolver and rules; nothing in ports isolation."""
        if self._network is None or not placement.netns:
            return
        rules = self._rules(self._network, pod) if pod.meshed else None
        await self._network.add_pod(pod.key, _network_of(placement), rules)
        await self.reach_services(pod, placement)

    async def reach_services(self, pod: PodSpec, placement: Placement) -> None:
        """From now on a pod without a sidecar has the rules of `set_services`."""
        if self._network is None or not placement.netns or (pod.meshed and not pod.capture.leaves_out_calls):
            return
        async with self._loading:
            await self._network.load_rules(placement.netns, service_ruleset(self._services))
            self._service_pods[pod.key] = placement.netns

    async def set_bypass(self, pod: PodSpec, placement: Placement, bypass: bool) -> None:
        """Leads the pod's traffic past its sidecar, or through it again; ports need no rules."""
        if self._network is None or not placement.netns:
            return
        async with self._loading:
            if bypass:
                await self._network.load_rules(placement.netns, bypass_ruleset(self._services))
                self._service_pods[pod.key] = placement.netns
            else:
                self._service_pods.pop(pod.key, None)
                rules = restored_ruleset(self._rules(self._network, pod))
                await self._network.load_rules(placement.netns, rules)
        if not bypass:
            await self.reach_services(pod, placement)

    def _rules(self, network: Network, pod: PodSpec) -> RedirectRules:
        return RedirectRules(dns_address=network.gateway, capture=pod.capture)

    async def set_services(self, services: Services) -> None:
        """Makes the service addresses lead to these pods, in all pods without a sidecar."""
        async with self._loading:
            if self._network is None:
                return
            changed, self._services = services != self._services, services
            late = [key for key in self._service_pods if changed or key in self._outdated]
            await asyncio.gather(*(self._load_services(self._network, key) for key in late))

    async def _load_services(self, network: Network, key: PodKey) -> None:
        """Tries it twice: a machine that is busy for a moment must leave no pod with rules of yesterday."""
        for _ in range(2):
            netns = self._service_pods.get(key)
            if netns is None:
                break
            try:
                await network.load_rules(netns, service_ruleset(self._services))
                break
            except CommandFailed as failed:
                _log.warning("service_rules_failed", pod=str(key), reason=str(failed))
        else:
            self._outdated.add(key)
            return
        self._outdated.discard(key)

    async def remove(self, pod: PodSpec, placement: Placement) -> None:
        """Removes what `prepare` made, and gives address and ports back."""
        self._service_pods.pop(pod.key, None)
        self._outdated.discard(pod.key)
        if self._network is not None and placement.netns:
            await self._network.delete_pod(_network_of(placement))
            self._network.release(pod.key)
        plan = self._plans.pop(pod.key, None)
        if plan is not None:
            plan.release()
        shutil.rmtree(placement.run_dir, ignore_errors=True)


def _network_of(placement: Placement) -> PodNetwork:
    return PodNetwork(netns=placement.netns, link=placement.link, ip=placement.ip)


def record_of(pod: PodSpec, placement: Placement) -> PodRecord:
    """What is written down of a pod in its place before anything of it is made."""
    return PodRecord(
        namespace=pod.namespace,
        name=pod.name,
        spec_hash=pod.spec_hash,
        isolation=placement.isolation,
        ip=placement.ip,
        netns=placement.netns,
        link=placement.link,
    )
