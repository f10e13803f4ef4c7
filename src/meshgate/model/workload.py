"""Workloads: what runs, with which identity, and whether the mesh holds it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.authorization import OPEN, Guard
from meshgate.model.destination import ConnectionPool
from meshgate.model.locality import Locality, locality_of
from meshgate.model.mesh_config import ProxySettings
from meshgate.model.names import Name
from meshgate.model.service import EMPTY, AppProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPort:
    number: int
    name: str = ""
    udp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet:
    path: str
    port: int | str
    scheme: str = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSocket:
    port: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecProbe:
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcProbe:
    port: int
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A health check with Kubernetes' defaults; times in seconds."""

    action: HttpGet | TcpSocket | ExecProbe | GrpcProbe
    initial_delay_s: int = 0
    period_s: int = 10
    timeout_s: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Waits; a life cycle hook."""

    seconds: int


Hook = HttpGet | ExecProbe | Sleep
"""What is done once, after a container's start or before its end."""


class EnvKind(enum.Enum):
    """What an environment value is taken from (`valueFrom`, `envFrom`)."""

    SECRET = "Secret"
    CONFIG_MAP = "ConfigMap"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvRef:
    """A value that lives in a Secret or ConfigMap of the workload's namespace; `link` fetches it."""

    kind: EnvKind
    name: str
    key: str = ""
    """Empty in `env_from`: every key."""
    optional: bool = False
    prefix: str = ""
    """`env_from` only: put before every key."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """An environment variable; `value` hides it where it came from a Secret."""

    name: str
    value: str | Secret
    ref: EnvRef | None = None
    """As declared: where `value` is to be taken from. Always None after `link`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    name: str
    argv: tuple[str, ...]
    """`command` then `args`; empty where the manifest leaves it to the image."""
    image: str = ""
    """Never run; told where something stands in for it."""
    stand_in: bool = False
    """A program of ours runs in place of the image's (`up --stand-ins`)."""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvRef, ...] = ()
    """As declared: Secrets and ConfigMaps whose every key becomes a variable, before `env`.
    Always empty after `link`."""
    ports: tuple[ContainerPort, ...] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    post_start: Hook | None = None
    pre_stop: Hook | None = None
    working_dir: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How pods of a new template replace the old ones; numbers of pods."""

    recreate: bool = False
    """All old ones end before the first new one begins."""
    max_surge: int = 1
    """How many more than `replicas` there may be meanwhile."""
    max_unavailable: int = 0
    """How many fewer than `replicas` may serve meanwhile."""
    min_ready_s: int = 0
    """How long a pod must have been ready to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Which of a pod's connections pass its sidecar (netns isolation): `traffic.sidecar.istio.io/*`."""

    include_inbound_ports: tuple[int, ...] | None = None
    """None: all; else these alone."""
    exclude_inbound_ports: tuple[int, ...] = ()
    include_outbound_ports: tuple[int, ...] = ()
    """Wherever they lead, also where the ranges say otherwise."""
    exclude_outbound_ports: tuple[int, ...] = ()
    include_outbound_cidrs: tuple[str, ...] | None = None
    """None: all; else these alone."""
    exclude_outbound_cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet as declared: a pod template and how many of it."""

    name: Name
    kind: str = "Deployment"
    first_ordinal: int | None = None
    """Pods are numbered from here on, `NAME-0` and so on (StatefulSet); None: they have names at random."""
    labels: Mapping[str, str]
    """Labels of the pod template."""
    annotations: Mapping[str, str] = EMPTY
    """Annotations of the pod template; any change of them replaces the pods."""
    service_account: str = "default"
    containers: tuple[Container, ...] = ()
    replicas: int = 1
    rollout: Rollout = Rollout()
    meshed: bool = False
    """Whether its pods get a sidecar (namespace label and pod label or annotation)."""
    bypass: bool = False
    """Whether traffic goes on without the sidecar while that is down; never where it guards something."""
    directory: str = ""
    """Folder of the manifest: where commands from `meshgate.dev/command` run."""
    termination_grace_s: int = 30
    proxy: ProxySettings = field(default_factory=ProxySettings)
    """As declared what `proxy.istio.io/config` says; after `link` all that holds for its sidecar."""
    capture: Capture = Capture()
    origin: Origin = BUILT_IN

    @property
    def ref(self) -> ObjectRef:
        """The object that declares it."""
        return ObjectRef(self.kind, self.name.namespace, self.name.name, "apps")

    @property
    def ports(self) -> tuple[ContainerPort, ...]:
        """All container ports, in order."""
        return tuple(p for c in self.containers for p in c.ports)


class MtlsMode(enum.Enum):
    """What an inbound port accepts (PeerAuthentication)."""

    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPort:
    """One port of a workload as its sidecar offers it."""

    port: int
    """Container port."""
    protocol: AppProtocol
    mtls: MtlsMode
    endpoint: str = ""
    """Where the application answers, as a Sidecar says (`model.sidecar.Ingress`); empty: at the port."""
    pool: ConnectionPool | None = None
    """Limits of connections to the application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """All that a workload's sidecar must know to guard it."""

    workload: Name
    service_account: str
    ports: tuple[InboundPort, ...]
    default_mtls: MtlsMode
    """For ports that no service names."""
    guard: Guard = OPEN
    """AuthorizationPolicies and RequestAuthentications."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running pod as others reach it."""

    pod: Name
    workload: Name
    labels: Mapping[str, str]
    service_account: str
    ip: str
    ports: Mapping[int, int]
    """Container port -> port to connect to (the sidecar's where `meshed`)."""
    named_ports: Mapping[str, int] = EMPTY  # type: ignore[assignment]
    """Container port name -> container port."""
    meshed: bool = False
    ready: bool = False

    @property
    def locality(self) -> Locality:
        """Where it is, as its labels say."""
        return locality_of(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Svid:
    """An X.509 SVID as a proxy needs it."""

    spiffe_id: str
    chain_pem: bytes
    key_pem: Secret
    serial: str
    """Changes with every rotation."""


CLUSTER_ID = "Kubernetes"
"""Istio's name for the one cluster that there is."""


def canonical_name(workload: Name, labels: Mapping[str, str]) -> str:
    """The service that a workload belongs to in metrics, by its pods' labels, as Istio 1.27 names it."""
    keys = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
    return next((labels[key] for key in keys if labels.get(key)), workload.name)


def canonical_revision(labels: Mapping[str, str]) -> str:
    """Its version; `latest` where no label says."""
    keys = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
    return next((labels[key] for key in keys if labels.get(key)), "latest")
