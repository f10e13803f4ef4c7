"""What can be read of an Ingress that has an error: its paths, so that they can be closed.

Left out, they would be taken over by a wider rule of somebody else, perhaps without the
authentication that the Ingress asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshgate.dialects.document import Document, Json, is_dns_name
from meshgate.dialects.edge_annotations import EdgeAnnotations
from meshgate.dialects.re2 import regex_problem
from meshgate.model.declared import BackendRef, EdgePath, EdgeRules, EdgeTls
from meshgate.model.route import PathKind, PathMatch

_NOWHERE = BackendRef(service="", port=0)
_KINDS = {"Exact": PathKind.EXACT, "Prefix": PathKind.SEGMENTS}


def closed_rules(document: Document, annotations: EdgeAnnotations, reason: str) -> EdgeRules | None:
    """The Ingress with all paths that can be read, closed; None where there are none."""
    spec = _mapping(document.data.get("spec"))
    paths = tuple(_paths(document, spec, annotations))
    has_default = spec.get("defaultBackend") is not None
    if not paths and not has_default:
        return None
    class_name = spec.get("ingressClassName")
    return EdgeRules(
        ref=document.ref,
        namespace=document.namespace,
        class_name=class_name if isinstance(class_name, str) else annotations.class_name,
        paths=paths,
        default_backend=_NOWHERE if has_default else None,
        tls=tuple(_tls(document, spec)),
        methods=annotations.methods,
        headers=annotations.headers,
        closed=f"{document.ref}: {reason}",
        created=document.created,
        origin=document.locate(),
    )


def _paths(document: Document, spec: Mapping[str, Json], annotations: EdgeAnnotations) -> Iterator[EdgePath]:
    for i, rule in enumerate(_list(spec.get("rules"))):
        host = _mapping(rule).get("host") or "*"
        if not isinstance(host, str) or not (host == "*" or is_dns_name(host.lower().removeprefix("*."))):
            continue
        for j, path in enumerate(_list(_mapping(_mapping(rule).get("http")).get("paths"))):
            match = _match(_mapping(path), annotations.regex_prefix)
            if match is None:
                continue
            origin = document.locate(("spec", "rules", i, "http", "paths", j))
            for each in (host.lower(), *annotations.host_aliases):
                yield EdgePath(host=each, path=match, backend=_NOWHERE, index=(i, j), origin=origin)


def _match(path: Mapping[str, Json], regex_prefix: str) -> PathMatch | None:
    text, path_type = path.get("path"), path.get("pathType")
    kind = _KINDS.get(path_type) if isinstance(path_type, str) else None
    if not isinstance(text, str):
        return None
    if kind is None and text.startswith(regex_prefix):
        pattern = text.removeprefix(regex_prefix)
        return None if regex_problem(pattern) else PathMatch(kind=PathKind.REGEX, value=f"(?:{pattern}).*")
    if not text.startswith("/") or not text.isprintable() or any(c in text for c in " ?#"):
        return None
    return PathMatch(kind=kind or PathKind.PREFIX, value=text)


def _tls(document: Document, spec: Mapping[str, Json]) -> Iterator[EdgeTls]:
    for i, entry in enumerate(_list(spec.get("tls"))):
        hosts = [h for h in _list(_mapping(entry).get("hosts")) if isinstance(h, str)]
        secret = _mapping(entry).get("secretName")
        if isinstance(secret, str) and is_dns_name(secret):
            yield EdgeTls(hosts=tuple(hosts), secret_name=secret, origin=document.locate(("spec", "tls", i)))


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> list[Json]:
    return list(value) if isinstance(value, list | tuple) else []
