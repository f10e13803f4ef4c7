"""What gRPC services speak: files and ConfigMaps when the objects change, pods when pods change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.own_process import own_module
from meshgate.model.declared import Declared
from meshgate.model.graph import Model
from meshgate.model.policies.grpc import ProtoDescriptor, ProtoReflection
from meshgate.runtime.netns import enter_argv
from meshgate.runtime.placement import Placement
from meshgate.runtime.spec import PodSpec
from meshgate.runtime.status import PodStatus
from meshgate.sources.descriptors import DescriptorFiles, Wanted, no_descriptor, wanted
from meshgate.sources.protos import NoDescriptor, checked

_log = structlog.get_logger(__name__)
LOOK_EVERY_S = 1.0
ASK_DEADLINE_S = 25.0
_AGAIN_S = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Pauses after failures; the last one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Asked:
    """A pod that can be asked what it speaks; one that has been started again is another."""

    pod: str
    restarts: int
    target: str
    """`address:port` of the application itself."""
    netns: str = ""


def ready_pods(
    model: Model,
    host: str,
    port: int,
    statuses: Iterable[PodStatus],
    supervised: Iterable[tuple[PodSpec, Placement]],
) -> tuple[Asked, ...]:
    """Who can be asked behind a port of a service, the newest last."""
    service = model.services.get(host)
    found = service.port(port) if service is not None else None
    keys = frozenset(model.backends.get(host, ()))
    if found is None or not keys:
        return ()
    places = {spec.key: (spec, place) for spec, place in supervised}
    asked = []
    for status in sorted(statuses, key=lambda one: (one.started_at, one.key)):
        if (
            not status.ready
            or f"{status.namespace}/{status.workload}" not in keys
            or status.key not in places
        ):
            continue
        spec, place = places[status.key]
        named = {one.name: one.number for one in spec.ports}
        number = found.target or found.number
        number = named.get(number, 0) if isinstance(number, str) else number
        target = f"{status.ip}:{status.port_map.get(number, number)}"
        name = f"{status.namespace}/{status.name}/{status.spec_hash}"
        asked.append(Asked(pod=name, restarts=status.restarts, target=target, netns=place.netns))
    return tuple(asked)


PodsOf = Callable[[str, int], tuple[Asked, ...]]
"""Ready pods behind a port of a host, the newest last."""


@dataclass(slots=True)
class _Reflected:
    """What was asked for one route's service."""

    pods: tuple[Asked, ...] = ()
    """The ready ones when a pod last answered."""
    outcome: ProtoDescriptor | str = ""
    """Why there is no description; empty: nobody could be asked yet."""
    failures: int = 0
    again_at: float = 0


@dataclass(slots=True)
class Descriptors:
    """Keeps the facet `descriptors`. `update` with every configuration, `wake` when pods change."""

    pods_of: PodsOf
    changed: Callable[[], None]
    """Called when `facet` is another one than before."""
    _declared: tuple[Model, Declared] | None = None
    _files: DescriptorFiles = field(default_factory=DescriptorFiles)
    _of_files: Mapping[str, ProtoDescriptor] = field(default_factory=dict)
    _problems: tuple[Diagnostic, ...] = ()
    _wanted: Mapping[str, Wanted] = field(default_factory=dict)
    _reflected: dict[str, _Reflected] = field(default_factory=dict)
    _event: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def update(self, model: Model, declared: Declared) -> None:
        """Compiles what has changed."""
        self._declared = model, declared
        async with self._reading:
            self._of_files, self._problems = await asyncio.to_thread(self._files.read, model, declared)
        needs = wanted(model)
        self._wanted = {k: w for k, w in needs.items() if isinstance(w.how.source, ProtoReflection)}
        self._reflected = {key: self._reflected.get(key, _Reflected()) for key in self._wanted}
        self._event.set()

    @property
    def facet(self) -> Mapping[str, ProtoDescriptor]:
        """All descriptions that can be had now."""
        asked = {k: r.outcome for k, r in self._reflected.items() if isinstance(r.outcome, ProtoDescriptor)}
        return {**self._of_files, **asked}

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """Why others cannot be had; that no pod is there yet is a warning."""
        found = list(self._problems)
        for key, reflected in self._reflected.items():
            one = self._wanted[key]
            if isinstance(reflected.outcome, ProtoDescriptor):
                continue
            why = reflected.outcome or "no ready pod has said yet what it speaks"
            severity = Severity.ERROR if reflected.outcome else Severity.WARNING
            found.append(no_descriptor(one, why, severity))
        return tuple(found)

    def wake(self) -> None:
        """Pods or configuration have changed."""
        self._event.set()

    async def run(self) -> None:
        """Asks whenever there is somebody new to ask, and looks after files, until cancelled."""
        while True:
            wait_s = LOOK_EVERY_S if self._files.watches or self._waiting() else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._event.wait()
            self._event.clear()
            async with self._reading:
                stale = await asyncio.to_thread(self._files.changed)
            if stale and self._declared is not None:
                await self.update(*self._declared)
                self.changed()
            for key in tuple(self._reflected):
                await self._follow(key)

    def _waiting(self) -> bool:
        return any(not isinstance(r.outcome, ProtoDescriptor) for r in self._reflected.values())

    async def _follow(self, key: str) -> None:
        one, reflected = self._wanted.get(key), self._reflected.get(key)
        if one is None or reflected is None:
            return
        source = one.how.source
        assert isinstance(source, ProtoReflection)
        pods = self.pods_of(source.host, source.port)
        now = asyncio.get_running_loop().time()
        if not pods or (pods == reflected.pods and now < reflected.again_at):
            return
        before = reflected.outcome
        try:
            content = await _ask(pods[-1])
            reflected.outcome = await asyncio.to_thread(checked, content, one.how)
            reflected.failures, reflected.again_at = 0, float("inf")
        except NoDescriptor as error:
            _log.info("reflection_failed", pod=pods[-1].pod, reason=str(error))
            # What it said before stays in force: the new pod may only be too busy to answer.
            if not isinstance(before, ProtoDescriptor):
                reflected.outcome = f"pod {pods[-1].pod}: {error}"
            pause_s = _AGAIN_S[min(reflected.failures, len(_AGAIN_S) - 1)]
            reflected.failures, reflected.again_at = reflected.failures + 1, now + pause_s
        reflected.pods = pods
        if reflected.outcome != before:
            self.changed()


async def _ask(pod: Asked) -> bytes:
    argv = own_module("meshgate.runtime.grpc_reflection", pod.target)
    child = await asyncio.create_subprocess_exec(
        *enter_argv(pod.netns, argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ASK_DEADLINE_S):
            out, said = await child.communicate()
    except TimeoutError as late:
        raise NoDescriptor(f"no answer within {ASK_DEADLINE_S:g} s") from late
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise NoDescriptor(lines[-1] if lines else f"the question ended with {child.returncode}")
    return out
