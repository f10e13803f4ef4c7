"""Pods in network namespaces: addresses, names, redirect, and nothing left (root)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from meshgate.runtime import envoy_process
from meshgate.runtime.commands import run_blocking
from meshgate.runtime.dns_table import DnsTable
from meshgate.runtime.envoy_admin import stats
from meshgate.runtime.paths import state_tag
from meshgate.runtime.redirect import PROXY_UID
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import Isolation, PodSpec
from meshgate.runtime.status import PodStatus
from tests.unit.runtime.tools import NETNS_REASON, fetch, make_pod, make_runtime, run, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.e2e,
    pytest.mark.envoy,
    pytest.mark.skipif(NETNS_REASON is not None, reason=str(NETNS_REASON)),
]


async def ready(runtime: LocalRuntime, *pods: PodSpec) -> dict[str, PodStatus]:
    def all_ready() -> bool:
        return {status.key for status in runtime.pods() if status.ready} >= {pod.key for pod in pods}

    await until(all_ready, f"ready: {[(s.name, s.message) for s in runtime.pods()]}")
    return {status.name: status for status in runtime.pods()}


def in_pod(runtime: LocalRuntime, pod: PodSpec, code: str) -> str:
    """What a Python program says that runs in the pod's place."""
    plan = runtime.exec_in(pod.key, (sys.executable, "-c", code))
    done = subprocess.run(plan.argv, env=dict(plan.env), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_pods_have_addresses_names_and_a_sidecar_in_the_way(tmp_path: Path) -> None:
    async def body() -> None:
        runtime = make_runtime(tmp_path, Isolation.NETNS)
        meshed, plain = make_pod("meshed", meshed=True), make_pod("plain")
        gateway = replace(
            make_pod("gateway", meshed=True), containers=(), ports=(), host_network=True, proxy_concurrency=2
        )
        await runtime.adopt()
        tag = state_tag(tmp_path)
        try:
            network = runtime.network
            assert network is not None
            await runtime.apply([meshed, plain, gateway])
            statuses = await ready(runtime, meshed, plain, gateway)
            one, two = statuses["meshed"], statuses["plain"]
            assert one.ip != two.ip
            assert statuses["gateway"].ip == network.gateway
            assert one.port_map == {8080: 8080}

            # The namespace's redirect leads the call through Envoy; the plain pod has none.
            code, text = await fetch(one.ip, 8080, "/env")
            env = json.loads(text)
            assert code == 200
            assert (env["PORT"], env["POD_IP"]) == ("8080", one.ip)
            inbound = await stat(runtime, meshed, "http.in8080.downstream_rq_total")
            assert inbound == 1
            assert (await fetch(two.ip, 8080))[1] == str(two.pids["app"])

            # Processes are the programs themselves, with no wrapper, and Envoy is not root.
            assert Path(f"/proc/{one.pids['app']}/exe").readlink() == Path(sys.executable).resolve()
            for name in ("meshed", "gateway"):
                status = Path(f"/proc/{statuses[name].pids['istio-proxy']}/status").read_text()
                uids = next(line for line in status.splitlines() if line.startswith("Uid:"))
                assert uids.split()[1:] == [str(PROXY_UID)] * 4

            # Names: short ones through the search domains, unknown ones are no names at all.
            runtime.set_names(
                DnsTable(
                    names={
                        "echo.default.svc.cluster.local": (two.ip,),
                        "api.example.test": ("10.9.9.9",),
                    }
                )
            )
            ask = "import socket; print(socket.gethostbyname({!r}))"
            assert in_pod(runtime, plain, ask.format("echo")) == two.ip
            assert in_pod(runtime, plain, ask.format("echo.default")) == two.ip
            assert in_pod(runtime, plain, ask.format("api.example.test")) == "10.9.9.9"
            missing = (
                "import socket\ntry: socket.gethostbyname('nobody.default.svc.cluster.local')\n"
                "except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)"
            )
            assert in_pod(runtime, plain, missing) == "True"

            # What leaves a meshed pod goes to 15001, where this minimal sidecar has no listener.
            refused = (
                f"import socket\ntry: socket.create_connection(({two.ip!r}, 8080), 5); print('passed')\n"
                "except ConnectionRefusedError: print('refused')"
            )
            assert in_pod(runtime, meshed, refused) == "refused"
            assert in_pod(runtime, plain, refused) == "passed"
            # A pod without a sidecar finds a service's address, as it would through kube-proxy.
            service = str(network.service_subnet[5])
            call = (
                "import urllib.request as u, urllib.error as e\n"
                f"try: print(u.urlopen('http://{service}/', timeout=5).read().decode())\n"
                "except e.URLError as error: print(type(error.reason).__name__)"
            )
            await runtime.set_services({service: {80: ((two.ip, 8080),)}})
            assert in_pod(runtime, plain, call) == str(two.pids["app"])
            await runtime.set_services({service: {80: ()}})
            assert in_pod(runtime, plain, call) == "ConnectionRefusedError"

            # The application reaches itself without its sidecar.
            own = f"import urllib.request as u; print(u.urlopen('http://{one.ip}:8080/').read().decode())"
            assert in_pod(runtime, meshed, own) == str(one.pids["app"])
            assert await stat(runtime, meshed, "http.in8080.downstream_rq_total") == inbound
        finally:
            await runtime.shutdown()
        assert f"mg-{tag}" not in run_blocking(("ip", "netns", "list"))
        assert f"mg{tag}" not in run_blocking(("ip", "-br", "link"))
        assert f"meshgate_{tag}" not in run_blocking(("nft", "list", "tables"))
        assert not list(Path("/etc").glob(f"netns/mg-{tag}*"))
        assert not (tmp_path / "run/records.json").exists()

    run(body())


def test_a_pod_that_goes_takes_no_address_with_it(tmp_path: Path) -> None:
    """The bridge, and a pod that comes back, are found at once by those who knew them before."""
    pods = [make_pod(f"pod-{n}") for n in range(3)]
    ask = "import socket; print(socket.gethostbyname('echo'), socket.getfqdn())"
    link = "import pathlib; print(pathlib.Path('/sys/class/net/eth0/address').read_text().strip())"

    async def body() -> None:
        runtime = make_runtime(tmp_path, Isolation.NETNS)
        await runtime.adopt()
        try:
            assert runtime.network is not None
            bridge = Path("/sys/class/net", runtime.network.bridge, "address")
            address = bridge.read_text()
            runtime.set_names(DnsTable(names={"echo.default.svc.cluster.local": ("10.9.9.9",)}))
            await runtime.apply(pods)
            statuses = await ready(runtime, *pods)
            links = {pod.name: in_pod(runtime, pod, link) for pod in pods}
            for gone in pods:
                stays = [pod for pod in pods if pod != gone]
                # No question to an upstream for the machine's own name: many servers have it at their start.
                assert in_pod(runtime, stays[0], ask) == f"10.9.9.9 {stays[0].name}"
                await runtime.apply(stays)
                await until(lambda: len(runtime.pods()) == 2, "it is gone")
                assert bridge.read_text() == address
                assert in_pod(runtime, stays[0], ask) == f"10.9.9.9 {stays[0].name}"
                await runtime.apply(pods)
                again = await ready(runtime, *pods)
                assert again[gone.name].ip == statuses[gone.name].ip
                assert in_pod(runtime, gone, link) == links[gone.name]
        finally:
            await runtime.shutdown()

    run(body())


async def stat(runtime: LocalRuntime, pod: PodSpec, name: str) -> int:
    found = await stats(runtime.placement(pod.key).admin_socket, name)
    assert found is not None
    return found[name]


def test_envoy_runs_from_a_directory_that_is_closed_to_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    copy = closed / "envoy"
    try:
        copy.hardlink_to(envoy_process.envoy_path())
    except OSError:
        shutil.copy2(envoy_process.envoy_path(), copy)
    monkeypatch.setattr(envoy_process, "envoy_path", lambda: copy)
    envoy_process._binary_descriptor.cache_clear()

    async def body() -> None:
        runtime = make_runtime(tmp_path / "state", Isolation.NETNS)
        pod = make_pod("meshed", meshed=True)
        await runtime.adopt()
        try:
            await runtime.apply([pod])
            status = (await ready(runtime, pod))["meshed"]
            assert Path(f"/proc/{status.pids['istio-proxy']}/exe").readlink() == copy
            assert await fetch(status.ip, 8080) == (200, str(status.pids["app"]))
        finally:
            await runtime.shutdown()

    try:
        run(body())
    finally:
        os.close(envoy_process._binary_descriptor())
        envoy_process._binary_descriptor.cache_clear()
