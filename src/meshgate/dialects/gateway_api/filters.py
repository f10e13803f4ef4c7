"""Filters of HTTPRoute and GRPCRoute rules and backends."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.cors import CorsSpec
from meshgate.dialects.gateway_api.external_auth import ExternalAuthSpec, lower_external_auth
from meshgate.dialects.gateway_api.limits import Group, Kind, ObjectName, Unique
from meshgate.dialects.gateway_api.references import (
    BackendObjectSpec,
    PortNumber,
    PreciseHostname,
    lower_backend,
)
from meshgate.dialects.schema import Items, Spec, fault, problem
from meshgate.model.gateway_api import Reference
from meshgate.model.gateway_api_routes import (
    CorsFilter,
    ExtensionFilter,
    Filter,
    HeaderFilter,
    MirrorFilter,
    PathChange,
    RedirectFilter,
    RewriteFilter,
    UnsupportedFilter,
)
from meshgate.model.names import Name
from meshgate.model.route import HeaderChanges

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELDS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExtensionRef": "extensionRef",
    "ExternalAuth": "externalAuth",
}
_ONCE = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS")


def _name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise fault("MG2004", "must be a header name")
    if text.lower() == "host":
        raise fault("MG2002", "the Host header cannot be changed here", "use URLRewrite with a hostname")
    return text.lower()


def _value(text: str) -> str:
    if any((ord(c) < 32 and c != "\t") or c == "\x7f" for c in text):
        raise fault("MG2002", "must not have control characters")
    return text.replace("%", "%%")  # Envoy would read it as the start of a command


def _path(text: str) -> str:
    if any(ord(c) < 33 or c in "\x7f?#" for c in text):
        raise fault("MG2002", "must be a path without spaces, query or fragment")
    return text


def _target(text: str) -> str:
    _path(text.replace("?", "", 1))
    return text


HeaderName = Annotated[str, AfterValidator(_name)]
HeaderValue = Annotated[str, AfterValidator(_value)]
PathText = Annotated[str, AfterValidator(_path)]
Target = Annotated[str, AfterValidator(_target)]
"""A path that may have a query."""


class HeaderSpec(Spec):
    name: HeaderName
    value: HeaderValue


Headers = Annotated[Items[HeaderSpec], Field(max_length=16), Unique]


class HeaderFilterSpec(Spec):
    """`HTTPHeaderFilter`."""

    set: Headers = ()
    add: Headers = ()
    remove: Annotated[Items[HeaderName], Field(max_length=16), Unique] = ()

    def lower(self) -> HeaderChanges:
        """The changes; of two entries for one name the first counts, as the specification says."""
        return HeaderChanges(
            set=tuple({h.name: h.value for h in reversed(self.set)}.items())[::-1],
            add=tuple((h.name, h.value) for h in self.add),
            remove=tuple(dict.fromkeys(self.remove)),
        )


class PathModifierSpec(Spec):
    """`HTTPPathModifier`."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Target | None = None
    replace_prefix_match: PathText | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        full, prefix = self.replace_full_path is not None, self.replace_prefix_match is not None
        if (full, prefix) != (self.type == "ReplaceFullPath", self.type == "ReplacePrefixMatch"):
            field = "replaceFullPath" if self.type == "ReplaceFullPath" else "replacePrefixMatch"
            raise fault("MG2006", f"must have {field}, and no other, with the type {self.type}")
        return self

    def lower(self) -> PathChange:
        """What of the path is replaced."""
        if self.type == "ReplaceFullPath":
            return PathChange(full=self.replace_full_path or "/")
        return PathChange(prefix=self.replace_prefix_match or "")


class RedirectSpec(Spec):
    """`HTTPRequestRedirectFilter`."""

    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: PathModifierSpec | None = None
    port: PortNumber | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class UrlRewriteSpec(Spec):
    """`HTTPURLRewriteFilter`."""

    hostname: PreciseHostname | None = None
    path: PathModifierSpec | None = None


class FractionSpec(Spec):
    numerator: Annotated[int, Field(ge=0)]
    denominator: Annotated[int, Field(ge=1)] = 100


class MirrorSpec(Spec):
    """`HTTPRequestMirrorFilter`."""

    backend_ref: BackendObjectSpec
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    fraction: FractionSpec | None = None


class ExtensionSpec(Spec):
    """`LocalObjectReference`."""

    group: Group
    kind: Kind
    name: ObjectName


class FilterSpec(Spec):
    """`HTTPRouteFilter` and `GRPCRouteFilter`: a type, and the field of that type."""

    type: str
    request_header_modifier: HeaderFilterSpec | None = None
    response_header_modifier: HeaderFilterSpec | None = None
    request_mirror: MirrorSpec | None = None
    request_redirect: RedirectSpec | None = None
    url_rewrite: UrlRewriteSpec | None = None
    cors: CorsSpec | None = None
    extension_ref: ExtensionSpec | None = None
    external_auth: ExternalAuthSpec | None = None


class FilterLowering:
    """Lowers the filters of one document and collects what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic], types: tuple[str, ...]) -> None:
        self._document, self._said, self._types = document, said, types

    def filters(self, specs: tuple[FilterSpec, ...], path: FieldPath) -> tuple[Filter, ...]:
        """All of a list; a type that is not known closes what it is for."""
        seen: set[str] = set()
        found: list[Filter] = []
        for index, spec in enumerate(specs):
            here = (*path, index)
            if spec.type in _ONCE and spec.type in seen:
                self._add("MG2006", here, f"{spec.type} is there twice")
            seen.add(spec.type)
            for name in sorted(spec.model_fields_set - {"type"}):
                own = to_camel(name)
                if own != _FIELDS.get(spec.type) and getattr(spec, name) is not None:
                    self._add("MG2006", (*here, own), f"has no place with the type {spec.type}")
            found.append(self._filter(spec, here))
        if {"RequestRedirect", "URLRewrite"} <= seen:
            self._add("MG2006", path, "RequestRedirect and URLRewrite exclude each other")
        return tuple(found)

    def _filter(self, spec: FilterSpec, path: FieldPath) -> Filter:
        field = _FIELDS.get(spec.type)
        if field is None or spec.type not in self._types:
            self._add("MG2002", (*path, "type"), f"must be one of {', '.join(self._types)}, got {spec.type}")
            return UnsupportedFilter(type=spec.type)
        if spec.request_header_modifier is not None and field == "requestHeaderModifier":
            return HeaderFilter(request=spec.request_header_modifier.lower())
        if spec.response_header_modifier is not None and field == "responseHeaderModifier":
            return HeaderFilter(response=spec.response_header_modifier.lower())
        if spec.request_mirror is not None and field == "requestMirror":
            return self._mirror(spec.request_mirror, (*path, field))
        if spec.request_redirect is not None and field == "requestRedirect":
            wanted = spec.request_redirect
            return RedirectFilter(
                scheme=wanted.scheme or "",
                hostname=wanted.hostname or "",
                path=wanted.path.lower() if wanted.path else PathChange(),
                port=wanted.port or 0,
                status=wanted.status_code,
            )
        if spec.url_rewrite is not None and field == "urlRewrite":
            change = spec.url_rewrite.path
            if change is not None and "?" in (change.replace_full_path or ""):
                where = (*path, field, "path", "replaceFullPath")
                self._add("MG2002", where, "must have no query: a rewritten request keeps its own")
            return RewriteFilter(
                hostname=spec.url_rewrite.hostname or "", path=change.lower() if change else PathChange()
            )
        if spec.cors is not None and field == "cors":
            return CorsFilter(cors=spec.cors.lower())
        if spec.extension_ref is not None and field == "extensionRef":
            wanted_ref = spec.extension_ref
            name = Name(self._document.namespace, wanted_ref.name)
            return ExtensionFilter(
                target=Reference(
                    group=wanted_ref.group,
                    kind=wanted_ref.kind,
                    name=name,
                    origin=self._document.locate((*path, field)),
                )
            )
        if spec.external_auth is not None and field == "externalAuth":
            return lower_external_auth(spec.external_auth, self._document, (*path, field), self._said)
        self._add("MG2003", (*path, field), f"is required for the type {spec.type}")
        return UnsupportedFilter(type=spec.type)

    def _mirror(self, spec: MirrorSpec, path: FieldPath) -> MirrorFilter:
        percent = 100.0 if spec.percent is None else float(spec.percent)
        if spec.fraction is not None:
            if spec.percent is not None:
                self._add("MG2006", path, "percent and fraction exclude each other")
            percent = 100.0 * spec.fraction.numerator / spec.fraction.denominator
            if percent > 100:
                self._add("MG2002", (*path, "fraction"), "must be at most one")
        backend = lower_backend(spec.backend_ref, self._document, (*path, "backendRef"))
        return MirrorFilter(backend=backend, percent=percent)

    def _add(self, code: str, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, code, path, message))
