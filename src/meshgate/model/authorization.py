"""Who may do what at a workload: Istio's authorization and token rules as data.

The dialect lowers one object each; `link` gathers what holds for a workload, or for the
gateway, in a `Guard`; `policies/` turns a guard into Envoy's filters.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.mesh_config import ExtAuthz
from meshgate.model.service import EMPTY


class Action(enum.Enum):
    """What happens to a request that a rule takes."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"
    """Somebody else is asked, before all others decide."""


class Attribute(enum.Enum):
    """What of a request a condition looks at."""

    PRINCIPAL = "source.principal"
    NAMESPACE = "source.namespace"
    SERVICE_ACCOUNT = "source.serviceAccount"
    TRUST_DOMAIN = "source.trustDomain"
    SOURCE_IP = "source.ip"
    REMOTE_IP = "remote.ip"
    REQUEST_PRINCIPAL = "request.auth.principal"
    AUDIENCES = "request.auth.audiences"
    PRESENTER = "request.auth.presenter"
    CLAIM = "request.auth.claims"
    HEADER = "request.headers"
    HOST = "request.host"
    METHOD = "request.method"
    PATH = "request.path"
    DESTINATION_IP = "destination.ip"
    DESTINATION_PORT = "destination.port"
    SNI = "connection.sni"

    @property
    def is_http(self) -> bool:
        """Whether only HTTP requests have it."""
        return self.value.startswith("request.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Holds where one of `values` matches (if there are any) and none of `not_values` does.

    A value is exact, a prefix (`abc*`), a suffix (`*abc`) or `*` for whatever is not empty;
    addresses are CIDR blocks, ports are numbers, paths may be templates (`{*}`, `{**}`).
    """

    attribute: Attribute
    key: tuple[str, ...] = ()
    """The header's name, or the way to a claim."""
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRule:
    """Holds where one source, one operation and all of `when` hold; empty ones always do."""

    sources: tuple[tuple[Condition, ...], ...] = ()
    operations: tuple[tuple[Condition, ...], ...] = ()
    when: tuple[Condition, ...] = ()


class TargetKind(enum.Enum):
    """What a `targetRef` names."""

    GATEWAY = "gateway"
    SERVICE = "service"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One `targetRef`. Only Gateways are supported; the others say what must be closed."""

    kind: TargetKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPolicy:
    """One AuthorizationPolicy."""

    ref: ObjectRef
    namespace: str
    selector: Mapping[str, str] = EMPTY
    """Empty: every workload of the namespace, or of the mesh in the root namespace."""
    targets: tuple[Target, ...] = ()
    action: Action = Action.ALLOW
    rules: tuple[AuthorizationRule, ...] = ()
    """None of an ALLOW policy: it lets nothing in."""
    provider: str = ""
    """Who is asked (CUSTOM): the name of one of MeshConfig's extension providers."""
    dry_run: bool = False
    """Counted and logged, never enforced."""
    closed: str = ""
    """Why its workloads must let nothing in: it cannot be honoured. Empty: it can."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteKeys:
    """Where a key set is fetched from."""

    url: str
    host: str
    port: int
    tls: bool
    service: str = ""
    """Full host of the service of ours that answers; empty: the host is looked up in DNS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtRule:
    """One issuer whose tokens are accepted."""

    issuer: str
    audiences: tuple[str, ...] = ()
    """Empty: any."""
    jwks: Secret | None = None
    """A JSON Web Key Set; None: `remote` has it. It may hold shared keys."""
    remote: RemoteKeys | None = None
    from_headers: tuple[tuple[str, str], ...] = ()
    """(name, prefix). Without any place of its own: `Authorization: Bearer`, `access_token`."""
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    forward: bool = False
    """The service sees the token."""
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()
    """(header, claim)."""
    timeout_ms: float = 5000
    space_delimited: tuple[str, ...] = ()
    """Claims that are lists in one text, beside `scope` and `permission`."""

    @property
    def output_headers(self) -> tuple[str, ...]:
        """What only a verified token may set."""
        own = (self.payload_header,) if self.payload_header else ()
        return (*own, *(header for header, _ in self.claim_headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAuthentication:
    """One RequestAuthentication."""

    ref: ObjectRef
    namespace: str
    selector: Mapping[str, str] = EMPTY
    targets: tuple[Target, ...] = ()
    rules: tuple[JwtRule, ...] = ()
    closed: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """An extension provider that decides for CUSTOM policies, found among the services."""

    name: str
    settings: ExtAuthz
    host: str
    """Full host of the service, or of the ServiceEntry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """All that stands before a workload or the gateway."""

    policies: tuple[AuthorizationPolicy, ...] = ()
    """By namespace and name; broken ones are not here but in `closed`."""
    jwt: tuple[JwtRule, ...] = ()
    """Of all RequestAuthentications together."""
    authorizers: tuple[Authorizer, ...] = ()
    """Of the CUSTOM policies, by name; every one whose rules take a request must let it in."""
    closed: str = ""
    """Why nothing is let in; empty: the policies decide."""

    def of(self, action: Action, *, dry_run: bool = False) -> tuple[AuthorizationPolicy, ...]:
        """The policies with that action that are enforced, or that are only tried."""
        return tuple(p for p in self.policies if p.action is action and p.dry_run is dry_run)


OPEN = Guard()
"""No policy at all: everything is let in."""
