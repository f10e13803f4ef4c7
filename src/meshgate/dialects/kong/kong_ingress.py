"""KongIngress (v1, the older way): settings that an Ingress or a Service takes over by `konghq.com/override`.

`route` and `proxy` say the same as annotations and are read as such, behind those that are
written; `upstream` says the same as a KongUpstreamPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, ObjectRef
from meshgate.core.origin import FieldPath
from meshgate.dialects.annotation_list import KONG
from meshgate.dialects.annotations import annotation_path
from meshgate.dialects.document import Document, Json
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kong.kong_upstream_policy import lower_kong_upstream_policy
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check
from meshgate.model.declared import Declared
from meshgate.model.names import Name

OVERRIDE = f"{KONG}override"
_GROUP = "configuration.konghq.com"
_UPSTREAM_NAME = "kongingress."
"""Before the name of a KongIngress whose `upstream` is meant."""
_IDENTITY = frozenset({"apiVersion", "kind", "metadata"})
_NOTHING: Mapping[str, Json] = MappingProxyType({})


def _snake(name: str) -> str:
    return name


class _Snake(Spec):
    """Kong's own names, with underscores."""

    model_config = Spec.model_config | {"alias_generator": _snake}


class RouteSection(_Snake):
    """What an Ingress takes over."""

    methods: Items[str] = ()
    headers: Mapping[str, Items[str]] | None = None
    protocols: Items[str] = ()
    regex_priority: int | None = None
    strip_path: bool | None = None
    preserve_host: bool | None = None
    https_redirect_status_code: int | None = None
    path_handling: str | None = None
    snis: Items[str] = ()
    request_buffering: bool | None = None
    response_buffering: bool | None = None


class ProxySection(_Snake):
    """What a Service takes over."""

    protocol: str | None = None
    path: str | None = None
    retries: int | None = None
    connect_timeout: int | None = None
    read_timeout: int | None = None
    write_timeout: int | None = None


class UpstreamSection(_Snake):
    """What a Service takes over; `algorithm`, hashes and checks as in a KongUpstreamPolicy."""

    host_header: str | None = None
    algorithm: str | None = None
    slots: int | None = None
    healthchecks: Mapping[str, object] | None = None
    hash_on: str = "none"
    hash_on_header: str = ""
    hash_on_cookie: str = ""
    hash_on_cookie_path: str = ""
    hash_on_query_arg: str = ""
    hash_on_uri_capture: str = ""
    hash_fallback: str = "none"
    hash_fallback_header: str = ""
    hash_fallback_query_arg: str = ""
    hash_fallback_uri_capture: str = ""


class KongIngress(ObjectSpec):
    """The object; it has no `spec`."""

    route: RouteSection = RouteSection()
    proxy: ProxySection = ProxySection()
    upstream: UpstreamSection | None = None


def lower_kong_ingress(document: Document) -> Lowered:
    """The balancing and checks that it holds for Services (MG1103, MG2xxx)."""
    value, said = check(KongIngress, document)
    if value is None or value.upstream is None:
        return Lowered(diagnostics=tuple(said))
    moved: dict[FieldPath, FieldPath] = {("spec",): ("upstream",)}
    data = {name: part for name, part in document.data.items() if name in _IDENTITY}
    data["spec"] = _policy(value.upstream)
    policy = lower_kong_upstream_policy(replace(document, data=data, moved=moved))
    found = tuple(replace(p, name=_policy_name(document)) for p in policy.declared.upstream_policies)
    return Lowered(
        declared=Declared(upstream_policies=found), diagnostics=(*said, *_of_fields(policy.diagnostics))
    )


def override_of(document: Document) -> ObjectRef | None:
    """The KongIngress that an Ingress or a Service names; None where it names none."""
    if document.ref.kind not in ("Ingress", "Service") or document.problem:
        return None
    metadata = document.data.get("metadata")
    written = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    name = written.get(OVERRIDE) if isinstance(written, Mapping) else None
    return ObjectRef("KongIngress", document.namespace, name, _GROUP) if isinstance(name, str) else None


def overridden(document: Document, by: Document) -> Document:
    """The Ingress or Service with the settings of the KongIngress as annotations, behind its own."""
    value, _ = check(KongIngress, by)
    if value is None:  # stays as it is: it names a KongIngress that cannot be had
        return document
    metadata = document.data.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else _NOTHING
    written = metadata.get("annotations")
    written = written if isinstance(written, Mapping) else _NOTHING
    kept = {name: text for name, text in written.items() if name != OVERRIDE}
    separator = str(written.get(f"{KONG}headers-separator", ","))
    settings = _of_route(value.route, separator) if document.ref.kind == "Ingress" else _of_service(value, by)
    added = {name: text for name, text in settings if name not in kept}
    moved = {**document.moved, **{annotation_path(n): annotation_path(OVERRIDE) for n in added}}
    data = {**document.data, "metadata": {**metadata, "annotations": {**kept, **added}}}
    return replace(document, data=data, moved=moved)


def without_override(document: Document) -> Document:
    """The same as if it named no KongIngress."""
    if override_of(document) is None:
        return document
    metadata = document.data["metadata"]
    assert isinstance(metadata, Mapping)
    written = metadata["annotations"]
    assert isinstance(written, Mapping)
    kept = {name: text for name, text in written.items() if name != OVERRIDE}
    return replace(document, data={**document.data, "metadata": {**metadata, "annotations": kept}})


def _of_route(route: RouteSection, separator: str) -> Iterator[tuple[str, str]]:
    for header, values in (route.headers or {}).items():
        yield f"{KONG}headers.{header}", separator.join(values)
    yield from _texts(route, skip="headers")


def _of_service(value: KongIngress, by: Document) -> Iterator[tuple[str, str]]:
    yield from _texts(value.proxy)
    if value.upstream is not None:
        yield f"{KONG}upstream-policy", _policy_name(by).name
        if value.upstream.host_header:
            yield f"{KONG}host-header", value.upstream.host_header


def _texts(section: _Snake, skip: str = "") -> Iterator[tuple[str, str]]:
    """Every setting that is written, as an annotation of its name."""
    for field in sorted(section.model_fields_set - {skip}):
        value = getattr(section, field)
        if value is None or value == ():
            continue
        match value:
            case bool():
                text = str(value).lower()
            case tuple():
                text = ",".join(value)
            case _:
                text = str(value)
        yield f"{KONG}{field.replace('_', '-')}", text


def _policy_name(document: Document) -> Name:
    return Name(document.namespace, f"{_UPSTREAM_NAME}{document.ref.name}")


def _policy(section: UpstreamSection) -> dict[str, Json]:
    """The `spec` of a KongUpstreamPolicy that says the same."""
    hashed = _hash(section, "hash_on")
    algorithm = section.algorithm or ("round-robin" if hashed is None else "consistent-hashing")
    found: dict[str, Json] = {"algorithm": algorithm}
    if section.slots is not None:
        found["slots"] = section.slots
    if section.healthchecks is not None:
        found["healthchecks"] = _camel(section.healthchecks)
    if algorithm == "consistent-hashing":
        fallback = _hash(section, "hash_fallback")
        found |= {"hashOn": hashed} if hashed else {}
        found |= {"hashOnFallback": fallback} if fallback else {}
    return found


def _hash(section: UpstreamSection, kind: str) -> dict[str, Json] | None:
    match getattr(section, kind):
        case "none":
            return None
        case "header":
            return {"header": str(getattr(section, f"{kind}_header"))}
        case "cookie":
            path = section.hash_on_cookie_path or "/"
            return {"cookie": section.hash_on_cookie, "cookiePath": path}
        case "query_arg":
            return {"queryArg": str(getattr(section, f"{kind}_query_arg"))}
        case "uri_capture":
            return {"uriCapture": str(getattr(section, f"{kind}_uri_capture"))}
        case word:
            return {"input": str(word)}


def _camel(value: object) -> Json:
    """The same with the field names of a KongUpstreamPolicy."""
    match value:
        case Mapping():
            return {_camel_name(str(key)): _camel(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_camel(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _camel_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _of_fields(diagnostics: tuple[Diagnostic, ...]) -> Iterator[Diagnostic]:
    """The same about `upstream`, which they know as `spec`."""
    for one in diagnostics:
        inside = one.field[:1] == ("spec",)
        yield replace(one, field=("upstream", *one.field[1:])) if inside else one


KONG_INGRESS = KindParser(
    group=_GROUP,
    kind="KongIngress",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower_kong_ingress,
    plural="kongingresses",
    short_names=("ki",),
)
