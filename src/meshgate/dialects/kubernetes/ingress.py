"""networking.k8s.io/v1 Ingress, with the path semantics of Kong's controller (KIC 3.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import FieldPath, format_path
from meshgate.dialects.annotation_list import CLASS
from meshgate.dialects.annotations import annotation_path
from meshgate.dialects.document import Document, is_dns_label, is_dns_name
from meshgate.dialects.edge_annotations import EdgeAnnotations, ingress_annotations
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.ingress_closed import closed_rules
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import Items, Spec, check, fault, problem, show
from meshgate.model.declared import BackendRef, Declared, EdgePath, EdgeRules, EdgeTls
from meshgate.model.route import PathKind, PathMatch

_BAD_PATH = re.compile(r"//|/\.\.?(/|$)|%2[fF]")
_ADDRESS = re.compile(r"[0-9.]+")


def _host(text: str) -> str:
    name = text.removeprefix("*.")
    if text and (not is_dns_name(name) or (_ADDRESS.fullmatch(name) is not None)):
        raise fault("MG2004", "must be a lower-case DNS name or *. and one, not an address")
    return text


def _object_name(text: str) -> str:
    if not is_dns_name(text):
        raise fault("MG2004", "must be an object's name (RFC 1123)")
    return text


def _service_name(text: str) -> str:
    if not is_dns_label(text):
        raise fault("MG2004", "must be a Service's name in the same namespace (a DNS label)")
    return text


class BackendPort(Spec):
    number: Annotated[int, Field(ge=1, le=65535)] | None = None
    name: str = ""


class BackendService(Spec):
    name: Annotated[str, AfterValidator(_service_name)]
    port: BackendPort = BackendPort()


class Backend(Spec):
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "resource": "is not supported; only a service can be a backend"
    }

    service: BackendService | None = None


class Path(Spec):
    path: str = ""
    path_type: Literal["Exact", "Prefix", "ImplementationSpecific"] | None = None
    backend: Backend


class HttpRule(Spec):
    paths: Items[Path]


class IngressRule(Spec):
    host: Annotated[str, AfterValidator(_host)] = ""
    http: HttpRule | None = None


class TlsEntry(Spec):
    hosts: Items[Annotated[str, AfterValidator(_host)]] = ()
    secret_name: Annotated[str, AfterValidator(_object_name)] | None = None


class IngressDetails(Spec):
    rules: Items[IngressRule] = ()
    default_backend: Backend | None = None
    tls: Items[TlsEntry] = ()
    ingress_class_name: Annotated[str, AfterValidator(_object_name)] | None = None


class IngressSpec(ObjectSpec):
    spec: IngressDetails


def lower(document: Document) -> Lowered:
    """The edge's rules of one Ingress.

    Where something is wrong, the rules stay but are closed, as far as they can be read, so that
    a path with broken authentication is not taken over by a wider rule without any.
    """
    value, diagnostics = check(IngressSpec, document)
    if value is None:
        return _closed(document, diagnostics)
    lowering = _Lowering(document, ingress_annotations(value.metadata.annotations, document))
    rules = lowering.rules(value.spec)
    diagnostics.extend(lowering.diagnostics)
    unusable = has_errors(diagnostics)
    diagnostics.extend(lowering.annotations.diagnostics)
    if unusable:
        return _closed(document, diagnostics)
    return Lowered(declared=Declared(edge_rules=(rules,)), diagnostics=tuple(diagnostics), keep=True)


def _closed(document: Document, diagnostics: list[Diagnostic]) -> Lowered:
    """What can be read of an Ingress with errors, closed."""
    metadata = document.data.get("metadata")
    written = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    entries = written.items() if isinstance(written, Mapping) else ()
    annotations = ingress_annotations({k: v for k, v in entries if isinstance(v, str)}, document)
    first = next(d for d in diagnostics if d.severity is Severity.ERROR)
    rules = closed_rules(document, annotations, f"{format_path(first.field)} {first.message}")
    if rules is None:
        return Lowered(diagnostics=tuple(diagnostics))
    return Lowered(declared=Declared(edge_rules=(rules,)), diagnostics=tuple(diagnostics), keep=True)


def _for_aliases(paths: list[EdgePath], aliases: tuple[str, ...]) -> list[EdgePath]:
    """Every path once more for each alias, but no path twice for one."""
    found: dict[tuple[str, PathMatch], EdgePath] = {}
    for alias in aliases:
        for path in paths:
            found.setdefault((alias, path.path), replace(path, host=alias))
    taken = {(path.host, path.path) for path in paths}
    return [path for key, path in found.items() if key not in taken]


def _groups(path: PathMatch) -> int:
    """How many groups a regex path has; 0 for others, and where Python cannot tell."""
    try:
        return re.compile(path.value).groups if path.kind is PathKind.REGEX else 0
    except (re.error, OverflowError, RecursionError):
        return 0


class _Lowering:
    def __init__(self, document: Document, annotations: EdgeAnnotations) -> None:
        self.annotations = annotations
        self.diagnostics: list[Diagnostic] = []
        self._document = document

    def rules(self, spec: IngressDetails) -> EdgeRules:
        if not spec.rules and spec.default_backend is None:
            self._error("MG2003", ("spec",), "needs rules or a defaultBackend")
        paths: list[EdgePath] = []
        for i, rule in enumerate(spec.rules):
            if rule.http is None:
                self._warn("MG2003", ("spec", "rules", i), "has no http.paths; it has no effect")
                continue
            if not rule.http.paths:
                self._error("MG2003", ("spec", "rules", i, "http", "paths"), "needs at least one path")
            for j, path in enumerate(rule.http.paths):
                at = ("spec", "rules", i, "http", "paths", j)
                paths.append(
                    EdgePath(
                        host=rule.host or "*",
                        path=self._path(path, at),
                        backend=self._backend(path.backend, (*at, "backend")),
                        index=(i, j),
                        origin=self._document.locate(at),
                    )
                )
        default = spec.default_backend
        annotations = self.annotations
        paths += _for_aliases(paths, annotations.host_aliases)
        return EdgeRules(
            ref=self._document.ref,
            namespace=self._document.namespace,
            class_name=self._class_name(spec),
            paths=tuple(paths),
            default_backend=self._backend(default, ("spec", "defaultBackend")) if default else None,
            tls=tuple(self._tls(entry, i) for i, entry in enumerate(spec.tls)),
            plugin_names=annotations.plugin_names,
            plugins_origin=annotations.plugins_origin,
            strip_path=annotations.strip_path,
            preserve_host=annotations.preserve_host,
            methods=annotations.methods,
            headers=annotations.headers,
            https_only=annotations.https_only,
            plain_only=annotations.plain_only,
            only_via=annotations.only_via,
            buffering=annotations.buffering,
            joins_paths=annotations.joins_paths,
            rewrite=annotations.rewrite,
            regex_priority=annotations.regex_priority,
            closed=annotations.closed or self._rewrite_problem(paths, default is not None),
            created=self._document.created,
            origin=self._document.locate(),
        )

    def _rewrite_problem(self, paths: list[EdgePath], has_default: bool) -> str:
        """Why the rewrite cannot be done: a path without the groups that it asks for."""
        wanted = self.annotations.rewrite_groups
        if not wanted or (not has_default and all(_groups(p.path) >= wanted for p in paths)):
            return ""
        at = annotation_path("konghq.com/rewrite")
        message = f"asks for ${wanted}, and not every path has so many groups"
        self.annotations.diagnostics.append(
            problem(
                self._document, "MG2006", at, message, remedy="use paths that start with the regex prefix /~"
            )
        )
        return f"{self._document.ref}: annotation konghq.com/rewrite {message}"

    def _class_name(self, spec: IngressDetails) -> str:
        old = self.annotations.class_name
        if spec.ingress_class_name is None:
            return old
        if old and old != spec.ingress_class_name:
            self._warn(
                "MG2006",
                annotation_path(CLASS),
                f"is {show(old)}, but spec.ingressClassName {show(spec.ingress_class_name)} counts",
            )
        return spec.ingress_class_name

    def _path(self, path: Path, at: FieldPath) -> PathMatch:
        path_type = path.path_type
        if path_type is None:
            self._warn(
                "MG2201",
                at,
                "pathType is missing; ImplementationSpecific (a plain prefix) is assumed",
                "Kubernetes requires it: write pathType: Prefix",
            )
            path_type = "ImplementationSpecific"
        text = path.path
        regex_prefix = self.annotations.regex_prefix
        if path_type == "ImplementationSpecific":
            if text.startswith(regex_prefix):
                return self._regex(text.removeprefix(regex_prefix), (*at, "path"))
            text = text or "/"
        if not text.startswith("/"):
            self._error("MG2002", (*at, "path"), f"must start with '/', got {show(text)}")
        elif path_type != "ImplementationSpecific" and (bad := _BAD_PATH.search(text)):
            self._error("MG2002", (*at, "path"), f"must not hold {bad.group()!r}, got {show(text)}")
        elif not text.isprintable() or any(c in text for c in " ?#"):
            self._error("MG2002", (*at, "path"), f"must be a URL path without query, got {show(text)}")
        if text.endswith("*"):
            self._warn("MG2002", (*at, "path"), f"the * is no wildcard but a character, got {show(text)}")
        match path_type:
            case "Exact":
                return PathMatch(kind=PathKind.EXACT, value=text)
            case "Prefix":
                return PathMatch(kind=PathKind.SEGMENTS, value=text)
            case _:
                return PathMatch(kind=PathKind.PREFIX, value=text)

    def _regex(self, pattern: str, at: FieldPath) -> PathMatch:
        """Kong's regular expressions hold at the start of the path; the model's for all of it."""
        wrong = regex_problem(pattern)
        if wrong:
            self._error("MG2002", at, f"{wrong}, got {show(pattern)}")
        return PathMatch(kind=PathKind.REGEX, value=f"(?:{pattern}).*")

    def _backend(self, backend: Backend, at: FieldPath) -> BackendRef:
        service = backend.service
        if service is None:
            self._error("MG2003", at, "needs a service")
            return BackendRef(service="", port=0)
        port = service.port
        if (port.number is None) == (not port.name):
            self._error("MG2006", (*at, "service", "port"), "needs either number or name")
        return BackendRef(
            service=service.name,
            port=port.number if port.number is not None else port.name,
            origin=self._document.locate((*at, "service", "name")),
        )

    def _tls(self, entry: TlsEntry, index: int) -> EdgeTls:
        at = ("spec", "tls", index)
        if entry.secret_name is None:
            self._warn("MG2003", at, "has no secretName; the gateway's own certificate is shown")
        return EdgeTls(
            hosts=entry.hosts, secret_name=entry.secret_name or "", origin=self._document.locate(at)
        )

    def _error(self, code: str, at: FieldPath, message: str) -> None:
        self.diagnostics.append(problem(self._document, code, at, message))

    def _warn(self, code: str, at: FieldPath, message: str, remedy: str = "") -> None:
        self.diagnostics.append(
            problem(self._document, code, at, message, severity=Severity.WARNING, remedy=remedy)
        )


KIND = KindParser(
    group="networking.k8s.io",
    kind="Ingress",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="ingresses",
    short_names=("ing",),
)
