"""Matches of HTTPRoute and GRPCRoute rules."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.limits import Unique, is_plain_path
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import Items, Spec, problem, show
from meshgate.model.route import MatchKind, NamedMatch, PathKind, PathMatch, RequestMatch, StringMatch

_PATHS = {"Exact": PathKind.EXACT, "PathPrefix": PathKind.SEGMENTS, "RegularExpression": PathKind.REGEX}
_GRPC_NAMES = {
    "service": re.compile(r"\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*"),
    "method": re.compile(r"[A-Za-z_][A-Za-z_0-9]*"),
}
_BAD_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$", max_length=256)]
Word = Annotated[str, Field(min_length=1, max_length=1024)]


class PathSpec(Spec):
    """`HTTPPathMatch`."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Field(max_length=1024)] = "/"


class NamedSpec(Spec):
    """`HTTPHeaderMatch`, `HTTPQueryParamMatch` and `GRPCHeaderMatch`."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: Name
    value: Annotated[str, Field(min_length=1, max_length=4096)]


Named = Annotated[Items[NamedSpec], Field(max_length=16), Unique]


class HttpMatchSpec(Spec):
    """`HTTPRouteMatch`."""

    path: PathSpec = PathSpec()
    headers: Named = ()
    query_params: Named = ()
    method: Method | None = None


class GrpcMethodSpec(Spec):
    """`GRPCMethodMatch`."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: Word | None = None
    method: Word | None = None


class GrpcMatchSpec(Spec):
    """`GRPCRouteMatch`."""

    method: GrpcMethodSpec | None = None
    headers: Named = ()


class MatchLowering:
    """Lowers matches of one document and collects what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document, self._said = document, said

    def http(self, spec: HttpMatchSpec, path: FieldPath) -> RequestMatch:
        """One HTTP match; all of its parts must hold."""
        return RequestMatch(
            paths=(self._path(spec.path, (*path, "path")),),
            headers=self._named(spec.headers, (*path, "headers"), ignore_case=True),
            query=self._named(spec.query_params, (*path, "queryParams"), ignore_case=False),
            methods=(StringMatch(kind=MatchKind.EXACT, value=spec.method),) if spec.method else (),
        )

    def grpc(self, spec: GrpcMatchSpec, path: FieldPath) -> RequestMatch:
        """One gRPC match: service and method are the two elements of the path."""
        return RequestMatch(
            paths=(self._grpc_path(spec.method, (*path, "method")),),
            headers=self._named(spec.headers, (*path, "headers"), ignore_case=True),
        )

    def _path(self, spec: PathSpec, path: FieldPath) -> PathMatch:
        kind = _PATHS[spec.type]
        if kind is PathKind.REGEX:
            self._regex(spec.value, (*path, "value"))
        else:
            bad = next((b for b in _BAD_PATHS if b in spec.value), "")
            if bad or spec.value.endswith(("/.", "/..")):
                self._add("MG2002", (*path, "value"), f"must not have {bad or 'dots as an element'}")
            if not spec.value.startswith("/"):
                self._add("MG2002", (*path, "value"), f"must begin with a slash, got {show(spec.value)}")
            elif not bad and not is_plain_path(spec.value):
                message = f"must have other characters escaped as %XX, got {show(spec.value)}"
                self._add("MG2002", (*path, "value"), message)
        return PathMatch(kind=kind, value=spec.value)

    def _named(
        self, specs: tuple[NamedSpec, ...], path: FieldPath, *, ignore_case: bool
    ) -> tuple[NamedMatch, ...]:
        found: dict[str, NamedMatch] = {}
        for index, spec in enumerate(specs):
            kind = MatchKind.EXACT if spec.type == "Exact" else MatchKind.REGEX
            if kind is MatchKind.REGEX:
                self._regex(spec.value, (*path, index, "value"))
            name = spec.name.lower() if ignore_case else spec.name
            # Of two entries for one name the specification takes the first.
            found.setdefault(name, NamedMatch(name=name, match=StringMatch(kind=kind, value=spec.value)))
        return tuple(found.values())

    def _grpc_path(self, spec: GrpcMethodSpec | None, path: FieldPath) -> PathMatch:
        if spec is None:
            return PathMatch(kind=PathKind.PREFIX, value="/")
        if spec.service is None and spec.method is None:
            self._add("MG2003", path, "must have a service or a method")
        if spec.type == "RegularExpression":
            for name, text in (("service", spec.service), ("method", spec.method)):
                if text is not None:
                    self._regex(text, (*path, name))
            service = f"(?:{spec.service})" if spec.service else "[^/]+"
            method = f"(?:{spec.method})" if spec.method else "[^/]+"
            return PathMatch(kind=PathKind.REGEX, value=f"/{service}/{method}")
        for name, text in (("service", spec.service), ("method", spec.method)):
            if text is not None and _GRPC_NAMES[name].fullmatch(text) is None:
                self._add("MG2004", (*path, name), f"must be the name of a gRPC {name}, got {show(text)}")
        if spec.service and spec.method:
            return PathMatch(kind=PathKind.EXACT, value=f"/{spec.service}/{spec.method}")
        if spec.service:
            return PathMatch(kind=PathKind.PREFIX, value=f"/{spec.service}/")
        return PathMatch(kind=PathKind.REGEX, value=f"/[^/]+/{re.escape(spec.method or '')}")

    def _regex(self, text: str, path: FieldPath) -> None:
        if wrong := regex_problem(text):
            self._add("MG2002", path, f"{wrong}, got {show(text)}")

    def _add(self, code: str, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, code, path, message))
