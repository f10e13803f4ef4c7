"""A declarative file from its text to manifests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity, ordered
from meshgate.core.origin import FieldPath, Origin
from meshgate.dialects.document import Document, Source, locate
from meshgate.dialects.kong.declarative.consumers import Consumers
from meshgate.dialects.kong.declarative.entities import (
    CREDENTIALS,
    CaCertificateEntity,
    CertificateEntity,
)
from meshgate.dialects.kong.declarative.environment import filled_in
from meshgate.dialects.kong.declarative.manifests import Manifest, Manifests, referred
from meshgate.dialects.kong.declarative.plugins import Plugins
from meshgate.dialects.kong.declarative.routes import Routes, attach_tls
from meshgate.dialects.kong.declarative.services import Services
from meshgate.dialects.schema import check
from meshgate.dialects.wording import show
from meshgate.dialects.yaml_text import read_values
from meshgate.model.service import EMPTY

_VERSION = re.compile(r"([123])\.(\d+)")
_KNOWN = frozenset(
    [
        *("_format_version", "_transform", "_info", "_plugin_configs", "_workspace", "_konnect"),
        *("_comment", "_ignore"),
        *("services", "routes", "upstreams", "targets", "consumers", "consumer_groups", "plugins"),
        *("certificates", "snis", "ca_certificates", "consumer_group_consumers", *CREDENTIALS),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What came of a file."""

    manifests: tuple[Manifest, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    """MG25xx for what has no counterpart, and whatever is wrong with the file itself."""


def convert(
    text: str, file: str, namespace: str = "default", environment: Mapping[str, str] = EMPTY
) -> Converted:
    """The manifests of a declarative file (YAML or JSON), in the order in which they refer to each other.

    `environment`: the variables that the file may name, as decK lets it.
    """
    filled = filled_in(text, file, environment)
    document, problems = _read(filled.text, file)
    found = _converted(document, namespace) if document is not None else Converted()
    said = (*filled.diagnostics, *problems, *found.diagnostics)
    return replace(
        found, diagnostics=ordered(replace(d, message=filled.without_values(d.message)) for d in said)
    )


def _converted(document: Document, namespace: str) -> Converted:
    out = Manifests(document, namespace)
    version = _version(out)
    services, consumers = Services(out), Consumers(out)
    routes = Routes(out, services, version)
    for path in _listed(out, "upstreams"):
        services.add_upstream(path)
    for path in _listed(out, "targets"):
        services.add_target(path)
    for path in _listed(out, "services"):
        services.add(path)
    for path, service in services.routes:
        routes.add(path, service)
    for path in _listed(out, "routes"):
        routes.add(path)
    for path in _listed(out, "consumer_groups"):
        consumers.add_group(path)
    for path in _listed(out, "consumers"):
        consumers.add(path)
    _loose(out, consumers)
    scopes = {
        "service": services.made,
        "route": routes.made,
        "consumer": consumers.consumers,
        "consumer_group": consumers.groups,
    }
    plugins = Plugins(out, scopes, version)
    for path, owner in (*services.plugins, *routes.plugins, *consumers.plugins):
        plugins.add(path, owner)
    for path in _listed(out, "plugins"):
        plugins.add(path)
    _certificates(out)
    for key in document.data:
        if key not in _KNOWN:
            out.error((key,), f"{key} has no counterpart; it is left out")
    return Converted(manifests=tuple(out.made), diagnostics=tuple(out.said))


def _read(text: str, file: str) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    def wrong(source: Source | None, message: str, remedy: str = "") -> Diagnostic:
        at = locate(file, source, ()) if source is not None else Origin(file, 1, 1)
        return Diagnostic(severity=Severity.ERROR, code="MG1003", origin=at, message=message, remedy=remedy)

    values, said = read_values(text, file)
    if not values:
        nothing = wrong(None, "is no declarative file of Kong: it is empty", "name a kong.yaml")
        return None, said or (nothing,)
    value = values[0]
    if not isinstance(value.data, Mapping):
        message = f"is no declarative file of Kong: it must be an object, got {show(value.data)}"
        return None, (*said, wrong(value.source, message, "name a kong.yaml"))
    if "_format_version" not in value.data:
        message = "is no declarative file of Kong: it has no _format_version"
        return None, (*said, wrong(value.source, message, "manifests are for `meshgate up`"))
    more = tuple(
        wrong(other.source, "a second document is not read, by Kong neither", "put it into a file of its own")
        for other in values[1:]
    )
    document = Document(
        ref=ObjectRef("kong.yaml", "", file),
        api_version="",
        data=value.data,
        file=file,
        namespace_given=False,
        source=value.source,
    )
    return document, (*said, *more)


def _version(out: Manifests) -> tuple[int, int]:
    text = str(out.document.data["_format_version"])
    found = _VERSION.fullmatch(text)
    if found is None:
        out.error(
            ("_format_version",), f"must be 1.1 to 3.0, got {text!r}", "write it in quotes", code="MG2002"
        )
        return 3, 0
    return int(found[1]), int(found[2])


def _listed(out: Manifests, key: str) -> Iterator[FieldPath]:
    listed = out.document.data.get(key)
    if listed is None:
        return
    if not isinstance(listed, list | tuple):
        out.error((key,), f"must be a list, got {show(listed)}", code="MG2001")
        return
    for i, item in enumerate(listed):
        if isinstance(item, Mapping):
            yield (key, i)
        else:
            out.error((key, i), f"must be an object, got {show(item)}", code="MG2001")


def _loose(out: Manifests, consumers: Consumers) -> None:
    """Credentials and memberships that name their consumer themselves."""
    for kind in CREDENTIALS:
        for path in _listed(out, kind):
            consumers.add_credential(kind, path, _at(out, path))
    for path in _listed(out, "consumer_group_consumers"):
        entry = _at(out, path)
        consumer = consumers.consumers.get(_name(entry.get("consumer")))
        if consumer is None:
            out.error((*path, "consumer"), "this consumer is not in this file")
        else:
            consumers.join(consumer, _name(entry.get("consumer_group")), path)
    groups = out.document.data.get("consumer_groups")
    for i, group in enumerate(groups if isinstance(groups, list | tuple) else ()):
        members = group.get("consumers") if isinstance(group, Mapping) else None
        for j, member in enumerate(members if isinstance(members, list | tuple) else ()):
            path = ("consumer_groups", i, "consumers", j)
            found = consumers.consumers.get(_name(member))
            if found is None or not isinstance(group, Mapping):
                out.error(path, "this consumer is not in this file")
            else:
                consumers.join(found, str(group.get("name", "")), path)


def _certificates(out: Manifests) -> None:
    for path in _listed(out, "certificates"):
        entity, said = check(CertificateEntity, out.document, path)
        out.said += said
        if entity is None:
            continue
        hosts = [_name(sni) for sni in entity.snis]
        name = out.name_for("Secret", f"certificate-{hosts[0] if hosts else path[1]}")
        data = {"tls.crt": entity.cert, "tls.key": entity.key}
        out.add("Secret", name, api="v1", type="kubernetes.io/tls", stringData=data)
        if not attach_tls(out.made, hosts, name):
            why = f"no route is for {', '.join(hosts)}" if hosts else "it has no snis"
            out.warn(path, f"{why}; the certificate is used by nothing", "name it in an Ingress")
    for path in _listed(out, "snis"):
        out.error(path, "write the SNI in its certificate's snis")
    for path in _listed(out, "ca_certificates"):
        authority, said = check(CaCertificateEntity, out.document, path)
        out.said += said
        if authority is not None:
            name = out.name_for("Secret", f"ca-{authority.id or path[1]}")
            labels = {"konghq.com/ca-cert": "true"}
            data = {"cert": authority.cert, "ca.crt": authority.cert}
            if authority.id:
                data["id"] = authority.id
            out.add("Secret", name, api="v1", labels=labels, type="Opaque", stringData=data)


def _at(out: Manifests, path: FieldPath) -> Mapping[str, object]:
    listed = out.document.data[str(path[0])]
    assert isinstance(listed, list | tuple)
    found = listed[int(path[1])]
    assert isinstance(found, Mapping)
    return found


def _name(reference: object) -> str:
    if isinstance(reference, str):
        return reference
    return referred({k: str(v) for k, v in reference.items()}) if isinstance(reference, Mapping) else ""
