"""`http.match` of a VirtualService: what a request must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.hosts import PortNumber
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import Items, Spec, fault, problem, show
from meshgate.model.route import CLAIMS, MatchKind, NamedMatch, PathKind, PathMatch, RequestMatch, StringMatch
from meshgate.model.service import EMPTY

HEADER_NAME = re.compile(r":?[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BRACKETED = re.compile(r"(?:\[[^\[\]]+\])+")
_NOT_HEADERS = frozenset({"uri", "scheme", "method", "authority"})
"""Keys of `headers` that Istio leaves out, because they have fields of their own."""


def _stat_prefix(text: str) -> str:
    if any(ord(c) < 33 or c == "\x7f" for c in text):
        raise fault("MG2002", "must not have spaces or control characters")
    return text


StatPrefix = Annotated[str, AfterValidator(_stat_prefix)]


class StringMatchSpec(Spec):
    """Exactly one of the three; in `headers` and `queryParams` none of them asks for presence."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class MatchSpec(Spec):
    """Istio's `HTTPMatchRequest`."""

    name: str = ""
    stat_prefix: StatPrefix = ""
    uri: StringMatchSpec | None = None
    scheme: StringMatchSpec | None = None
    method: StringMatchSpec | None = None
    authority: StringMatchSpec | None = None
    headers: dict[str, StringMatchSpec] = Field(default_factory=dict)
    without_headers: dict[str, StringMatchSpec] = Field(default_factory=dict)
    query_params: dict[str, StringMatchSpec] = Field(default_factory=dict)
    ignore_uri_case: bool = False
    port: PortNumber | None = None
    source_labels: dict[str, str] = Field(default_factory=dict)
    source_namespace: str = ""
    gateways: Items[str] = ()


class MatchLowering:
    """Lowers matches of one document and collects what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document = document
        self._said = said

    def request(self, spec: MatchSpec, path: FieldPath) -> RequestMatch:
        """One match; all of its parts must hold."""
        headers = self._named(spec.headers, (*path, "headers"), header=True)
        without = self._named(spec.without_headers, (*path, "withoutHeaders"), header=True, invert=True)
        return RequestMatch(
            paths=self._uri(spec, (*path, "uri")),
            headers=headers + without,
            query=self._named(spec.query_params, (*path, "queryParams")),
            methods=(m,) if (m := self._optional(spec.method, (*path, "method"))) else (),
            scheme=self._optional(spec.scheme, (*path, "scheme")),
            authority=self._optional(spec.authority, (*path, "authority")),
            port=spec.port or 0,
            source_labels=MappingProxyType(spec.source_labels) if spec.source_labels else EMPTY,
            source_namespace=spec.source_namespace,
            gateways=spec.gateways,
            name=spec.name,
            stat_prefix=spec.stat_prefix,
        )

    def string(self, spec: StringMatchSpec, path: FieldPath, *, presence: bool = False) -> StringMatch:
        """One comparison; an empty one asks for presence where that is allowed."""
        given = [(k, v) for k in MatchKind if (v := getattr(spec, k.value, None)) is not None]
        if len(given) > 1:
            names = " and ".join(kind.value for kind, _ in given)
            self._add("MG2006", path, f"must have one of exact, prefix and regex, got {names}")
        if not given:
            if not presence:
                self._add("MG2003", path, "must have one of exact, prefix and regex")
            return StringMatch(kind=MatchKind.PRESENT)
        kind, value = given[0]
        if kind is MatchKind.REGEX and value == "*" and presence:
            return StringMatch(kind=MatchKind.PRESENT)  # Istio reads this common slip as "anything"
        if kind is not MatchKind.EXACT and not value:
            self._add("MG2002", (*path, kind.value), "must not be empty")
        if kind is MatchKind.REGEX and (wrong := regex_problem(value)):
            self._add("MG2002", (*path, "regex"), f"{wrong}, got {show(value)}")
        return StringMatch(kind=kind, value=value)

    def _optional(self, spec: StringMatchSpec | None, path: FieldPath) -> StringMatch | None:
        return self.string(spec, path) if spec is not None else None

    def _uri(self, spec: MatchSpec, path: FieldPath) -> tuple[PathMatch, ...]:
        if spec.uri is None:
            return ()
        match = self.string(spec.uri, path)
        kinds = {MatchKind.EXACT: PathKind.EXACT, MatchKind.PREFIX: PathKind.PREFIX}
        kind = kinds.get(match.kind, PathKind.REGEX)
        # Istio: case is ignored in exact and prefix only; a regex says (?i) itself.
        ignore_case = spec.ignore_uri_case and kind is not PathKind.REGEX
        return (PathMatch(kind=kind, value=match.value, ignore_case=ignore_case),)

    def _named(
        self,
        specs: Mapping[str, StringMatchSpec],
        path: FieldPath,
        *,
        header: bool = False,
        invert: bool = False,
    ) -> tuple[NamedMatch, ...]:
        found: list[NamedMatch] = []
        for name, spec in sorted(specs.items()):
            here = (*path, name)
            if header and name.startswith("@"):
                found.append(self._claim(name, spec, here, invert=invert))
                continue
            if header and name.lower() in _NOT_HEADERS:
                self._add("MG1103", here, f"is not read as a header; use the field {name.lower()}", warn=True)
                continue
            if not name or (header and not HEADER_NAME.fullmatch(name)):
                self._add("MG2004", here, f"must be a header name, got {show(name)}")
            match = self.string(spec, here, presence=True)
            found.append(NamedMatch(name=name.lower() if header else name, match=match, invert=invert))
        return tuple(found)

    def _claim(self, name: str, spec: StringMatchSpec, path: FieldPath, *, invert: bool) -> NamedMatch:
        """`@request.auth.claims.a.b`, or with every part in brackets."""
        rest = name.removeprefix(CLAIMS)
        if _BRACKETED.fullmatch(rest):
            way = rest[1:-1].split("][")
        else:
            way = rest[1:].split(".") if rest.startswith(".") else [""]
        if rest == name or not all(way) or any(c in part for part in way for c in "[]"):
            self._add("MG2004", path, f"must be {CLAIMS}.NAME or {CLAIMS}[NAME], got {show(name)}")
        return NamedMatch(
            name=CLAIMS + "".join(f"[{part}]" for part in way),
            match=self.string(spec, path, presence=True),
            invert=invert,
        )

    def _add(self, code: str, path: FieldPath, message: str, *, warn: bool = False) -> None:
        severity = Severity.WARNING if warn else Severity.ERROR
        self._said.append(problem(self._document, code, path, message, severity=severity))
