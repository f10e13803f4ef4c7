"""What the admin API asks of the rest of the control plane, and the records that travel.

`app` implements `Backend`. Every record is plain enough for JSON; pydantic reads it back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from meshgate.core.diagnostics import ObjectRef
from meshgate.dialects.document import Document

JsonObject: TypeAlias = Mapping[str, object]
"""A JSON object as `json` gives it."""


class AdminError(Exception):
    """A request that cannot be met; its three parts reach the user as they are."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        """`code` is one of `not_found`, `invalid`, `forbidden`, `unavailable`, `internal`."""
        super().__init__(message)
        self.code, self.message, self.remedy = code, message, remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLine:
    """One pod of `status`."""

    namespace: str
    name: str
    workload: str
    """Name of its Deployment."""
    phase: str
    ready: bool
    restarts: int
    ip: str
    meshed: bool = False
    message: str = ""
    """Why it is not ready."""
    stand_in: str = ""
    """Images in whose place programs of ours answer; empty where it runs its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLine:
    """One connected Envoy of `status`."""

    id: str
    synced: bool
    """It holds the newest published configuration."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """Everything `meshgate status` shows."""

    version: str
    pid: int
    isolation: str
    started: str
    """RFC 3339."""
    gateway_ready: bool
    """The gateway accepts connections and holds its first configuration."""
    gateway_addresses: tuple[str, ...] = ()
    """URLs, e.g. `http://127.0.0.1:8080`."""
    hosts: tuple[str, ...] = ()
    """Hosts that the gateway answers for; `*` is any other."""
    pods: tuple[PodLine, ...] = ()
    proxies: tuple[ProxyLine, ...] = ()
    diagnostics: tuple[DiagnosticLine, ...] = ()
    """Of the configuration that is live, and of what was refused."""
    gateway_refused: str = ""
    """What the gateway's Envoy said of a listener that it could not take, e.g. for a port in use."""
    restarts: int = 0
    """How often the guard has started the control plane again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticLine:
    """A `core.diagnostics.Diagnostic` for JSON; the members are those of `analyze -o json`."""

    file: str
    line: int
    column: int
    severity: str
    code: str
    object: str
    """`Kind namespace/name`; empty where the matter is a file's."""
    field: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened, for people who look on: `up` in the foreground prints them."""

    time: str
    """RFC 3339."""
    kind: str
    """`gateway`, `pod`, `reload`, `diagnostic`, `certificate`, `problem`."""
    message: str
    severity: str = "info"
    """`info`, `warning` or `error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecAnswer:
    """How to run a command in a pod's place; for `os.execvpe`."""

    argv: tuple[str, ...]
    """Enters the pod's network namespace where it has one."""
    env: Mapping[str, str]
    """The whole environment."""
    cwd: str = ""
    """Empty: where the caller is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file that `logs` shows, and follows."""

    path: str
    prefix: str = ""
    """Put before every line; empty where there is only one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainQuery:
    """A request that nobody sends: what would it meet?"""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    """`DEPLOYMENT[.NS]` that asks; empty: from outside, through the gateway."""


class Backend(Protocol):
    """The control plane as the admin API sees it. May raise `AdminError`; must not block."""

    def generated_objects(self) -> Sequence[JsonObject]:
        """Objects that Meshgate makes itself (pods, endpoints, Services of Gateways), as kubectl shows."""
        ...

    def overlay(self, ref: ObjectRef) -> JsonObject:
        """What is merged (RFC 7386) onto an object before it is shown, such as `status`; or empty."""
        ...

    def in_force(self, document: Document) -> bool:
        """Whether the object has reached the pipeline: what `status.observedGeneration` tells."""
        ...

    def status(self) -> StatusReport:
        """The state of everything, now."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """What happens from now on; first what an onlooker must know at once. Bounded: drops the oldest."""
        ...

    def log_files(self, target: str, namespace: str, container: str) -> tuple[LogFile, ...]:
        """The logs of a Deployment's pods, of one pod or of `gateway`; `not_found` for others."""
        ...

    def exec_plan(self, target: str, namespace: str, argv: tuple[str, ...]) -> ExecAnswer:
        """How to run `argv` where a ready pod of the Deployment is (or `gateway`'s place: `invalid`)."""
        ...

    async def explain(self, query: ExplainQuery) -> JsonObject:
        """What the request would meet."""
        ...

    async def translate(self, proxy: str) -> JsonObject:
        """The live configuration of `gateway` or `DEPLOYMENT[.NS]`, without secrets."""
        ...

    async def cache_purge(self, selector: JsonObject) -> JsonObject:
        """Forgets the answers that a selector of `meshgate.bridge.cache` means; how many they were."""
        ...

    async def cache_stats(self) -> JsonObject:
        """What the cache holds, and what it did."""
        ...

    async def metrics(self) -> str:
        """All metrics, in Prometheus' format."""
        ...

    async def down(self) -> None:
        """Begins the orderly end and returns; the process ends once all is drained and stopped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GetQuery:
    """`kinds` and `names` as the user wrote them: `svc`, `vs,dr`, `all`, `pod/web-1`."""

    kinds: str
    names: tuple[str, ...] = ()
    namespace: str = "default"
    all_namespaces: bool = False
    selector: str = ""
    """`a=b,c!=d,e,!f`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Objects of one kind."""

    kind: str
    resource: str
    """Plural with group, as kubectl prefixes names: `deployments.apps`."""
    namespaced: bool
    objects: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAnswer:
    """What was found, by kind, and what was not."""

    lists: tuple[Listed, ...]
    missing: tuple[str, ...] = ()
    """One message for each name that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequest:
    """Manifests by file name."""

    texts: Mapping[str, str]
    namespace: str = ""
    """For objects that name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one object."""

    resource: str
    """`deployment.apps/web`, as kubectl prints it."""
    verb: str
    """`created`, `configured`, `unchanged`, `deleted`, `labeled`, `patched`, `not labeled`, `invalid`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The answer of everything that writes."""

    changes: tuple[Change, ...]
    diagnostics: tuple[DiagnosticLine, ...] = ()
    """Errors (then the object is not taken) and warnings of what was sent."""
    errors: tuple[str, ...] = ()
    """What could not be done, one sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """By kind and names, or by manifests."""

    kinds: str = ""
    names: tuple[str, ...] = ()
    namespace: str = "default"
    texts: Mapping[str, str] = field(default_factory=dict)
    ignore_not_found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRequest:
    """A JSON merge patch (RFC 7386) for one object."""

    kind: str
    name: str
    namespace: str
    patch: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """Labels to set, or to remove where the value is None."""

    kind: str
    names: tuple[str, ...]
    namespace: str
    labels: Mapping[str, str | None]
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """See `Backend.exec_plan`."""

    target: str
    namespace: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsRequest:
    """See `Backend.log_files`."""

    target: str
    namespace: str
    follow: bool = False
    tail: int = -1
    """Lines from the end; -1 for all."""
    container: str = ""
    """Empty: all but the sidecar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Some whole lines."""

    text: str
