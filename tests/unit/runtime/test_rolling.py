from __future__ import annotations

from dataclasses import dataclass

from meshgate.runtime.rolling import retired
from meshgate.runtime.spec import PodKey, PodSpec


@dataclass
class Pod:
    spec: PodSpec
    ready: bool = True
    stopping: bool = False


def spec(name: str, spec_hash: str, workload: str = "echo") -> PodSpec:
    return PodSpec(name=name, namespace="default", workload=workload, spec_hash=spec_hash)


def names(desired: list[PodSpec], running: list[Pod]) -> list[str]:
    found = retired({pod.key: pod for pod in desired}, {pod.spec.key: pod for pod in running})
    return [key.name for key in found]


OLD = [Pod(spec("a", "1")), Pod(spec("b", "1"))]
NEW = [spec("a2", "2"), spec("b2", "2")]


def test_old_pods_go_one_by_one_as_new_ones_get_ready() -> None:
    assert names(NEW, OLD) == []
    assert names(NEW, [*OLD, Pod(NEW[0], ready=False)]) == []
    assert names(NEW, [*OLD, Pod(NEW[0]), Pod(NEW[1], ready=False)]) == ["b"]
    assert names(NEW, [*OLD, Pod(NEW[0]), Pod(NEW[1])]) == ["a", "b"]


def test_an_old_pod_that_serves_nobody_goes_at_once() -> None:
    assert names(NEW, [Pod(spec("a", "1"), ready=False), OLD[1]]) == ["a"]


def test_scaling_down_and_deleting_wait_for_nothing() -> None:
    desired = spec("a", "1")
    assert names([desired], [Pod(desired, ready=False), OLD[1]]) == ["b"]
    assert names([], OLD) == ["a", "b"]
    assert names([spec("x", "9", "other")], OLD) == ["a", "b"]


def test_a_pod_on_its_way_out_is_not_asked_twice() -> None:
    assert names([], [Pod(spec("a", "1"), stopping=True)]) == []


def test_the_same_name_with_a_new_hash_is_another_pod() -> None:
    old, new = spec("a", "1"), spec("a", "2")
    assert old.key != new.key
    assert old.key.digest != new.key.digest
    assert names([new], [Pod(old), Pod(new)]) == ["a"]
    assert isinstance(old.key, PodKey)
