"""Listeners of Gateways and ListenerSets, and the TLS of both."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.limits import Group, Kind
from meshgate.dialects.gateway_api.references import (
    Hostname,
    NamespacesSpec,
    ObjectRefSpec,
    PortNumber,
    SectionName,
)
from meshgate.dialects.schema import Items, Spec, problem, written
from meshgate.model.gateway_api import GATEWAY_GROUP, ApiListener

_WITHOUT_TLS = ("HTTP", "TCP", "UDP")
_WITHOUT_HOSTS = ("TCP", "UDP")


class ListenerTlsSpec(Spec):
    """`ListenerTLSConfig`."""

    UNSUPPORTED: ClassVar[dict[str, str]] = {"options": "has no effect; TLS 1.2 is the oldest that is spoken"}

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[Items[ObjectRefSpec], Field(max_length=64)] = ()


class RouteKindSpec(Spec):
    """`RouteGroupKind`."""

    group: Group = GATEWAY_GROUP
    kind: Kind


class AllowedRoutesSpec(Spec):
    """`AllowedRoutes`."""

    namespaces: NamespacesSpec = NamespacesSpec()
    kinds: Annotated[Items[RouteKindSpec], Field(max_length=8)] = ()


class ListenerSpec(Spec):
    """`Listener` and `ListenerEntry`."""

    name: Annotated[SectionName, Field(min_length=1)]
    hostname: Hostname | Literal[""] = ""
    port: PortNumber
    protocol: Annotated[str, Field(min_length=1, max_length=255)]
    tls: ListenerTlsSpec | None = None
    allowed_routes: AllowedRoutesSpec = AllowedRoutesSpec()


def lower_listeners(
    specs: tuple[ListenerSpec, ...], document: Document, said: list[Diagnostic]
) -> tuple[ApiListener, ...]:
    """The listeners; names that are there twice and TLS in the wrong place are MG2006.

    Without a certificate a listener stays shut and its Gateway's others open (MG2003, a warning).
    """
    path: FieldPath = ("spec", "listeners")
    for name, count in Counter(s.name for s in specs).items():
        if count > 1:
            said.append(problem(document, "MG2006", path, f"the name {name!r} is there {count} times"))
    for (port, protocol, host), count in Counter((s.port, s.protocol, s.hostname) for s in specs).items():
        if count > 1:
            message = f"{count} of them are {protocol} at port {port} for {host or 'every host'}"
            said.append(problem(document, "MG2006", path, message))
    return tuple(_listener(s, document, (*path, i), said) for i, s in enumerate(specs))


def _listener(spec: ListenerSpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> ApiListener:
    tls = spec.tls
    if spec.protocol in _WITHOUT_TLS and tls is not None:
        said.append(problem(document, "MG2006", (*path, "tls"), f"has no place with {spec.protocol}"))
    if spec.protocol in _WITHOUT_HOSTS and spec.hostname:
        said.append(problem(document, "MG2006", (*path, "hostname"), f"has no place with {spec.protocol}"))
    if spec.protocol == "HTTPS" and tls is not None and tls.mode != "Terminate":
        message = "must be Terminate with HTTPS"
        said.append(
            problem(document, "MG2006", (*path, "tls", "mode"), message, remedy="use the protocol TLS")
        )
    unshown = "; the listener is not opened, the others are"
    if spec.protocol == "HTTPS" and tls is None:
        message = f"is required with HTTPS{unshown}"
        said.append(problem(document, "MG2003", (*path, "tls"), message, severity=Severity.WARNING))
    if spec.protocol == "TLS" and tls is None:
        said.append(problem(document, "MG2003", (*path, "tls"), "is required with TLS"))
    if tls is not None and tls.mode == "Terminate" and not tls.certificate_refs:
        field = (*path, "tls", "certificateRefs")
        # An API server takes `options` in their place; here none of them brings a certificate.
        taken = bool(written(document, (*path, "tls", "options")))
        severity = Severity.WARNING if taken else Severity.ERROR
        message = f"is required with the mode Terminate{unshown if taken else ''}"
        said.append(problem(document, "MG2003", field, message, severity=severity))
    return ApiListener(
        name=spec.name,
        port=spec.port,
        protocol=spec.protocol,
        hostname=spec.hostname,
        has_tls=tls is not None,
        passthrough=tls is not None and tls.mode == "Passthrough",
        certificates=tuple(
            ref.lower(document, (*path, "tls", "certificateRefs", i))
            for i, ref in enumerate(tls.certificate_refs if tls else ())
        ),
        namespaces=spec.allowed_routes.namespaces.lower("Same"),
        kinds=tuple((k.group, k.kind) for k in spec.allowed_routes.kinds),
        origin=document.locate(path),
    )
