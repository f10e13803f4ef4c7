"""What the runtime has started and created, on disk before it exists.

After a crash of the control plane the next one reads it to adopt what still fits and to
remove the rest. The file is replaced as a whole, so a crash leaves the old or the new one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from meshgate.core.typed_json import MalformedError, dump, load
from meshgate.runtime.process_id import ProcessId
from meshgate.runtime.spec import Isolation, PodKey, PodSpec

_log = structlog.get_logger(__name__)
_SPEC = ".pod.json"


class StateInUse(Exception):
    """Another control plane holds the state directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One process, or the intent to start it where `pid` is 0."""

    token: str
    pid: int = 0
    started: str = ""
    ready: bool = False
    """As last seen, so that adopting a pod does not take its endpoints away for a moment."""

    @property
    def identity(self) -> ProcessId | None:
        """None where the start was never recorded; the token still finds it."""
        return ProcessId(self.pid, self.started) if self.pid else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """One pod: where it is and what runs in it."""

    namespace: str
    name: str
    spec_hash: str
    isolation: Isolation
    ip: str
    netns: str = ""
    link: str = ""
    ending: bool = False
    """Its end has begun: its Envoy may drain, so whoever adopts it must bring that end about."""
    processes: Mapping[str, ProcessRecord] = field(default_factory=dict)

    @property
    def key(self) -> PodKey:
        """The identity of the pod."""
        return PodKey(namespace=self.namespace, name=self.name, spec_hash=self.spec_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """The bridge that pods in namespaces share."""

    bridge: str
    subnet: str
    """CIDR, e.g. `10.37.16.0/20`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The whole file."""

    boot_id: str = ""
    """Pids and start times mean nothing after a reboot."""
    network: NetworkRecord | None = None
    daemons: Mapping[str, ProcessRecord] = field(default_factory=dict)
    pods: Mapping[str, PodRecord] = field(default_factory=dict)
    """By the pod key's digest."""


_STATE: TypeAdapter[State] = TypeAdapter(State)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _without_processes(state: State) -> State:
    pods = {digest: replace(pod, processes={}) for digest, pod in state.pods.items()}
    return replace(state, daemons={}, pods=pods)


class Records:
    """The records of one state directory, held by one control plane at a time."""

    def __init__(self, directory: Path) -> None:
        """Reads `directory/records.json`; raises `StateInUse` where another holds it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "records.json"
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            os.close(self._lock)
            raise StateInUse(f"{directory} is in use by another meshgate") from taken
        self._state = self._read()
        for file in {*directory.glob(f"*{_SPEC}"), *directory.glob("*.pod.tmp")}:
            if file.name.partition(".")[0] not in self._state.pods or file.suffix == ".tmp":
                file.unlink()

    @property
    def state(self) -> State:
        """What is recorded now."""
        return self._state

    def _read(self) -> State:
        boot_id = _boot_id()
        try:
            state = _STATE.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return State(boot_id=boot_id)
        except ValidationError as broken:
            _log.error("records_unreadable", path=str(self._path), errors=broken.error_count())
            return State(boot_id=boot_id)
        if state.boot_id != boot_id:
            state = _without_processes(state)
        return replace(state, boot_id=boot_id)

    def _write(self, state: State) -> None:
        self._state = state
        fresh = self._path.with_suffix(".tmp")
        with open(fresh, "wb", opener=_private) as file:
            file.write(_STATE.dump_json(state))
        fresh.replace(self._path)

    def set_network(self, network: NetworkRecord | None) -> None:
        """Records the bridge, or that there is none."""
        self._write(replace(self._state, network=network))

    def set_daemon(self, name: str, process: ProcessRecord | None) -> None:
        """Records a process that serves all pods, or that it is gone."""
        daemons = {key: value for key, value in self._state.daemons.items() if key != name}
        if process is not None:
            daemons[name] = process
        self._write(replace(self._state, daemons=daemons))

    def set_spec(self, spec: PodSpec) -> None:
        """Keeps how a pod runs, its environment with it, in a file of its own (0600); before `set_pod`."""
        path = self._spec_file(spec.key.digest)
        fresh = path.with_suffix(".tmp")
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:
            file.write(dump(spec))
        fresh.replace(path)

    def spec(self, key: PodKey) -> PodSpec | None:
        """How a recorded pod runs; None where the file is not there or another meshgate's."""
        path = self._spec_file(key.digest)
        try:
            spec = load(PodSpec, path.read_bytes())
        except (OSError, MalformedError) as broken:
            _log.warning("spec_unreadable", pod=str(key), reason=type(broken).__name__)
            return None
        return spec if spec.key == key else None

    def _spec_file(self, digest: str) -> Path:
        return self._path.with_name(f"{digest}{_SPEC}")

    def set_pod(self, pod: PodRecord) -> None:
        """Records a pod and its processes."""
        self._write(replace(self._state, pods={**self._state.pods, pod.key.digest: pod}))

    def set_ending(self, key: PodKey) -> None:
        """Records that the pod's end has begun."""
        pod = self._state.pods.get(key.digest)
        if pod is not None:
            self.set_pod(replace(pod, ending=True))

    def remove_pod(self, key: PodKey) -> None:
        """Forgets a pod of which nothing is left."""
        pods = {digest: pod for digest, pod in self._state.pods.items() if digest != key.digest}
        self._write(replace(self._state, pods=pods))
        self._spec_file(key.digest).unlink(missing_ok=True)

    def pod(self, key: PodKey) -> PodRecord | None:
        """What is recorded of the pod."""
        return self._state.pods.get(key.digest)

    def set_process(self, key: PodKey, name: str, process: ProcessRecord | None) -> None:
        """Records one process of a recorded pod, or that it is gone."""
        pod = self._state.pods[key.digest]
        processes = {other: record for other, record in pod.processes.items() if other != name}
        if process is not None:
            processes[name] = process
        self.set_pod(replace(pod, processes=processes))

    def close(self) -> None:
        """Lets another control plane have the state; removes the file where it says nothing."""
        if self._state == State(boot_id=self._state.boot_id):
            self._path.unlink(missing_ok=True)
        os.close(self._lock)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
