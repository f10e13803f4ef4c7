"""Rules for pods without a sidecar, with a kernel that does what the test wants."""

from __future__ import annotations

import asyncio
from pathlib import Path

from meshgate.runtime.commands import CommandFailed
from meshgate.runtime.netns import Network
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import Placement
from meshgate.runtime.places import Places
from meshgate.runtime.ports import PortAllocator
from meshgate.runtime.records import NetworkRecord
from meshgate.runtime.redirect import Services, service_ruleset
from meshgate.runtime.spec import PodSpec
from tests.unit.runtime.tools import make_pod, run

ONE: Services = {"10.0.8.1": {80: (("10.0.0.2", 8080),)}}
TWO: Services = {"10.0.8.1": {80: (("10.0.0.3", 8080),)}}


class Kernel(Network):
    """Keeps what was loaded by namespace; refuses as often as it is told to."""

    def __init__(self) -> None:
        super().__init__("tag", NetworkRecord(bridge="mgtag", subnet="10.0.0.0/20"))
        self.loaded: dict[str, str] = {}
        self.refusals: dict[str, int] = {}

    async def load_rules(self, netns: str, text: str) -> None:
        await asyncio.sleep(0)
        if self.refusals.get(netns, 0) > 0:
            self.refusals[netns] -= 1
            raise CommandFailed(f"ip netns exec {netns}: too busy")
        self.loaded[netns] = text


async def placed(places: Places, *pods: PodSpec) -> list[Placement]:
    found = [places.plan(pod) for pod in pods]
    for pod, placement in zip(pods, found, strict=True):
        await places.reach_services(pod, placement)
    return found


def test_rules_that_could_not_be_loaded_are_not_taken_for_loaded(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel()
        places = Places(RuntimePaths.of(tmp_path), PortAllocator(tmp_path / "ports.json"), kernel)
        one, two = await placed(places, make_pod("one"), make_pod("two"))
        kernel.refusals = {one.netns: 1}
        await places.set_services(ONE)
        assert kernel.loaded == dict.fromkeys((one.netns, two.netns), service_ruleset(ONE)), "tried again"
        kernel.refusals = {one.netns: 2}
        await places.set_services(TWO)
        assert kernel.loaded == {one.netns: service_ruleset(ONE), two.netns: service_ruleset(TWO)}
        await places.set_services(TWO)
        assert kernel.loaded[one.netns] == service_ruleset(TWO), "nothing has changed but that it was missing"

    run(body())
