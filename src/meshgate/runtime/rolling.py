"""Which running pods may go now; pure but for asking whether a pod is ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from meshgate.runtime.spec import PodKey, PodSpec


class Running(Protocol):
    """What is asked of a running pod."""

    @property
    def spec(self) -> PodSpec: ...
    @property
    def ready(self) -> bool: ...
    @property
    def stopping(self) -> bool: ...


def retired(desired: Mapping[PodKey, PodSpec], running: Mapping[PodKey, Running]) -> tuple[PodKey, ...]:
    """The pods to end now.

    Nobody wants them any more, and where their workload has a new spec, one of the new pods
    is ready in the place of each. Old pods that are not ready go at once. Scaling down, or
    deleting a workload, waits for nothing.
    """
    hashes: dict[tuple[str, str], set[str]] = {}
    missing: Counter[tuple[str, str]] = Counter()
    for key, pod in desired.items():
        workload = (pod.namespace, pod.workload)
        hashes.setdefault(workload, set()).add(pod.spec_hash)
        now = running.get(key)
        if now is None or not now.ready:
            missing[workload] += 1
    ended = []
    old = [(key, each) for key, each in running.items() if key not in desired and not each.stopping]
    for key, gone in sorted(old, key=lambda item: item[0]):
        workload = (gone.spec.namespace, gone.spec.workload)
        replaced = workload in hashes and gone.spec.spec_hash not in hashes[workload]
        if replaced and gone.ready and missing[workload] > 0:
            missing[workload] -= 1
            continue
        ended.append(key)
    return tuple(ended)
