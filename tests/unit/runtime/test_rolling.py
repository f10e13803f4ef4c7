from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from meshgate.runtime.rolling import Moves, moves
from meshgate.runtime.spec import PodSpec, Rollout


@dataclass
class Pod:
    spec: PodSpec
    available: bool = True
    stopping: bool = False


def spec(name: str, spec_hash: str, workload: str = "echo", rollout: Rollout | None = None) -> PodSpec:
    return PodSpec(
        name=name,
        namespace="default",
        workload=workload,
        spec_hash=spec_hash,
        rollout=rollout or Rollout(max_surge=9),
    )


def names(desired: list[PodSpec], running: list[Pod]) -> tuple[list[str], list[str]]:
    """(begin, end)."""
    found = moves({pod.key: pod for pod in desired}, {pod.spec.key: pod for pod in running})
    return [key.name for key in found.begin], [key.name for key in found.end]


OLD = [Pod(spec("a", "1")), Pod(spec("b", "1"))]
NEW = [spec("a2", "2"), spec("b2", "2")]


def test_old_pods_go_one_by_one_as_new_ones_get_ready() -> None:
    assert names(NEW, OLD) == (["a2", "b2"], [])
    assert names(NEW, [*OLD, Pod(NEW[0], available=False)]) == (["b2"], [])
    assert names(NEW, [*OLD, Pod(NEW[0]), Pod(NEW[1], available=False)]) == ([], ["a"])
    assert names(NEW, [*OLD, Pod(NEW[0]), Pod(NEW[1])]) == ([], ["a", "b"])


def test_an_old_pod_that_serves_nobody_goes_at_once() -> None:
    assert names(NEW, [Pod(spec("a", "1"), available=False), OLD[1]]) == (["a2", "b2"], ["a"])


def test_scaling_and_deleting_wait_for_nothing() -> None:
    desired = spec("a", "1")
    assert names([desired], [Pod(desired, available=False), OLD[1]]) == ([], ["b"])
    assert names([desired, spec("c", "1")], [Pod(desired, available=False)]) == (["c"], [])
    assert names([], OLD) == ([], ["a", "b"])
    assert names([spec("x", "9", "other")], OLD) == (["x"], ["a", "b"])


def test_a_pod_on_its_way_out_is_not_asked_twice_nor_begun_before_it_is_gone() -> None:
    going = Pod(spec("a", "1"), stopping=True)
    assert names([], [going]) == ([], [])
    assert names([going.spec], [going]) == ([], [])


def test_a_pod_that_calls_through_another_begins_once_that_is_ready() -> None:
    node = spec("node", "1", "node")
    web = replace(spec("web", "1"), reaches_services_through=node.key)
    assert names([node, web], []) == (["node"], [])
    assert names([node, web], [Pod(node, available=False)]) == ([], [])
    assert names([node, web], [Pod(node)]) == (["web"], [])
    # The old node ends: it may not be counted on, and its ports may be another's when it comes back.
    assert names([node, web], [Pod(node, available=False, stopping=True)]) == ([], [])


def test_a_gateway_with_other_settings_takes_over_from_one_of_the_same_name() -> None:
    old, new = spec("gateway", "1"), spec("gateway", "2")
    assert names([new], [Pod(old)]) == (["gateway"], [])
    assert names([new], [Pod(old), Pod(new, available=False)]) == ([], [])
    assert names([new], [Pod(old), Pod(new)]) == ([], ["gateway"])


def test_the_same_name_with_a_new_hash_is_another_pod() -> None:
    old, new = spec("a", "1"), spec("a", "2")
    assert old.key != new.key
    assert old.key.digest != new.key.digest
    assert moves({new.key: new}, {old.key: Pod(old), new.key: Pod(new)}) == Moves(end=(old.key,))


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), (2, 1), (4, 0), (0, 4), (1, 3)])
def test_a_rollout_keeps_within_its_bounds_and_ends(surge: int, unavailable: int) -> None:
    rollout = Rollout(max_surge=surge, max_unavailable=unavailable)
    desired = {p.key: p for p in (spec(f"new{n}", "2", rollout=rollout) for n in range(4))}
    running = {p.spec.key: p for p in (Pod(spec(f"old{n}", "1")) for n in range(4))}
    steps = 0
    while running.keys() != desired.keys() or not all(pod.available for pod in running.values()):
        step = moves(desired, running)
        for key in step.end:
            del running[key]
        assert sum(pod.available for pod in running.values()) >= 4 - unavailable
        for key in step.begin:
            running[key] = Pod(desired[key], available=False)
        assert len(running) <= 4 + surge
        # The slowest course: one pod gets ready at a time.
        waiting = [pod for pod in running.values() if not pod.available]
        if waiting:
            waiting[0].available = True
        steps += 1
        assert steps < 20


def test_recreate_begins_when_the_last_old_pod_is_gone() -> None:
    new = [spec(name, "2", rollout=Rollout(recreate=True)) for name in ("a2", "b2")]
    assert names(new, OLD) == ([], ["a", "b"])
    assert names(new, [Pod(OLD[0].spec, stopping=True)]) == ([], [])
    assert names(new, []) == (["a2", "b2"], [])
    assert names(new, [Pod(new[0], available=False)]) == (["b2"], [])


def test_a_pod_waits_until_the_one_of_its_name_has_gone() -> None:
    one_by_one = Rollout(max_surge=0, max_unavailable=1)
    old = [Pod(spec(name, "1", rollout=one_by_one)) for name in ("log-0", "log-1")]
    new = [spec(name, "2", rollout=one_by_one) for name in ("log-0", "log-1")]
    assert names(new, old) == ([], ["log-0"])
    going = Pod(old[0].spec, available=False, stopping=True)
    assert names(new, [going, old[1]]) == ([], [])
    assert names(new, [old[1]]) == (["log-0"], [])
    assert names(new, [Pod(new[0], available=False), old[1]]) == ([], [])
    assert names(new, [Pod(new[0]), old[1]]) == ([], ["log-1"])
    # Old ones that serve nobody go at once, and leave their names first all the same.
    assert names(new, [replace(pod, available=False) for pod in old]) == ([], ["log-0", "log-1"])
