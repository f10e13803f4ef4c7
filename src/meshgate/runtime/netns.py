"""Network namespaces: one per pod, joined by one bridge per state directory (Linux, root)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from meshgate.runtime.commands import CommandFailed, ip_batch, run, run_blocking
from meshgate.runtime.forwarding import Forwarding
from meshgate.runtime.host_firewall import close_firewall, open_firewall
from meshgate.runtime.paths import run_root
from meshgate.runtime.process_id import identify, signal_process
from meshgate.runtime.records import NetworkRecord
from meshgate.runtime.redirect import RedirectRules, machine_ruleset, ruleset
from meshgate.runtime.spec import PodKey

_POOL = ipaddress.IPv4Network("10.0.0.0/8")
_PREFIX = 20
_ETC = Path("/etc/netns")
CLUSTER_DOMAIN = "cluster.local"


def unavailable_reason() -> str | None:
    """Why network namespaces cannot be used here, in one sentence; None if they can.

    Tries it once for real, because containers often forbid what root may do elsewhere.
    """
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "nft", "setpriv"):
        if shutil.which(tool) is None:
            return f"the command `{tool}` is not installed"
    trial = f"mg-trial-{os.getpid()}"
    try:
        run_blocking(("ip", "netns", "add", trial))
    except CommandFailed as failed:
        return f"this machine allows no network namespaces ({failed})"
    try:
        run_blocking(
            ("ip", "netns", "exec", trial, "nft", "-f", "-"), ruleset(RedirectRules(dns_address="10.0.0.1"))
        )
        return None
    except CommandFailed as failed:
        return f"this machine's network namespaces take no redirect rules ({failed})"
    finally:
        with contextlib.suppress(CommandFailed):
            run_blocking(("ip", "netns", "delete", trial))


def choose_subnet(tag: str, routes: Collection[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """A /20 of 10.0.0.0/8 that no route overlaps; the same for the same tag and routes.

    Raises `RuntimeError` where all of 10.0.0.0/8 is routed elsewhere.
    """
    count = 1 << (_PREFIX - _POOL.prefixlen)
    first = int(hashlib.sha256(tag.encode()).hexdigest(), 16) % count
    for step in range(count):
        base = int(_POOL.network_address) + ((first + step) % count << (32 - _PREFIX))
        subnet = ipaddress.IPv4Network((base, _PREFIX))
        if not any(subnet.overlaps(route) for route in routes):
            return subnet
    raise RuntimeError("no free /20 in 10.0.0.0/8: every one overlaps a route of this machine")


def _routes() -> list[ipaddress.IPv4Network]:
    found = []
    for route in json.loads(run_blocking(("ip", "-4", "-j", "route", "show", "table", "all")) or "[]"):
        target = route.get("dst", "default")
        if target == "default":
            continue
        with contextlib.suppress(ValueError):
            found.append(ipaddress.IPv4Network(target, strict=False))
    return found


def _default_device() -> str | None:
    routes = json.loads(run_blocking(("ip", "-4", "-j", "route", "show", "default")) or "[]")
    return str(routes[0]["dev"]) if routes and "dev" in routes[0] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNetwork:
    """One pod's part of the network."""

    netns: str
    link: str
    """The machine's end; the pod's end is `eth0`."""
    ip: str


class Network:
    """The bridge of one state directory and the namespaces on it.

    The lower half of the subnet is for pods; the upper half (`service_subnet`) is never
    given to one, so that the caller may hand it out as service addresses.
    """

    def __init__(self, tag: str, record: NetworkRecord | None = None) -> None:
        """With a record, the same subnet as before; else one is chosen."""
        self._tag = tag
        subnet = ipaddress.IPv4Network(record.subnet) if record else choose_subnet(tag, _routes())
        self._pods, self.service_subnet = subnet.subnets(1)
        self.subnet = subnet
        self.bridge = f"mg{tag}"
        self.table = f"meshgate_{tag}"
        self.gateway = str(subnet.network_address + 1)
        self._taken: dict[PodKey, str] = {}
        self._forwarding = Forwarding(note=run_root() / "forwarding.json")

    @property
    def record(self) -> NetworkRecord:
        """What to keep on disk, before `create` is called."""
        return NetworkRecord(bridge=self.bridge, subnet=str(self.subnet))

    def stands(self) -> bool:
        """Whether the bridge is there."""
        return Path("/sys/class/net", self.bridge).exists()

    async def create(self) -> None:
        """Makes the bridge, its address and the way out; leaves alone what is there already."""
        if not self.stands():
            await ip_batch(
                (
                    # With an address of its own: else it has the lowest of its ports', which is another
                    # when that pod goes, and the pods that stay speak to nobody for up to 20 s.
                    f"link add {self.bridge} address {_mac(self.gateway)} type bridge",
                    f"addr add {self.gateway}/{_PREFIX} dev {self.bridge}",
                    f"link set {self.bridge} up",
                )
            )
        fresh = f"table ip {self.table}\ndelete table ip {self.table}\n"
        text = machine_ruleset(self.table, str(self.subnet), self.bridge, self.gateway)
        await run(("nft", "-f", "-"), fresh + text)
        await open_firewall(self.bridge)
        device = await asyncio.to_thread(_default_device)
        await asyncio.to_thread(self._forwarding.turn_on, self.bridge, *filter(None, (device,)))

    async def delete(self) -> None:
        """Removes the bridge and the rules; the last of this machine puts its settings back."""
        await asyncio.to_thread(self._forwarding.let_go, self.bridge)
        await close_firewall(self.bridge)
        for argv in (("ip", "link", "delete", self.bridge), ("nft", "delete", "table", "ip", self.table)):
            with contextlib.suppress(CommandFailed):
                await run(argv)

    def place(self, key: PodKey, ip: str = "") -> PodNetwork:
        """Names the pod's namespace and link and keeps an address for it (`ip` where it has one)."""
        if not ip:
            ip = self._taken.get(key) or self._free_address(key)
        self._taken[key] = ip
        return PodNetwork(
            netns=f"mg-{self._tag}-{key.name[:60]}-{key.digest[:6]}",
            link=f"mg{self._tag}{key.digest[:7]}",
            ip=ip,
        )

    def _free_address(self, key: PodKey) -> str:
        taken = set(self._taken.values())
        count = self._pods.num_addresses - 2
        first = int(key.digest, 16) % count
        for step in range(count):
            address = str(self._pods.network_address + 2 + (first + step) % count)
            if address not in taken:
                return address
        raise RuntimeError(f"all {count} pod addresses of {self._pods} are taken")

    def exists(self, pod: PodNetwork) -> bool:
        """Whether the pod's namespace and link are there."""
        return Path("/run/netns", pod.netns).exists() and Path("/sys/class/net", pod.link).exists()

    async def add_pod(self, key: PodKey, pod: PodNetwork, rules: RedirectRules | None) -> None:
        """Makes the namespace, its link, address, resolver and rules; after removing an old one."""
        await self.delete_pod(pod)
        _write_etc(key, pod, self.gateway)
        await ip_batch(
            (
                f"netns add {pod.netns}",
                # A pod that comes back under its address has its old link address too: others know it.
                f"link add {pod.link} type veth peer name eth0 address {_mac(pod.ip)} netns {pod.netns}",
                f"link set {pod.link} master {self.bridge} up",
            )
        )
        await ip_batch(
            (
                "link set lo up",
                f"addr add {pod.ip}/{_PREFIX} dev eth0",
                "link set eth0 up",
                f"route add default via {self.gateway}",
            ),
            netns=pod.netns,
        )
        await self.load_rules(pod.netns, ruleset(rules))

    async def load_rules(self, netns: str, text: str) -> None:
        """Gives the text to `nft` inside the namespace; all of it or nothing takes effect."""
        await run(("ip", "netns", "exec", netns, "nft", "-f", "-"), text)

    async def delete_pod(self, pod: PodNetwork) -> None:
        """Ends what still runs in the namespace and removes it, its link and its files."""
        if Path("/run/netns", pod.netns).exists():
            with contextlib.suppress(CommandFailed):
                for pid in (await run(("ip", "netns", "pids", pod.netns))).split():
                    process = identify(int(pid))
                    if process is not None:
                        signal_process(process, signal.SIGKILL)
            with contextlib.suppress(CommandFailed):
                await run(("ip", "netns", "delete", pod.netns))
        if Path("/sys/class/net", pod.link).exists():
            # The namespace is torn down in the kernel's own time; its link goes now.
            with contextlib.suppress(CommandFailed):
                await run(("ip", "link", "delete", pod.link))
        shutil.rmtree(_ETC / pod.netns, ignore_errors=True)
        with contextlib.suppress(OSError):
            _ETC.rmdir()

    def release(self, key: PodKey) -> None:
        """Lets others have the pod's address."""
        self._taken.pop(key, None)


def _mac(ip: str) -> str:
    """A link address that belongs to an IPv4 address: locally administered, unique on the bridge."""
    return "02:6d:" + ipaddress.IPv4Address(ip).packed.hex(":")


def _write_etc(key: PodKey, pod: PodNetwork, nameserver: str) -> None:
    """Writes what `ip netns exec` mounts over /etc for the pod's processes.

    The machine's own name is there too: many servers look it up at their start, and would ask
    the machine's resolvers for it.
    """
    directory = _ETC / pod.netns
    directory.mkdir(parents=True, exist_ok=True)
    search = f"{key.namespace}.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}"
    (directory / "resolv.conf").write_text(f"nameserver {nameserver}\nsearch {search}\noptions ndots:5\n")
    own = f"{pod.ip} {key.name} {socket.gethostname()}"
    (directory / "hosts").write_text(f"127.0.0.1 localhost\n{own}\n")


def enter_argv(netns: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs `argv` in the namespace; `ip` replaces itself, no wrapper stays."""
    return ("ip", "netns", "exec", netns, *argv) if netns else argv
