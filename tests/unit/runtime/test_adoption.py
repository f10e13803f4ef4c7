"""What a control plane makes of the pods that another has left running."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from meshgate.runtime.process_id import identify, is_alive
from meshgate.runtime.status import Phase, PodStatus
from tests.unit.runtime.tools import (
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


def test_a_pod_whose_end_has_begun_is_adopted_to_end_in_order(tmp_path: Path) -> None:
    async def body() -> None:
        asked, never, known = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def withdraw(_: PodStatus) -> None:
            asked.set()
            await never.wait()

        async def told(_: PodStatus) -> None:
            asked.set()
            await known.wait()

        pod = make_pod("echo-1")
        first = withdrawing(tmp_path, withdraw)
        await first.adopt()
        await first.apply([pod])
        (before,) = await ready(first, pod)
        left = identify(before.pids["app"])
        assert left is not None
        await first.apply([])
        await asked.wait()
        # As if the control plane died in the middle of it.
        await first.shutdown(clean=False)
        assert is_alive(left)
        asked.clear()
        second = withdrawing(tmp_path, told)
        try:
            assert await second.adopt() == (pod.key,)
            await second.apply([pod])
            (status,) = second.pods()
            assert (status.phase, status.ready) == (Phase.TERMINATING, False), "nobody is sent there any more"
            await asked.wait()
            assert is_alive(left), "somebody may send requests to it until all know"
            known.set()
            (after,) = await ready(second, pod)
            assert after.pids != before.pids
            assert not is_alive(left)
        finally:
            await second.shutdown()

    run(body())


@pytest.mark.parametrize("wanted", [True, False], ids=["another-spec", "not-wanted"])
def test_adopted_pods_go_as_all_others_do(tmp_path: Path, wanted: bool) -> None:
    """The manifests changed while no control plane was there, or it died in the middle of a rollout."""

    async def body() -> None:
        sick = tmp_path / "sick"
        sick.touch()
        old = make_pod("echo-1")
        new = [make_pod("echo-2", "--sick", str(sick), spec_hash="2")] if wanted else []
        first = await served(tmp_path / "state", old)
        (before,) = await ready(first, old)
        await first.shutdown(clean=False)
        asked, known = asyncio.Event(), asyncio.Event()

        async def withdraw(_: PodStatus) -> None:
            asked.set()
            await known.wait()

        second = withdrawing(tmp_path / "state", withdraw)
        assert await second.adopt() == (old.key,)
        await second.apply(new)
        try:
            if wanted:
                (kept,) = await ready(second, old)
                assert kept.pids == before.pids, "it serves until another does"
                assert kept.labels == before.labels
                await until(
                    lambda: bool((s := status_of(second, new[0])) and "503" in s.message), "the other starts"
                )
                assert not asked.is_set()
                sick.unlink()
            await asked.wait()
            assert await fetch("127.0.0.1", before.port_map[8080]) == (200, str(before.pids["app"]))
            known.set()
            await until(lambda: status_of(second, old) is None, "it is gone")
            await ready(second, *new)
        finally:
            known.set()
            await second.shutdown()

    run(body())


def test_what_was_recorded_by_a_meshgate_that_kept_no_specs_is_removed(tmp_path: Path) -> None:
    async def body() -> None:
        pod = make_pod("echo-1")
        first = await served(tmp_path, pod)
        (before,) = await ready(first, pod)
        await first.shutdown(clean=False)
        for file in (tmp_path / "run").glob("*.pod.json"):
            assert file.stat().st_mode & 0o777 == 0o600
            file.unlink()
        left = identify(before.pids["app"])
        assert left is not None
        second = make_runtime(tmp_path)
        await second.adopt()
        await second.apply([])
        await second.shutdown()
        assert not is_alive(left)

    run(body())


def test_a_runtime_that_lets_go_hands_its_pods_to_the_next(tmp_path: Path) -> None:
    async def body() -> None:
        pod = make_pod("echo-1")
        first = await served(tmp_path, pod)
        (before,) = await ready(first, pod)
        await first.shutdown(clean=False)
        second = make_runtime(tmp_path)
        assert await second.adopt() == (pod.key,)
        await second.apply([pod])
        try:
            assert second.pods()[0].ready
            assert second.pods()[0].pids == before.pids
            assert second.pods()[0].port_map == before.port_map
        finally:
            await second.shutdown()

    run(body())
