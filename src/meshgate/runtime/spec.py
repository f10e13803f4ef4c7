"""What the runtime is asked to run: pods, containers and probes, free of any dialect."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from meshgate.runtime.redirect import Capture


def _no_text() -> Mapping[str, str]:
    """An empty mapping; Python 3.11 takes no mapping proxy as a field's default."""
    return MappingProxyType({})


class Isolation(enum.Enum):
    """How pods are kept apart."""

    NETNS = "netns"
    """Each pod has a Linux network namespace and an address; needs root."""
    PORTS = "ports"
    """All pods share the machine's network; each is told which ports are its own."""


DRAIN_S = 5.0
"""Of a pod that says nothing else, as in Istio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet:
    """Succeeds on a status from 200 to 399."""

    path: str = "/"
    port: int
    """The container's port; the runtime finds where it can be reached."""
    headers: tuple[tuple[str, str], ...] = ()
    scheme: str = "HTTP"
    """`HTTP` or `HTTPS`; as the kubelet does, HTTPS checks no certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSocket:
    """Succeeds when the port accepts a connection."""

    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """Succeeds when the command, run where the container runs, ends with 0."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grpc:
    """Succeeds when grpc.health.v1 answers SERVING."""

    port: int
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Waits; for hooks."""

    seconds: float


ProbeAction = HttpGet | TcpSocket | Exec | Grpc
Hook = HttpGet | Exec | Sleep
"""What is done once, after a container's start or before its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A repeated question to a container; the defaults are those of Kubernetes."""

    action: ProbeAction
    initial_delay_s: float = 0
    period_s: float = 10
    timeout_s: float = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One process to keep alive."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=_no_text)
    """Added to, and winning over, what the runtime and the `EnvFactory` set."""
    cwd: str | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    post_start: Hook | None = None
    """Done at each start; the container is not ready before, and is restarted where it fails."""
    pre_stop: Hook | None = None
    """Done before SIGTERM, within the pod's grace."""
    stands_in_for: str = ""
    """The image in whose place it runs; empty where it is the workload's own program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How pods of a new spec replace the old ones; numbers of pods."""

    recreate: bool = False
    """All old ones end before the first new one begins."""
    max_surge: int = 1
    """How many more than wanted there may be meanwhile."""
    max_unavailable: int = 0
    """How many fewer than wanted may serve meanwhile; not 0 where `max_surge` is."""
    min_ready_s: float = 0
    """How long a pod must have been ready to count as available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPort:
    """A port that the pod's application listens on."""

    number: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """One pod as it shall run."""

    name: str
    namespace: str
    workload: str
    """Pods of one namespace and workload replace one another step by step."""
    workload_kind: str = "Deployment"
    labels: Mapping[str, str] = field(default_factory=_no_text)
    service_account: str = "default"
    containers: tuple[ContainerSpec, ...] = ()
    """Empty for a pod that is only a proxy, such as a gateway."""
    ports: tuple[ContainerPort, ...] = ()
    meshed: bool = False
    """Whether the pod has an Envoy."""
    spec_hash: str
    """A change replaces the pod. Other fields are read at its start, but for those that may change live."""
    termination_grace_s: float = 30
    """From SIGTERM to SIGKILL."""
    drain_s: float = DRAIN_S
    """The longest wait for requests in flight before the application is told to end."""
    host_network: bool = False
    """True for a gateway: it runs in the machine's network even in netns isolation."""
    proxy_concurrency: int = 1
    """Envoy's worker threads; 0: one for each core."""
    proxy_metadata: Mapping[str, str] = field(default_factory=_no_text)
    """What the proxy says of itself, and its environment."""
    proxy_library: Path | None = None
    """A shared library that Envoy may load; it gets a copy."""
    capture: Capture = field(default_factory=Capture)
    """Netns isolation: which connections pass the sidecar."""
    service_ports: tuple[str, ...] = ()
    """Ports isolation: keys that each get one more listener port of the sidecar; may change live."""
    reaches_services_through: PodKey | None = None
    """Another pod, a proxy, that leads this one's calls: this one begins once that is ready."""
    rollout: Rollout = Rollout()
    """May change live."""
    bypass: bool = False
    """Whether traffic goes on without the sidecar while that is down; may change live."""

    @property
    def key(self) -> PodKey:
        """What tells this pod from any other, its own replacement included."""
        return PodKey(namespace=self.namespace, name=self.name, spec_hash=self.spec_hash)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PodKey:
    """The identity of one running pod."""

    namespace: str
    name: str
    spec_hash: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def digest(self) -> str:
        """8 hex digits, for names of directories and links."""
        text = f"{self.namespace}/{self.name}/{self.spec_hash}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]
