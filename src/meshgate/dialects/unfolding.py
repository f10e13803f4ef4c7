"""From one YAML document to its objects: the items of Lists, and who each object is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import (
    CLUSTER_SCOPED,
    DEFAULT_NAMESPACE,
    Document,
    Json,
    Source,
    is_dns_label,
    is_dns_name,
    locate,
)
from meshgate.dialects.foreign import advice, is_kustomization
from meshgate.dialects.wording import one_line, show

MAX_DIAGNOSTICS = 100
"""About the identities in one List."""

MAX_NAME = 253
_NOT_IN_NAMES = re.compile(r"[^a-z0-9.-]+")
_EXAMPLES = MappingProxyType({"apiVersion": "such as apps/v1", "kind": "such as Deployment"})
_FORMS = MappingProxyType(
    {
        "apiVersion": re.compile(r"([a-z0-9][-a-z0-9.]{0,252}/)?[a-z0-9]{1,63}"),
        "kind": re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}"),
    }
)


def unfold(
    data: Json, file: str, source: Source | None = None, problem: str = ""
) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """The objects of one YAML document: itself, or the items of a `List` (MG1003, MG2004).

    `problem` says that the text had errors; the objects are then only good to be named.
    """
    documents: list[Document] = []
    diagnostics: list[Diagnostic] = []
    pending: list[tuple[Json, FieldPath]] = [(data, ())]
    while pending:
        item, base = pending.pop()
        items = _list_items(item)
        if items is not None:
            pending.extend((child, (*base, "items", i)) for i, child in reversed(list(enumerate(items))))
            continue
        if len(diagnostics) >= MAX_DIAGNOSTICS:
            message = "too many errors; the rest of the list was not read"
            diagnostics.append(
                Diagnostic(
                    severity=Severity.ERROR,
                    code="MG1002",
                    origin=locate(file, source, base),
                    message=message,
                    field=base,
                )
            )
            break
        reader = _Identity(file, source, base, problem)
        document = reader.read(item)
        diagnostics.extend(reader.diagnostics)
        if document is not None:
            documents.append(document)
    return tuple(documents), tuple(diagnostics)


def _list_items(item: Json) -> Sequence[Json] | None:
    """The items of `kind: List` (or `ServiceList`, ...); None for any other object."""
    if not isinstance(item, Mapping):
        return None
    kind, items = item.get("kind"), item.get("items")
    if not isinstance(kind, str) or not kind.endswith("List"):
        return None
    return items if isinstance(items, list | tuple) else None


def _is_list(data: Mapping[str, Json]) -> bool:
    """Whether it is a `List` (or `ServiceList`, ...) whose items cannot be read."""
    kind = data.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and "metadata" not in data


def _better_name(name: str) -> str:
    """What to do about a name that is none."""
    if "${" in name:
        return "put its value there first, such as by `envsubst < FILE`"
    if len(name) > MAX_NAME:
        return f"shorten it to {MAX_NAME} characters"
    better = _NOT_IN_NAMES.sub("-", name.lower()).strip("-.")
    return f"write {better}" if is_dns_name(better) else "use a-z, 0-9 and hyphens"


def _join(paths: Sequence[FieldPath]) -> str:
    names = [".".join(map(str, path)) for path in paths]
    return f"{', '.join(names[:-1])} and {names[-1]}"


class _Identity:
    """Reads who an object is, and collects what is wrong with that."""

    def __init__(self, file: str, source: Source | None, base: FieldPath, problem: str) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._missing: list[FieldPath] = []
        self._file, self._source, self._base, self._problem = file, source, base, problem

    def read(self, data: Json) -> Document | None:
        if not isinstance(data, Mapping):
            message = f"must be an object with apiVersion, kind and metadata.name, got {show(data)}"
            several = "begin each object with ---, without a hyphen"
            self._error("MG1003", (), message, remedy=several if isinstance(data, list | tuple) else "")
            return None
        if _is_list(data):
            there = "items" in data
            remedy = "begin each with a hyphen" if there else "add it, or name the kind of the object"
            self._error("MG1003", ("items",), "must be a list" if there else "is missing", remedy=remedy)
            return None
        if is_kustomization(data):
            self._kustomization()
            return None
        api_version, kind = self._text(data, "apiVersion"), self._text(data, "kind")
        metadata = data.get("metadata")
        if metadata is not None and not isinstance(metadata, Mapping):
            message = f"must be an object, got {show(metadata)}"
            self._error("MG1003", ("metadata",), message, remedy="write metadata: {name: NAME}")
            return None
        name = self._text(metadata or {}, "name", "metadata")
        if self._missing:
            field, said = ((), _join(self._missing)) if len(self._missing) > 1 else (self._missing[0], "")
            text = f"{said} are missing" if said else "is missing"
            self._error("MG1003", field, text, remedy=advice(data, self._file))
        if not (api_version and kind and name):
            return None
        group = api_version.rpartition("/")[0]
        namespace, given = self._namespace(metadata or {}, (group, kind))
        # A name that is one stays whole: two long ones may differ at their ends alone.
        ref = ObjectRef(kind, one_line(namespace), name if is_dns_name(name) else one_line(name), group)
        self._check_names(ref, name, namespace if given else "")
        return Document(
            ref=ref,
            api_version=api_version,
            data=data,
            file=self._file,
            namespace_given=given,
            problem=self._problem,
            source=self._source,
            base=self._base,
        )

    def _check_names(self, ref: ObjectRef, name: str, namespace: str) -> None:
        if not is_dns_name(name):
            # Kubernetes lets a few kinds (roles) have other names; none of ours is one.
            self._error(
                "MG2004",
                ("metadata", "name"),
                "must be a lower-case DNS name (RFC 1123)",
                ref,
                value=name,
                remedy=_better_name(name),
            )
        if namespace and not is_dns_label(namespace):
            self._error(
                "MG2004",
                ("metadata", "namespace"),
                "must be a DNS label (RFC 1123)",
                ref,
                value=namespace,
                remedy=_better_name(namespace.replace(".", "-")),
            )

    def _namespace(self, metadata: Mapping[str, Json], kind: tuple[str, str]) -> tuple[str, bool]:
        written = metadata.get("namespace")
        if kind in CLUSTER_SCOPED:
            if written is not None:
                self._needless_namespace(kind[1])
            return "", False
        if written is None or written == "":
            return DEFAULT_NAMESPACE, False
        if not isinstance(written, str):
            self._error("MG2001", ("metadata", "namespace"), "must be a string")
            return DEFAULT_NAMESPACE, False
        return written, True

    def _needless_namespace(self, kind: str) -> None:
        field: FieldPath = (*self._base, "metadata", "namespace")
        self.diagnostics.append(
            Diagnostic(
                severity=Severity.WARNING,
                code="MG1103",
                origin=locate(self._file, self._source, field),
                message=f"has no effect: a {kind} belongs to no namespace",
                field=field,
            )
        )

    def _text(self, data: Mapping[str, Json], field: str, *parents: str) -> str:
        value = data.get(field)
        path = (*parents, field)
        if value is None or value == "":
            self._missing.append(path)
            return ""
        if not isinstance(value, str):
            quotes = "put it in quotes" if isinstance(value, int | float) else ""
            remedy = _EXAMPLES.get(field, quotes)
            self._error("MG1003", path, f"must be a string, got {show(value)}", remedy=remedy)
            return ""
        pattern = _FORMS.get(field)
        if pattern is not None and pattern.fullmatch(value) is None:
            self._error("MG1003", path, f"is malformed, got {show(value)}", remedy=_EXAMPLES[field])
            return ""
        return value

    def _kustomization(self) -> None:
        """Not an error: in most folders the manifests that it names are there as well."""
        self.diagnostics.append(
            Diagnostic(
                severity=Severity.WARNING,
                code="MG1101",
                origin=locate(self._file, self._source, self._base),
                message="a kustomization is not built here; manifests beside it are read as they are",
                remedy="name what `kubectl kustomize FOLDER > FILE` makes of it",
            )
        )

    def _error(
        self,
        code: str,
        field: FieldPath,
        message: str,
        ref: ObjectRef | None = None,
        value: str = "",
        remedy: str = "",
    ) -> None:
        self._problem = self._problem or message
        shown = f", got {show(value)}" if value else ""
        self.diagnostics.append(
            Diagnostic(
                severity=Severity.ERROR,
                code=code,
                origin=locate(self._file, self._source, self._base + field),
                message=message + shown,
                object=ref,
                field=self._base + field,
                remedy=remedy,
            )
        )
