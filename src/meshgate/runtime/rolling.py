"""Which pods may begin and which may go now; pure but for asking how a pod is.

The numbers follow Kubernetes' Deployment controller (1.34): `maxSurge` bounds how many pods
there are while a template is replaced, `maxUnavailable` how many may be missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from meshgate.runtime.spec import PodKey, PodSpec


class Running(Protocol):
    """What is asked of a running pod."""

    @property
    def spec(self) -> PodSpec: ...
    @property
    def available(self) -> bool: ...
    @property
    def stopping(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What to do now; the rest follows when these have got somewhere."""

    begin: tuple[PodKey, ...] = ()
    end: tuple[PodKey, ...] = ()


@dataclass(slots=True)
class _Workload:
    wanted: list[PodSpec] = field(default_factory=list)
    present: dict[PodKey, Running] = field(default_factory=dict)
    """Being stopped or not."""


def moves(desired: Mapping[PodKey, PodSpec], running: Mapping[PodKey, Running]) -> Moves:
    """The pods to begin and to end now.

    Scaling and deleting wait for nothing. Where a workload has a new spec, its pods are
    replaced step by step; old ones that serve nobody go at once. A pod that calls through
    another one's proxy begins once that is ready, and not while that one ends.
    """
    workloads: dict[tuple[str, str], _Workload] = defaultdict(_Workload)
    for pod in desired.values():
        workloads[pod.namespace, pod.workload].wanted.append(pod)
    for key, each in running.items():
        workloads[each.spec.namespace, each.spec.workload].present[key] = each
    begin: list[PodKey] = []
    end: list[PodKey] = []
    for workload in workloads.values():
        step = _step(workload)
        begin.extend(step.begin)
        end.extend(step.end)
    may_begin = tuple(key for key in begin if _can_call(desired[key], running))
    return Moves(begin=may_begin, end=tuple(sorted(end)))


def _can_call(pod: PodSpec, running: Mapping[PodKey, Running]) -> bool:
    through = pod.reaches_services_through
    return through is None or (through in running and running[through].available)


def _waits(key: PodKey, workload: _Workload) -> bool:
    """Whether a pod that may not surge, as a StatefulSet's, finds one of its own name in its place.

    A gateway has a name for good too, and takes over from the one that serves.
    """
    surges = any(pod.rollout.max_surge for pod in workload.wanted)
    return not surges and any(other.name == key.name for other in workload.present)


def _step(workload: _Workload) -> Moves:
    wanted = {pod.key: pod for pod in workload.wanted}
    missing = [key for key in wanted if key not in workload.present and not _waits(key, workload)]
    surplus = {k: p for k, p in workload.present.items() if k not in wanted and not p.stopping}
    hashes = {pod.spec_hash for pod in workload.wanted}
    old = {k: p for k, p in surplus.items() if hashes and p.spec.spec_hash not in hashes}
    end = [k for k, p in surplus.items() if k not in old or not p.available]
    if not wanted:
        return Moves(end=tuple(end))
    rollout = workload.wanted[0].rollout
    if rollout.recreate:
        others = any(p.spec.spec_hash not in hashes for p in workload.present.values())
        return Moves(begin=() if others else tuple(missing), end=tuple(surplus))
    serving = sorted(k for k, p in old.items() if p.available)
    if not serving:
        return Moves(begin=tuple(missing), end=tuple(end))
    new = [p for k, p in workload.present.items() if k in wanted and not p.stopping]
    room = len(wanted) + rollout.max_surge - len(new) - len(serving)
    available = len(serving) + sum(p.available for p in new)
    spare = available - (len(wanted) - rollout.max_unavailable)
    end.extend(serving[: max(spare, 0)])
    return Moves(begin=tuple(missing[: max(room, 0)]), end=tuple(end))
