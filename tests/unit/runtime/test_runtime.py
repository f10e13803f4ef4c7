"""The runtime in ports isolation, with real processes and a real Envoy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from meshgate.runtime.envoy_admin import active_requests
from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.placement import Placement
from meshgate.runtime.places import Places
from meshgate.runtime.process_id import identify, is_alive, marked_processes
from meshgate.runtime.records import StateInUse
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import Isolation, PodSpec
from meshgate.runtime.status import Phase, PodStatus
from tests.unit.runtime.tools import (
    HEALTHZ,
    Environments,
    Sidecars,
    fetch,
    make_pod,
    make_runtime,
    ready,
    run,
    served,
    status_of,
    until,
    withdrawing,
)


def test_runs_a_pod_with_its_ports_and_environment(tmp_path: Path) -> None:
    async def body() -> None:
        pod = make_pod("echo-1")
        runtime = await served(tmp_path, pod)
        try:
            (status,) = await ready(runtime, pod)
            port = status.port_map[8080]
            code, text = await fetch("127.0.0.1", port, "/env")
            env = json.loads(text)
            assert code == 200
            assert (env["PORT"], env["PORT_8080"], env["PORT_HTTP_WEB"]) == (str(port),) * 3
            assert (env["HOSTNAME"], env["POD_NAME"], env["POD_NAMESPACE"]) == ("echo-1", "echo-1", "default")
            assert env["POD_IP"] == "127.0.0.1"
            assert env["GIVEN_OUTBOUND"] == "0"
            plan = runtime.exec_in(pod.key, ["env"])
            assert plan.argv == ("env",)
            assert plan.env["PORT"] == str(port)
            assert runtime.logs(pod.key)["app"].read_text() == "listening\n"
        finally:
            await runtime.shutdown()
        assert (tmp_path / "logs/default/echo-1/app.log").read_text() == "listening\nstopped\n"

    run(body())


@pytest.mark.envoy
def test_the_sidecar_serves_and_both_come_back_after_kill_9(tmp_path: Path) -> None:
    async def body() -> None:
        pod = replace(make_pod("echo-1", meshed=True), service_ports=("redis:6379",))
        runtime = await served(tmp_path, pod)
        try:
            (status,) = await ready(runtime, pod)
            assert set(status.pids) == {"istio-proxy", "app"}
            assert set(status.service_ports) == {"redis:6379"}
            inbound = status.inbound_ports[8080]
            taken = [inbound, status.port_map[8080], status.outbound_port, *status.service_ports.values()]
            assert len(set(taken)) == 4
            assert await fetch("127.0.0.1", inbound) == (200, str(status.pids["app"]))
            for victim in ("app", "istio-proxy"):
                before = status
                os.kill(status.pids[victim], signal.SIGKILL)

                def came_back(old: PodStatus = before, name: str = victim) -> bool:
                    now = status_of(runtime, pod)
                    return bool(now and now.ready and now.pids[name] != old.pids[name])

                await until(came_back, f"{victim} restarted")
                (status,) = await ready(runtime, pod)
                other = "app" if victim == "istio-proxy" else "istio-proxy"
                assert status.pids[other] == before.pids[other]
                assert status.inbound_ports == before.inbound_ports
                assert await fetch("127.0.0.1", inbound) == (200, str(status.pids["app"]))
            assert status.restarts == 2
        finally:
            await runtime.shutdown()

    run(body())


def test_nothing_is_left_after_shutdown(tmp_path: Path) -> None:
    async def body() -> None:
        # The shell leaves its session's child behind, and a grandchild in a session of its own.
        stray = "setsid sleep 3600 & sleep 3600 & echo $! ; exec sleep 3600"
        pod = make_pod("stray", readiness=None)
        container = replace(pod.containers[0], argv=("sh", "-c", stray))
        pod = replace(pod, containers=(container,), ports=())
        runtime = await served(tmp_path, pod)
        (status,) = await ready(runtime, pod)
        leader = identify(status.pids["app"])
        assert leader is not None
        token = next(iter(json.loads((tmp_path / "run/records.json").read_text())["pods"].values()))[
            "processes"
        ]["app"]["token"]
        await until(lambda: len(marked_processes("MESHGATE_PROCESS", token)) == 3, "three processes")
        await runtime.shutdown()
        assert not is_alive(leader)
        assert marked_processes("MESHGATE_PROCESS", token) == ()
        assert not (tmp_path / "run/records.json").exists()
        assert not runtime.paths.run.exists()
        gone = [status for status in runtime.statuses.drain() if status.phase is Phase.GONE]
        assert [status.key for status in gone] == [pod.key]

    run(body())


def test_a_new_hash_replaces_pods_only_once_the_new_ones_are_ready(tmp_path: Path) -> None:
    async def body() -> None:
        sick = tmp_path / "sick"
        sick.touch()
        old = [make_pod("echo-1"), make_pod("echo-2")]
        new = [make_pod("echo-1", "--sick", str(sick), spec_hash="2")]
        runtime = await served(tmp_path / "state", *old)
        try:
            before = await ready(runtime, *old)
            await runtime.apply(new)
            await until(
                lambda: bool((s := status_of(runtime, new[0])) and "503" in s.message), "the probe was asked"
            )
            # One is wanted and not ready: one old pod holds its place, the other may go.
            await until(lambda: len(runtime.pods()) == 2, "one old pod is gone")
            kept = next(status for status in runtime.pods() if status.spec_hash == "1")
            assert kept.ready
            assert kept.pids in [status.pids for status in before]
            sick.unlink()
            await ready(runtime, *new)
            await until(lambda: len(runtime.pods()) == 1, "the old pods are gone")
            assert runtime.pods()[0].key == new[0].key
        finally:
            await runtime.shutdown()

    run(body())


def test_scales_down_at_once_and_takes_a_pod_back_that_is_on_its_way_out(tmp_path: Path) -> None:
    async def body() -> None:
        pods = [make_pod("echo-1"), make_pod("echo-2")]
        runtime = await served(tmp_path, *pods)
        try:
            first, second = await ready(runtime, *pods)
            await runtime.apply(pods[:1])
            await until(
                lambda: (s := status_of(runtime, pods[1])) is None or not s.ready, "the second is leaving"
            )
            await runtime.apply(pods)
            again_first, again_second = await ready(runtime, *pods)
            assert again_first.pids == first.pids
            assert again_second.pids != second.pids
        finally:
            await runtime.shutdown()

    run(body())


def test_a_failing_liveness_probe_restarts_the_container(tmp_path: Path) -> None:
    async def body() -> None:
        sick = tmp_path / "sick"
        liveness = replace(HEALTHZ, failure_threshold=2)
        pod = make_pod("echo-1", "--sick", str(sick), liveness=liveness)
        # Or a slow start would count as sickness.
        patient = replace(pod.containers[0], startup=replace(HEALTHZ, failure_threshold=200))
        pod = replace(pod, containers=(patient,))
        runtime = await served(tmp_path / "state", pod)
        try:
            (before,) = await ready(runtime, pod)
            sick.touch()
            await until(
                lambda: bool((s := status_of(runtime, pod)) and not s.ready), "readiness fails as well"
            )
            await until(
                lambda: bool((s := status_of(runtime, pod)) and s.restarts == 1 and s.pids), "restarted"
            )
            sick.unlink()
            (after,) = await ready(runtime, pod)
            assert after.pids != before.pids
        finally:
            await runtime.shutdown()

    run(body())


def test_a_command_that_cannot_start_or_ends_is_a_message_not_a_traceback(tmp_path: Path) -> None:
    async def body() -> None:
        pod = make_pod("broken", readiness=None)
        missing = replace(pod, containers=(replace(pod.containers[0], argv=("/no/such/program",)),))
        ending = replace(
            make_pod("ending", readiness=None, spec_hash="2"),
            ports=(),
            containers=(replace(pod.containers[0], argv=("sh", "-c", "exit 3")),),
        )
        runtime = await served(tmp_path, missing, ending)
        try:

            def both_loop() -> bool:
                phases = {status.name: status.phase for status in runtime.pods()}
                return phases == {"broken": Phase.CRASH_LOOP, "ending": Phase.CRASH_LOOP}

            await until(both_loop, "both are in back-off")
            messages = {status.name: status.message for status in runtime.pods()}
            assert "cannot start '/no/such/program'" in messages["broken"]
            assert messages["ending"] == "app: exit code 3"
        finally:
            await runtime.shutdown()

    run(body())


@pytest.mark.envoy
def test_a_request_in_flight_ends_well_when_its_pod_is_removed(tmp_path: Path) -> None:
    async def body() -> None:
        pod = make_pod("echo-1", meshed=True)
        runtime = await served(tmp_path, pod)
        try:
            (status,) = await ready(runtime, pod)
            slow = asyncio.create_task(fetch("127.0.0.1", status.inbound_ports[8080], "/slow"))
            socket = runtime.placement(pod.key).admin_socket
            while await active_requests(socket) != 1:
                assert not slow.done()
            await runtime.apply([])
            assert await slow == (200, str(status.pids["app"]))
            await until(lambda: not runtime.pods(), "the pod is gone")
        finally:
            await runtime.shutdown()

    run(body())


def test_two_runtimes_cannot_share_a_state(tmp_path: Path) -> None:
    async def body() -> None:
        runtime = await served(tmp_path)
        try:
            with pytest.raises(StateInUse):
                await make_runtime(tmp_path).adopt()
        finally:
            await runtime.shutdown()

    run(body())


@pytest.mark.envoy
def test_service_ports_may_change_while_the_pod_runs_on(tmp_path: Path) -> None:
    async def body() -> None:
        pod = replace(make_pod("echo-1", meshed=True), service_ports=("a",))
        runtime = await served(tmp_path, pod)
        try:
            (before,) = await ready(runtime, pod)
            wider = replace(pod, service_ports=("a", "b"))
            await runtime.apply([wider])
            (after,) = await ready(runtime, wider)
            assert after.pids == before.pids
            assert after.service_ports["a"] == before.service_ports["a"]
            assert len({*after.service_ports.values(), after.outbound_port}) == 3
        finally:
            await runtime.shutdown()

    run(body())


def test_endpoints_are_withdrawn_before_the_application_is_told_to_end(tmp_path: Path) -> None:
    async def body() -> None:
        seen: list[tuple[bool, int]] = []

        async def withdraw(status: PodStatus) -> None:
            code, _ = await fetch("127.0.0.1", status.port_map[8080])
            seen.append((status.ready, code))
            raise ValueError("a bug of the caller does not keep the pod alive")

        pod = make_pod("echo-1")
        runtime = withdrawing(tmp_path, withdraw)
        await runtime.adopt()
        await runtime.apply([pod])
        try:
            await ready(runtime, pod)
        finally:
            await runtime.shutdown()
        assert seen == [(False, 200)]

    run(body())


@pytest.mark.envoy
def test_an_envoy_that_cannot_start_says_its_last_words(tmp_path: Path) -> None:
    class Broken(Sidecars):
        def bootstrap(self, pod: PodSpec, placement: Placement) -> bytes:
            return b'{"admin": {"no_such_field": 1}}'

    async def body() -> None:
        pod = make_pod("echo-1", meshed=True)
        options = RuntimeOptions(
            state=tmp_path, isolation=Isolation.PORTS, sidecars=Broken(), environments=Environments()
        )
        runtime = LocalRuntime(options)
        await runtime.adopt()
        await runtime.apply([pod])
        try:

            def said() -> bool:
                status = status_of(runtime, pod)
                return bool(status and "no_such_field" in status.message)

            await until(said, "the message holds Envoy's own words")
            status = status_of(runtime, pod)
            assert status is not None
            # The application never starts before its sidecar.
            assert "app" not in status.pids
            assert not (tmp_path / "logs/default/echo-1/app.log").exists()
        finally:
            await runtime.shutdown()

    run(body())


def test_a_pod_that_cannot_be_ended_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        pod = make_pod("echo-1")
        runtime = await served(tmp_path, pod)
        await ready(runtime, pod)

        async def remove(self: Places, pod: PodSpec, placement: Placement) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(Places, "remove", remove)
        await runtime.apply([])
        await until(
            lambda: bool((s := status_of(runtime, pod)) and s.message == "cannot be ended: the disk is full"),
            "it says so",
        )
        await runtime.shutdown()

    run(body())
