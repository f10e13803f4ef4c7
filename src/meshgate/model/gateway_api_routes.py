"""Gateway API routes as declared: matches, filters and backends, references as written."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.gateway_api import ParentRef, Reference, RouteKind
from meshgate.model.policy import Buffering, HttpsOnly, OnlyVia
from meshgate.model.route import Cors, HeaderChanges, RequestMatch, SessionPersistence, StringMatch

_UNCHANGED = HeaderChanges()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChange:
    """What of the path is replaced."""

    full: str | None = None
    prefix: str | None = None
    """Replaces what a `PathPrefix` match matched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderFilter:
    request: HeaderChanges = _UNCHANGED
    response: HeaderChanges = _UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectFilter:
    scheme: str = ""
    hostname: str = ""
    path: PathChange = PathChange()
    port: int = 0
    status: int = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteFilter:
    hostname: str = ""
    path: PathChange = PathChange()


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFilter:
    backend: Reference
    percent: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsFilter:
    cors: Cors


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionFilter:
    """A filter of another API, by its object."""

    target: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAuthFilter:
    """Who is asked whether a request may go on; fields as in `ExternalAuth`."""

    backend: Reference
    grpc: bool
    path_prefix: str = ""
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    max_body_bytes: int = 0
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedFilter:
    """A filter that must not be left out: its rule answers 500."""

    type: str


Filter = (
    HeaderFilter
    | RedirectFilter
    | RewriteFilter
    | MirrorFilter
    | CorsFilter
    | ExtensionFilter
    | ExternalAuthFilter
    | UnsupportedFilter
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One backend of a rule and its share."""

    target: Reference
    weight: int = 1
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRetry:
    """What of a rule's `retry` was written; None where nothing was."""

    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """One rule of a route."""

    name: str = ""
    matches: tuple[RequestMatch, ...] = ()
    """Any of them; the dialect fills in the default. Empty for routes of connections."""
    filters: tuple[Filter, ...] = ()
    backends: tuple[Backend, ...] = ()
    timeout_ms: float | None = None
    """Of the whole request; 0: no limit."""
    backend_timeout_ms: float | None = None
    """Of each try."""
    retry: RouteRetry | None = None
    persistence: SessionPersistence | None = None
    origin: Origin = BUILT_IN


def targets(rule: RouteRule) -> tuple[Reference, ...]:
    """All that a rule leads requests or questions to: backends, mirrors, and who is asked by ExternalAuth."""
    used = (*rule.filters, *(f for b in rule.backends for f in b.filters))
    asked = (f.backend for f in used if isinstance(f, MirrorFilter | ExternalAuthFilter))
    return (*(b.target for b in rule.backends), *asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAnnotations:
    """What Kong's annotations say of a route of requests, but for its plugins."""

    strip_path: bool = False
    preserve_host: bool = True
    methods: tuple[str, ...] = ()
    """Holds beside what the rules say; empty: all."""
    headers: tuple[tuple[str, tuple[StringMatch, ...]], ...] = ()
    https_only: HttpsOnly | None = None
    plain_only: bool = False
    only_via: OnlyVia | None = None
    buffering: Buffering | None = None
    joins_paths: bool = False
    closed: str = ""
    """Why it must not let anything in; empty: it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRoute:
    """One route of any kind as written."""

    ref: ObjectRef
    kind: RouteKind
    parents: tuple[ParentRef, ...]
    default_gateways: bool = False
    """Gateways that are everybody's are parents too."""
    hostnames: tuple[str, ...] = ()
    """Lower case."""
    rules: tuple[RouteRule, ...] = ()
    plugin_names: tuple[str, ...] = ()
    """Of the annotation `konghq.com/plugins`."""
    plugins_origin: Origin | None = None
    annotations: RouteAnnotations = RouteAnnotations()
    created: str = ""
    generation: int = 0
    origin: Origin = BUILT_IN

    @property
    def namespace(self) -> str:
        """Where the route is, and where its backends are unless they say otherwise."""
        return self.ref.namespace
