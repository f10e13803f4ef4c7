"""Rules of HTTP traffic: what a request must look like, and where it goes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policy import Policy
from meshgate.model.service import EMPTY

CLAIMS = "@request.auth.claims"


class MatchKind(enum.Enum):
    """How a string is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    """RE2, the whole string."""
    PRESENT = "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class StringMatch:
    kind: MatchKind
    value: str = ""
    ignore_case: bool = False


class PathKind(enum.Enum):
    EXACT = "exact"
    PREFIX = "prefix"
    """Plain string prefix (Istio, Kong)."""
    SEGMENTS = "segments"
    """Prefix by whole path elements (Kubernetes `Prefix`)."""
    REGEX = "regex"
    """RE2, the whole path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    kind: PathKind
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMatch:
    """A header, claim or query parameter that must (or, inverted, must not) match.

    A claim has the name `@request.auth.claims[a][b]`, which is no header's: it is one of a
    verified token, and of lists one member must match.
    """

    name: str
    match: StringMatch
    invert: bool = False

    @property
    def is_claim(self) -> bool:
        """Whether it is about a claim."""
        return self.name.startswith(CLAIMS)

    @property
    def claim(self) -> tuple[str, ...]:
        """The way into the token."""
        return tuple(self.name[len(CLAIMS) + 1 : -1].split("]["))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMatch:
    """All parts must hold; an empty match takes every request."""

    paths: tuple[PathMatch, ...] = ()
    """All must hold (an edge rule and a mesh rule together give two)."""
    headers: tuple[NamedMatch, ...] = ()
    query: tuple[NamedMatch, ...] = ()
    methods: tuple[StringMatch, ...] = ()
    """Any of them."""
    scheme: StringMatch | None = None
    authority: StringMatch | None = None
    port: int = 0
    """Port that was asked for; 0 for any."""
    source_labels: Mapping[str, str] = EMPTY
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    """As declared (Istio's `match.gateways`): holds only there; empty for wherever the rule
    holds. Always empty after `link`."""
    name: str = ""
    """Goes behind the rule's name where the route is named."""
    stat_prefix: str = ""
    """Under which Envoy counts the requests that it takes; empty: not by themselves."""
    up_to_percent: float = 100.0
    """Holds for requests whose throw (0-100, one for all rules) is below: rules in a row split them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A service (full host), one of its ports, and a subset or none."""

    host: str
    port: int
    """Service port. As declared, 0 where none is written; after `link`, 0 for the port that was
    asked for (never in edge rules)."""
    subset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedDestination:
    destination: Destination
    weight: int
    """Relative to the rule's other destinations; a lone destination takes all."""
    request_headers: HeaderChanges = HeaderChanges()
    response_headers: HeaderChanges = HeaderChanges()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    attempts: int
    """0 switches retries off."""
    conditions: tuple[str, ...]
    """Envoy's `retry_on` words."""
    status_codes: tuple[int, ...] = ()
    per_try_timeout_ms: float = 0
    backoff_ms: float = 25
    ignore_previous_hosts: bool = True
    remote_localities: bool = False
    """Further tries may leave the localities that earlier ones went to."""


DEFAULT_RETRY = Retry(attempts=2, conditions=("connect-failure", "refused-stream", "reset-before-request"))
"""Repeats only what was never processed. Istio's own default also repeats on 503, which
can run a POST twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Changes of path and host on the way to the destination; empty fields change nothing."""

    prefix: str | None = None
    """Replaces what the path match matched (`strip-path` is the prefix `/`): the prefix of a
    prefix match, all of the path of an exact or regex match."""
    path_regex: str = ""
    substitution: str = ""
    authority: str = ""
    preserve_host: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    destination: Destination
    percent: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Injected trouble; percentages 0-100."""

    delay_ms: float = 0
    delay_percent: float = 0
    abort_http: int = 0
    abort_grpc: int | None = None
    abort_percent: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_s: int | None = None
    allow_credentials: bool | None = None
    forward_unmatched: bool = True
    """Preflights of other origins go on to the service; else they are answered without permission."""

    @property
    def echoes(self) -> bool:
        """Whether what a preflight asks for is allowed by name: with credentials `*` is worth nothing."""
        return bool(self.allow_credentials) and "*" in (*self.allow_methods, *self.allow_headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPersistence:
    """Requests of one session go to one endpoint; by a cookie, or by a header that answers bring."""

    cookie: str = ""
    """Its name; empty where `header` is set."""
    path: str = "/"
    ttl_ms: float = 0
    """Of the cookie; 0: until the client ends."""
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    destinations: tuple[WeightedDestination, ...]
    timeout_ms: float = 0
    """0: no limit (Istio's default)."""
    idle_timeout_ms: float | None = None
    """Longest silence; None: the listener's."""
    retry: Retry = DEFAULT_RETRY
    rewrite: Rewrite = Rewrite()
    mirrors: tuple[Mirror, ...] = ()
    lost_weight: int = 0
    """The share, beside those of `destinations`, of requests that answer 500: it leads nowhere."""
    persistence: SessionPersistence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    code: int = 301
    path: str = ""
    path_regex: str = ""
    """With `substitution`, changes a part of the path; excludes `path`."""
    substitution: str = ""
    authority: str = ""
    scheme: str = ""
    port: int = 0
    prefix: str = ""
    """Replaces what the path match matched; excludes `path`."""
    derive_port: bool = False
    """To the port that was asked for. Always False in the rules of Gateways, see `server_port`."""
    server_port: int = 0
    """To the port at which the gateway serves that port of a Gateway."""
    to_https_port: bool = False
    """To the port at which the gateway serves HTTPS; only in edge rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectResponse:
    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Closed: what was asked for cannot be done safely or has no destination."""

    status: int
    reason: str
    """Shown by `explain` and in the body; names the object at fault, no secrets."""


Action = Forward | Redirect | DirectResponse | Refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerClass:
    """Consumers who have the same plugins of their own."""

    name: str
    """The same wherever they are met."""
    consumers: tuple[str, ...]
    """Ids, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerVariant:
    """What a rule's policies are for some consumers, once it is known who asks."""

    classes: tuple[ConsumerClass, ...]
    policies: tuple[Policy, ...]
    """All of them, in the place of the rule's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The first rule with a match decides; no matches at all means every request."""

    name: str
    """Unique in its host; e.g. `ingress/default/api-ingress/0/0` or a VirtualService's own."""
    matches: tuple[RequestMatch, ...]
    action: Action
    request_headers: HeaderChanges = HeaderChanges()
    response_headers: HeaderChanges = HeaderChanges()
    fault: Fault | None = None
    cors: Cors | None = None
    policies: tuple[Policy, ...] = ()
    """Applied at the edge, in the order of `policies.CHAIN` whatever the order here."""
    variants: tuple[ConsumerVariant, ...] = ()
    """No consumer is in two of them."""
    origin: Origin = BUILT_IN
    """Where the rule was written."""
    edge_origin: Origin | None = None
    """Where the edge rule was written that led to this mesh rule."""
    route_label: str = ""
    """Kong's route name for metrics and counters, the same for all rules made of one edge rule."""
    service_label: str = ""

    @property
    def policies_of_each(self) -> tuple[tuple[Policy, ...], ...]:
        """Its policies, and for each of its variants those that stand in their place."""
        return (self.policies, *(variant.policies for variant in self.variants))

    @property
    def every_policy(self) -> tuple[Policy, ...]:
        """Its policies, those for some consumers too."""
        return (*self.policies, *(policy for variant in self.variants for policy in variant.policies))
