"""What all routes have in common: parents, names, backends, plugins, and how they are lowered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import FieldPath, Origin
from meshgate.dialects.annotation_list import KONG
from meshgate.dialects.annotations import (
    PLUGINS,
    annotation_path,
    without_effect,
)
from meshgate.dialects.document import Document
from meshgate.dialects.edge_annotations import EdgeAnnotations, route_annotations
from meshgate.dialects.gateway_api.references import (
    BackendObjectSpec,
    Duration,
    Hostname,
    ParentRefSpec,
    SectionName,
    lower_backend,
)
from meshgate.dialects.kind import Lowered
from meshgate.dialects.metadata import ObjectMeta
from meshgate.dialects.schema import Items, Spec, fault, problem
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import RouteKind
from meshgate.model.gateway_api_routes import ApiRoute, Backend, RouteAnnotations, RouteRule
from meshgate.model.route import SessionPersistence

MAX_WEIGHT = 1_000_000
MAX_RULES = MAX_BACKENDS = MAX_FILTERS = 16
DEFAULT_COOKIE = "meshgate-session"
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$", max_length=256)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]


def _apart(parents: tuple[ParentRefSpec, ...]) -> tuple[ParentRefSpec, ...]:
    """Who names a parent more than once names sections or ports of it, each time another."""
    named: dict[tuple[str, str, str, str], list[ParentRefSpec]] = {}
    for one in parents:
        named.setdefault((one.group, one.kind, one.namespace or "", one.name), []).append(one)
    for (*_, kind, _, name), several in named.items():
        forms = {(bool(one.section_name), one.port is not None) for one in several}
        places = {(one.section_name, one.port) for one in several}
        if len(several) > 1 and (len(forms) > 1 or len(places) < len(several)):
            message = (
                f"names {kind} {name} {len(several)} times, which needs another sectionName or port each"
            )
            raise fault("MG2006", message)
    return parents


class CommonRouteSpec(Spec):
    """`CommonRouteSpec`."""

    parent_refs: Annotated[Items[ParentRefSpec], Field(max_length=32), AfterValidator(_apart)] = ()
    use_default_gateways: Literal["All", "None"] = "None"


class HostnamesSpec(CommonRouteSpec):
    hostnames: Annotated[Items[Hostname], Field(max_length=16)] = ()


class BackendRefSpec(BackendObjectSpec):
    """`BackendRef`."""

    weight: Weight = 1


class StreamRuleSpec(Spec):
    """`TLSRouteRule`, `TCPRouteRule` and `UDPRouteRule`."""

    name: SectionName = ""
    backend_refs: Annotated[Items[BackendRefSpec], Field(max_length=MAX_BACKENDS)] = ()


class CookieSpec(Spec):
    """`CookieConfig`."""

    name: FieldName | None = None
    path: Annotated[str, Field(max_length=1024)] | None = None
    lifetime_type: Literal["Session", "Permanent"] = "Session"


class HeaderConfigSpec(Spec):
    name: FieldName


class PersistenceSpec(Spec):
    """`SessionPersistence`."""

    UNSUPPORTED: ClassVar[dict[str, str]] = {"idleTimeout": "sessions end by absoluteTimeout alone"}

    session_name: Annotated[str, Field(max_length=128)] | None = None
    absolute_timeout: Duration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieSpec = CookieSpec()
    cookie: CookieSpec | None = None
    header: HeaderConfigSpec | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.type == "Header" and self.cookie is not None:
            raise fault("MG2006", "must not have cookie with the type Header")
        if self.type == "Cookie" and self.header is not None:
            raise fault("MG2006", "must not have header with the type Cookie")
        if self.type == "Header" and not (self.header or self.session_name):
            raise fault("MG2003", "needs header with the type Header")
        cookie = self.cookie or self.cookie_config
        if cookie.lifetime_type == "Permanent" and self.type == "Cookie" and self.absolute_timeout is None:
            raise fault("MG2003", "needs absoluteTimeout with the lifetimeType Permanent")
        return self

    def lower(self) -> SessionPersistence:
        """By a cookie, or by a header."""
        cookie = self.cookie or self.cookie_config
        if self.type == "Header":
            return SessionPersistence(header=(self.header.name if self.header else self.session_name) or "")
        return SessionPersistence(
            cookie=cookie.name or self.session_name or DEFAULT_COOKIE,
            path=cookie.path or "/",
            ttl_ms=(self.absolute_timeout or 0) if cookie.lifetime_type == "Permanent" else 0,
        )


def stream_rules(
    specs: tuple[StreamRuleSpec, ...], document: Document, said: list[Diagnostic]
) -> tuple[RouteRule, ...]:
    """Rules that carry connections or datagrams. Only the first can count, for none has a match (MG1103);
    since v1 there is exactly one, with a backend."""
    rules = []
    of_v1 = document.api_version.endswith("/v1")
    if len(specs) > 1 and of_v1:
        said.append(problem(document, "MG2002", ("spec", "rules"), "must have exactly one"))
    elif len(specs) > 1:
        message = "the first rule takes everything; the others have no effect"
        second: FieldPath = ("spec", "rules", 1)
        said.append(problem(document, "MG1103", second, message, severity=Severity.WARNING))
    for index, spec in enumerate(specs):
        path: FieldPath = ("spec", "rules", index)
        if of_v1 and not spec.backend_refs:
            said.append(problem(document, "MG2003", (*path, "backendRefs"), "is required"))
        backends = tuple(
            Backend(target=lower_backend(b, document, (*path, "backendRefs", i)), weight=b.weight)
            for i, b in enumerate(spec.backend_refs)
        )
        rules.append(RouteRule(name=spec.name, backends=backends, origin=document.locate(path)))
    return tuple(rules)


def lowered_route(
    document: Document,
    kind: RouteKind,
    spec: CommonRouteSpec,
    rules: tuple[RouteRule, ...],
    metadata: ObjectMeta,
    said: list[Diagnostic],
) -> Lowered:
    """The route of any kind."""
    keep, annotations = not has_errors(said), RouteAnnotations()
    names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    origin: Origin | None = None
    if kind in (RouteKind.HTTP, RouteKind.GRPC):
        found = route_annotations(metadata.annotations, document)
        said.extend(found.diagnostics)
        names, origin, aliases = found.plugin_names, found.plugins_origin, found.host_aliases
        annotations = _annotations(found)
    else:
        said.extend(_for_connections(metadata, document))
        keep = False
    hostnames = spec.hostnames if isinstance(spec, HostnamesSpec) else ()
    route = ApiRoute(
        ref=document.ref,
        kind=kind,
        parents=tuple(
            parent.lower(document, ("spec", "parentRefs", i)) for i, parent in enumerate(spec.parent_refs)
        ),
        default_gateways=spec.use_default_gateways == "All",
        hostnames=tuple(dict.fromkeys((*hostnames, *aliases))),
        rules=rules,
        plugin_names=names,
        plugins_origin=origin,
        annotations=annotations,
        created=document.created,
        generation=document.generation,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(api_routes=(route,)), diagnostics=tuple(said), keep=keep)


def _annotations(found: EdgeAnnotations) -> RouteAnnotations:
    return RouteAnnotations(
        strip_path=found.strip_path,
        preserve_host=found.preserve_host,
        methods=found.methods,
        headers=found.headers,
        https_only=found.https_only,
        plain_only=found.plain_only,
        only_via=found.only_via,
        buffering=found.buffering,
        joins_paths=found.joins_paths,
        closed=found.closed,
    )


def _for_connections(metadata: ObjectMeta, document: Document) -> Iterator[Diagnostic]:
    """What Kong's annotations are on a route that carries no requests (MG1104 where they guard)."""
    for name in metadata.annotations:
        if name.startswith(KONG) and name != PLUGINS:
            yield without_effect(name, document)
    if PLUGINS in metadata.annotations:
        message = "plugins are not run for connections; what they guard would be open"
        yield problem(document, "MG1104", annotation_path(PLUGINS), message, remedy="take them out")
