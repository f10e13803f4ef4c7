"""Kong's annotations on an Ingress, and on routes of the Gateway API where Kong honours them too.

A value that cannot be honoured and guards something closes the route instead of opening it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import Origin
from meshgate.dialects.annotation_list import CLASS, KONG, MESHGATE, exists, find
from meshgate.dialects.annotations import (
    annotation_path,
    plugin_problems,
    split_list,
    unknown_annotation,
    without_effect,
)
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import problem, show
from meshgate.model.policy import Buffering, HttpsOnly, OnlyVia
from meshgate.model.route import MatchKind, StringMatch

_GUARDS_INGRESS = MappingProxyType(
    {"override": "its KongIngress does not exist or is broken, and it may restrict who gets in"}
)
_FORCE_SSL = "ingress.kubernetes.io/force-ssl-redirect"

_GUARDS_ELSEWHERE = re.compile(
    r"ingress\.kubernetes\.io/(auth-(type|url|signin|secret|tls-secret)|(white|allow|deny)list-source-range)$"
)
"""Authentication and address lists as ingress-nginx and its relatives write them."""

_REDIRECTS = ("301", "302", "307", "308", "426")
UPGRADE_REQUIRED = 426
_ADDRESS = re.compile(r"[0-9.]+")
_GROUP = re.compile(r"\$([0-9]+)")
_MOST_GROUPS = 9
"""One digit each, in Envoy's form."""
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_METHOD = re.compile(r"[A-Z]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(slots=True)
class EdgeAnnotations:
    """What an Ingress's annotations say, with Kong's defaults."""

    plugin_names: tuple[str, ...] = ()
    plugins_origin: Origin | None = None
    strip_path: bool = False
    preserve_host: bool = True
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, tuple[StringMatch, ...]], ...] = ()
    regex_prefix: str = "/~"
    https_only: HttpsOnly | None = None
    plain_only: bool = False
    only_via: OnlyVia | None = None
    buffering: Buffering | None = None
    joins_paths: bool = False
    host_aliases: tuple[str, ...] = ()
    rewrite: str = ""
    """In Envoy's form: `\\1` for `$1`."""
    rewrite_groups: int = 0
    """The highest group that `rewrite` asks for."""
    regex_priority: int = 0
    class_name: str = ""
    closed: str = ""
    """Why the Ingress must answer 503."""
    diagnostics: list[Diagnostic] = field(default_factory=list)


def ingress_annotations(annotations: Mapping[str, str], document: Document) -> EdgeAnnotations:
    """Reads an Ingress's annotations (MG2005; MG1104 where one guards and is not supported)."""
    reader = _IngressReader(annotations, document)
    for name, value in annotations.items():
        reader.read(name, value)
    return reader.result


def route_annotations(annotations: Mapping[str, str], document: Document) -> EdgeAnnotations:
    """Reads those of a route of the Gateway API, where Kong's controller honours them too."""
    reader = _IngressReader(annotations, document)
    for name, value in annotations.items():
        if name.startswith(KONG) or name == _FORCE_SSL:
            reader.read(name, value)
    return reader.result


class _IngressReader:
    def __init__(self, annotations: Mapping[str, str], document: Document) -> None:
        self.result = EdgeAnnotations()
        self._all = annotations
        self._document = document

    def read(self, name: str, value: str) -> None:
        if name.startswith(KONG):
            self._kong(name, name.removeprefix(KONG), value)
        elif name == CLASS:
            self.result.class_name = value
        elif name == _FORCE_SSL:
            if self._flag(name, value, False):
                self._https_only(name, default=302)
        elif _GUARDS_ELSEWHERE.search(name):
            self._close("MG1104", name, "is for another controller, and what it guards would be open")
        elif "ingress.kubernetes.io/" in name:
            self._warn(name, f"{name} is for another controller; it has no effect")
        elif name.startswith(MESHGATE):
            self._refuse(unknown_annotation(name, self._document, MESHGATE))

    def _kong(self, name: str, short: str, value: str) -> None:
        result = self.result
        match short:
            case _ if exists(name) and find(name, self._document.ref.kind) is None:
                result.diagnostics.append(without_effect(name, self._document))
            case "plugins":
                result.plugin_names = split_list(value)
                result.plugins_origin = self._document.locate(annotation_path(name))
                for diagnostic in plugin_problems(value, self._document):
                    self._refuse(diagnostic)
            case "strip-path":
                result.strip_path = self._flag(name, value, result.strip_path)
            case "preserve-host":
                result.preserve_host = self._flag(name, value, result.preserve_host)
            case "methods":
                self._methods(name, value)
            case "protocols":
                self._protocols(name, value)
            case "regex-prefix":
                result.regex_prefix = value if value.startswith("/") else "/" + value
            case "snis":
                self._server_names(name, value)
            case "path-handling":
                if value not in ("v0", "v1"):
                    self._close("MG2005", name, f"must be v0 or v1, got {show(value)}")
                result.joins_paths = value == "v1"
            case "request-buffering" | "response-buffering":
                self._buffering(name, short, value)
            case "https-redirect-status-code":
                self._redirect_code(name, value)
            case "host-aliases":
                self._host_aliases(name, value)
            case "rewrite":
                self._rewrite(name, value)
            case "regex-priority":
                self._regex_priority(name, value)
            case "headers-separator":
                pass  # read with the headers
            case _ if short.startswith("headers."):
                self._header(name, short.removeprefix("headers."), value)
            case _ if short in _GUARDS_INGRESS:
                self._close("MG1104", name, _GUARDS_INGRESS[short])
            case _:
                diagnostic = without_effect(name, self._document)
                if diagnostic.severity is Severity.ERROR:
                    # A misspelt `plugins` would leave out authentication.
                    self._refuse(diagnostic)
                else:
                    result.diagnostics.append(diagnostic)

    def _flag(self, name: str, value: str, default: bool) -> bool:
        match value.strip().lower():
            case "true":
                return True
            case "false":
                return False
            case _:
                self._close("MG2005", name, f'must be "true" or "false", got {show(value)}')
                return default

    def _methods(self, name: str, value: str) -> None:
        methods = tuple(dict.fromkeys(m.upper() for m in split_list(value)))
        for method in methods:
            if _METHOD.fullmatch(method) is None:
                self._close("MG2005", name, f"must be a comma list of HTTP methods, got {show(method)}")
        self.result.methods = methods

    def _protocols(self, name: str, value: str) -> None:
        protocols = {p.lower() for p in split_list(value)}
        unknown = sorted(protocols - {"http", "https", "grpc", "grpcs"})
        if unknown:
            self._close("MG2005", name, f"must be of http, https, grpc, grpcs; got {show(unknown[0])}")
            return
        if protocols and protocols <= {"https", "grpcs"}:
            self._https_only(name, default=426)
        self.result.plain_only = bool(protocols) and protocols <= {"http", "grpc"}
        if protocols and protocols <= {"grpc", "grpcs"}:
            self._only_via(name, grpc=True)

    def _only_via(self, name: str, *, grpc: bool = False, server_names: tuple[str, ...] = ()) -> None:
        known = self.result.only_via or OnlyVia(origin=self._document.locate(annotation_path(name)))
        names = server_names or known.server_names
        self.result.only_via = replace(known, grpc=grpc or known.grpc, server_names=names)

    def _server_names(self, name: str, value: str) -> None:
        names = tuple(n.lower() for n in split_list(value))
        for one in names:
            if not is_dns_name(one) or _ADDRESS.fullmatch(one):
                self._close("MG2005", name, f"must be a comma list of host names, got {show(one)}")
        if names:
            self._only_via(name, server_names=names)

    def _https_only(self, name: str, *, default: int) -> None:
        if self.result.https_only is None or default != UPGRADE_REQUIRED:
            written = self._all.get(f"{KONG}https-redirect-status-code", "").strip()
            status = int(written) if written in _REDIRECTS else default
            origin = self._document.locate(annotation_path(name))
            self.result.https_only = HttpsOnly(status=status, origin=origin)

    def _buffering(self, name: str, short: str, value: str) -> None:
        if not self._flag(name, value, False):
            return  # "false" is what is done without it
        known = self.result.buffering or Buffering(origin=self._document.locate(annotation_path(name)))
        requests = known.requests or short == "request-buffering"
        responses = known.responses or short == "response-buffering"
        self.result.buffering = replace(known, requests=requests, responses=responses)

    def _redirect_code(self, name: str, value: str) -> None:
        if value.strip() not in _REDIRECTS:
            self._warn(
                name, f"{name} must be one of {', '.join(_REDIRECTS)}, got {show(value)}; it is ignored"
            )
        elif f"{KONG}protocols" not in self._all and _FORCE_SSL not in self._all:
            self._warn(name, f"{name} has no effect without {KONG}protocols: https")

    def _host_aliases(self, name: str, value: str) -> None:
        aliases = tuple(host.lower() for host in split_list(value))
        for host in aliases:
            if not is_dns_name(host.removeprefix("*.")) or _ADDRESS.fullmatch(host):
                self._close("MG2005", name, f"must be a comma list of host names, got {show(host)}")
        self.result.host_aliases = aliases

    def _rewrite(self, name: str, value: str) -> None:
        if not value.startswith("/") or not value.isprintable() or set(value) & set(" ?#"):
            self._close("MG2005", name, f"must be a path that starts with /, got {show(value)}")
            return
        groups = [int(found) for found in _GROUP.findall(value)]
        if max(groups, default=0) > _MOST_GROUPS:
            self._close("MG2005", name, f"has groups from $1 to ${_MOST_GROUPS} only, got {show(value)}")
            return
        self.result.rewrite = _GROUP.sub(r"\\\1", value.replace("\\", "\\\\"))
        self.result.rewrite_groups = max(groups, default=0)

    def _regex_priority(self, name: str, value: str) -> None:
        text = value.strip()
        if _NUMBER.fullmatch(text) is None:
            self._close("MG2005", name, f"must be a whole number, got {show(value)}")
        else:
            self.result.regex_priority = int(text)

    def _header(self, name: str, header: str, value: str) -> None:
        separator = self._all.get(f"{KONG}headers-separator", ",") or ","
        values = tuple(v for part in value.split(separator) if (v := part.strip()))
        if _HEADER_NAME.fullmatch(header) is None or header.lower() == "host":
            self._close("MG2005", name, "must name a header other than Host")
        elif not values:
            self._close("MG2005", name, "must list at least one value")
        elif values[0].startswith("~*") and len(values) == 1:
            self._header_regex(name, header, values[0].removeprefix("~*"))
        else:
            # Kong compares header values without regard to case.
            matches = tuple(StringMatch(kind=MatchKind.EXACT, value=v, ignore_case=True) for v in values)
            self.result.headers = (*self.result.headers, (header.lower(), matches))

    def _header_regex(self, name: str, header: str, pattern: str) -> None:
        """Kong looks for it anywhere in the value, without regard to case."""
        if wrong := regex_problem(pattern):
            self._close("MG2005", name, f"{wrong}, got {show(pattern)}")
            return
        match = StringMatch(kind=MatchKind.REGEX, value=f"(?i)(?s:.*)(?:{pattern})(?s:.*)")
        self.result.headers = (*self.result.headers, (header.lower(), (match,)))

    def _warn(self, name: str, message: str, severity: Severity = Severity.WARNING) -> None:
        self.result.diagnostics.append(
            problem(self._document, "MG2005", annotation_path(name), message, severity=severity, key=True)
        )

    def _close(self, code: str, name: str, message: str) -> None:
        self._refuse(
            problem(self._document, code, annotation_path(name), message, remedy="until then it answers 503")
        )

    def _refuse(self, diagnostic: Diagnostic) -> None:
        """Reports an error after which the Ingress must not let anything in."""
        self.result.diagnostics.append(diagnostic)
        if not self.result.closed:
            name = diagnostic.field[-1]
            self.result.closed = f"{self._document.ref}: annotation {name} {diagnostic.message}"
