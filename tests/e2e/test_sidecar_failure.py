"""What a dead sidecar means: `bypass` leads traffic past it until it is back, `block` does not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.placement import Placement
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import Isolation, PodSpec
from meshgate.runtime.status import PodStatus
from tests.unit.runtime.tools import Environments, Sidecars, fetch, make_pod, run, until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

CALL = (
    "import urllib.request as u, urllib.error as e\n"
    "try: print(u.urlopen('http://{}/', timeout=5).read().decode())\n"
    "except e.URLError as error: print(type(error.reason).__name__)"
)


class Frail(Sidecars):
    """Makes no bootstrap while `broken`, so that a sidecar that has ended stays away."""

    broken = False

    def bootstrap(self, pod: PodSpec, placement: Placement) -> bytes:
        if self.broken:
            raise OSError("no bootstrap for this sidecar")
        return super().bootstrap(pod, placement)


def status_of(runtime: LocalRuntime, pod: PodSpec) -> PodStatus:
    return next(status for status in runtime.pods() if status.key == pod.key)


async def call(runtime: LocalRuntime, pod: PodSpec, target: str) -> str:
    """What a call from the pod's place to `target` gives: the answer, or the error's name."""
    plan = runtime.exec_in(pod.key, (sys.executable, "-c", CALL.format(target)))
    done = await asyncio.to_thread(
        subprocess.run, plan.argv, env=dict(plan.env), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_bypass_goes_on_without_the_sidecar_and_back(tmp_path: Path, isolation: str) -> None:
    netns = isolation == "netns"
    factory = Frail()
    frail = replace(make_pod("frail", meshed=True), bypass=True)
    firm, plain = make_pod("firm", meshed=True), make_pod("plain")

    def make() -> LocalRuntime:
        return LocalRuntime(
            RuntimeOptions(
                state=tmp_path,
                isolation=Isolation(isolation),
                sidecars=factory,
                environments=Environments(),
            )
        )

    async def bypassed(runtime: LocalRuntime, wanted: bool) -> PodStatus:
        def so() -> bool:
            now = status_of(runtime, frail)
            return now.ready and now.bypassed == wanted

        await until(so, f"bypassed {wanted}: {status_of(runtime, frail)}")
        return status_of(runtime, frail)

    async def past(runtime: LocalRuntime) -> None:
        """Traffic goes past the sidecar, both ways."""
        now = status_of(runtime, frail)
        assert "istio-proxy" not in now.pids
        assert "without its sidecar" in now.message
        assert await fetch(now.ip, now.port_map[8080]) == (200, str(now.pids["app"]))
        if netns:
            assert await call(runtime, frail, service) == str(status_of(runtime, plain).pids["app"])

    async def through(runtime: LocalRuntime) -> None:
        """It goes through the sidecar, which has no listener for calls of the pod itself."""
        now = status_of(runtime, frail)
        port = 8080 if netns else now.inbound_ports[8080]
        assert await fetch(now.ip, port) == (200, str(now.pids["app"]))
        if netns:
            assert await call(runtime, frail, service) == "ConnectionRefusedError"

    def end_sidecars(runtime: LocalRuntime, *pods: PodSpec) -> None:
        factory.broken = True
        for pod in pods:
            os.kill(status_of(runtime, pod).pids["istio-proxy"], signal.SIGKILL)

    service = ""

    async def body() -> None:
        nonlocal service
        runtime = make()
        await runtime.adopt()
        try:
            await runtime.apply([frail, firm, plain])
            await until(lambda: all(p.ready for p in runtime.pods()), f"ready: {runtime.pods()}")
            if runtime.network is not None:
                service = str(runtime.network.service_subnet[5])
                there = ((status_of(runtime, plain).ip, 8080),)
                await runtime.set_services({service: {80: there}})
            await through(runtime)

            end_sidecars(runtime, frail, firm)
            await bypassed(runtime, wanted=True)
            await past(runtime)
            other = status_of(runtime, firm)
            assert (other.ready, other.bypassed) == (False, False)

            # From now on it guards something: what was open closes.
            await runtime.apply([replace(frail, bypass=False), firm, plain])
            await until(lambda: not status_of(runtime, frail).bypassed, "closed")
            now = status_of(runtime, frail)
            assert not now.ready
            if netns:
                with pytest.raises(ConnectionRefusedError):
                    await fetch(now.ip, 8080)
                assert await call(runtime, frail, service) == "ConnectionRefusedError"

            await runtime.apply([frail, firm, plain])
            await bypassed(runtime, wanted=True)
            factory.broken = False
            await bypassed(runtime, wanted=False)
            await through(runtime)

            # The control plane dies while the sidecar is away: the next one puts things right.
            end_sidecars(runtime, frail)
            await bypassed(runtime, wanted=True)
            await runtime.shutdown(clean=False)
            factory.broken = False
            runtime = make()
            await runtime.adopt()
            await runtime.apply([frail, firm, plain])
            await until(lambda: all(p.ready for p in runtime.pods()), f"ready: {runtime.pods()}")
            await through(runtime)
        finally:
            await runtime.shutdown()

    run(body())
