"""What a request would meet, and which lines of which files decided it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.origin import Origin
from meshgate.model.service import EMPTY


class Outcome(enum.Enum):
    """What happens to the request at the proxy."""

    FORWARD = "forward"
    """Goes to one of the destinations."""
    REDIRECT = "redirect"
    """The proxy sends the client elsewhere."""
    ANSWER = "answer"
    """The proxy answers by itself, as a rule says."""
    REFUSE = "refuse"
    """The proxy answers by itself because the request cannot or must not go on."""
    TCP = "tcp"
    """Bytes are carried to the destination; requests are not looked at."""
    OUTSIDE = "outside"
    """The host is none of the mesh's; the request leaves as it is."""


class Tls(enum.Enum):
    """How the proxy speaks to a destination."""

    MUTUAL = "mTLS"
    SIMPLE = "TLS"
    """The server shows a certificate, the client none."""
    PLAIN = "plaintext"
    MIXED = "mTLS to some endpoints, plaintext to others"
    UNKNOWN = "unknown: no endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedBy:
    """The rule that took the request."""

    name: str
    origin: Origin
    """Where the rule, or the service that stands for one, is written."""
    edge_origin: Origin | None = None
    """Where the path of the Ingress is written that led to it, if another place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Endpoints of one locality and priority, as this client sees them."""

    locality: str
    """`region/zone/sub-zone`; empty for those that do not say."""
    priority: int
    """0 gets the requests while it is well, then 1, and so on."""
    weight: int
    """Its share beside others of the same priority."""
    percent: float
    """Of this destination's requests, while all endpoints are well."""
    endpoints: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One place where the request may go."""

    cluster: str
    """Envoy's name of it."""
    host: str = ""
    port: int = 0
    subset: str = ""
    labels: Mapping[str, str] = EMPTY
    """What the subset's pods have."""
    subset_origin: Origin | None = None
    percent: float = 100
    endpoints: int = 0
    """Ready ones."""
    tls: Tls = Tls.UNKNOWN
    peers: tuple[str, ...] = ()
    """SPIFFE IDs that the other side must show."""
    problem: str = ""
    """Why requests that come here fail (503); empty where nothing is known against it."""
    places: tuple[Place, ...] = ()
    """Where the endpoints are, in the order of their priorities; empty where places do not matter."""
    limits: tuple[str, ...] = ()
    """What a DestinationRule says about its connections and endpoints, in words."""
    limits_origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyMet:
    """A policy on the way, in the order of Envoy's filters."""

    kind: str
    """Kong's name of the plugin."""
    says: str
    """What it asks for, in one line; no secrets."""
    origin: Origin
    refuses: int = 0
    """Status with which it turns this very request away; 0 where it need not."""
    location: str = ""
    """Where it sends the client that it turns away."""
    consumer: str = ""
    """Who the request says it is, if the policy can tell without checking signatures."""
    stranger: bool = False
    """That consumer stands for somebody who is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How the request leaves the proxy."""

    path: str
    authority: str
    timeout_ms: float = 0
    """0: no limit."""
    retries: int = 0
    retry_on: str = ""
    per_try_timeout_ms: float = 0
    hash_on: str = ""
    """What chooses the endpoint (consistent hash); empty where the balancer is free."""
    mirrors: tuple[tuple[str, float], ...] = ()
    """(cluster, percent) of copies."""
    request_headers: tuple[str, ...] = ()
    """Changes on the way there: `name: value`, `+name: value` (added), `-name` (removed)."""
    response_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """Faults that a rule asks for; percentages 0-100."""

    delay_ms: float = 0
    delay_percent: float = 0
    abort_status: int = 0
    """HTTP's; with a gRPC status it is 200."""
    abort_grpc: int | None = None
    abort_percent: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a request would meet."""

    proxy: str
    """Envoy's node id; empty where the caller has no proxy."""
    outcome: Outcome
    listener: str = ""
    virtual_host: str = ""
    route: str = ""
    status: int = 0
    """The proxy's own answer, if that is certain; 0 where the destination answers."""
    location: str = ""
    """Where a redirect leads."""
    reason: str = ""
    """Why it ends here; empty for requests that go on."""
    path: str = ""
    """As matched: normalised."""
    rule: DecidedBy | None = None
    policies: tuple[PolicyMet, ...] = ()
    destinations: tuple[Reached, ...] = ()
    sent: Sent | None = None
    fault: Injected | None = None
