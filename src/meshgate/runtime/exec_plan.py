"""Running a further command in a pod's place in the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshgate.runtime.netns import enter_argv
from meshgate.runtime.placement import EnvFactory, Placement, container_environment
from meshgate.runtime.spec import ContainerSpec, PodSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlan:
    """How to run a command in a pod's place: hand it to `os.execvpe` or `subprocess`."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None


def exec_plan(
    pod: PodSpec,
    placement: Placement,
    argv: Sequence[str],
    container: str | None,
    environments: EnvFactory,
) -> ExecPlan:
    """Netns: inside the pod's namespace. Ports: with its environment, which leads to its sidecar."""
    chosen = next(
        (spec for spec in pod.containers if container in (None, spec.name)), ContainerSpec(name="", argv=())
    )
    return ExecPlan(
        argv=enter_argv(placement.netns, tuple(argv)),
        env=container_environment(pod, chosen, placement, environments.environment(pod, placement)),
        cwd=chosen.cwd,
    )
