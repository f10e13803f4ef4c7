"""Gateway: the servers that the gateway opens, and their TLS."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_label
from meshgate.dialects.istio.hosts import PortNumber, host_or_wildcard
from meshgate.dialects.istio.server_tls import ServerTlsSpec, lower_server_tls
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault, problem
from meshgate.model.declared import Declared
from meshgate.model.gateway import GatewayObject, Server, ServerProtocol, ServerTls
from meshgate.model.names import Name

_PROTOCOLS = MappingProxyType(
    {
        "HTTP": ServerProtocol.HTTP,
        "HTTP2": ServerProtocol.HTTP,
        "GRPC": ServerProtocol.HTTP,
        "GRPC-WEB": ServerProtocol.HTTP,
        "HTTP_PROXY": ServerProtocol.HTTP,
        "HTTPS": ServerProtocol.HTTPS,
        "TLS": ServerProtocol.TLS,
        "TCP": ServerProtocol.TCP,
        "MONGO": ServerProtocol.TCP,
        "MYSQL": ServerProtocol.TCP,
        "REDIS": ServerProtocol.TCP,
    }
)
"""Istio's words for `port.protocol`, in upper case."""


def _protocol(text: str) -> str:
    if text.upper() not in _PROTOCOLS:
        raise fault("MG2002", f"must be one of {', '.join(_PROTOCOLS)}")
    return text.upper()


def _server_host(text: str) -> str:
    namespace, slash, host = text.rpartition("/")
    if slash and namespace not in ("*", ".") and not is_dns_label(namespace):
        raise fault("MG2004", "must have a namespace, `.` or `*` before the slash")
    host_or_wildcard(host)
    return text


ServerHost = Annotated[str, AfterValidator(_server_host)]


class PortSpec(Spec):
    """Istio's `Port`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"targetPort": "the gateway listens at the port itself"}

    number: PortNumber
    protocol: Annotated[str, AfterValidator(_protocol)]
    name: str = ""


class ServerSpec(Spec):
    """Istio's `Server`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "bind": "the gateway listens at its own address",
        "defaultEndpoint": "connections go where VirtualServices send them",
    }

    port: PortSpec
    hosts: Items[ServerHost]
    tls: ServerTlsSpec | None = None
    name: str = ""


class GatewaySpec(Spec):
    """Istio 1.27's fields."""

    servers: Items[ServerSpec] = ()
    selector: dict[str, str] = Field(default_factory=dict)


class Gateway(ObjectSpec):
    spec: GatewaySpec


def lower_gateway(document: Document) -> Lowered:
    """The servers of a Gateway; one whose security cannot be had stays closed (MG1104, MG2003, MG2006)."""
    value, said = check(Gateway, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    if not spec.servers:
        said.append(problem(document, "MG2003", ("spec", "servers"), "must have at least one server"))
        return Lowered(diagnostics=tuple(said))
    lowering = _ServerLowering(document, said)
    servers = tuple(
        lowering.server(server, index, ("spec", "servers", index))
        for index, server in enumerate(spec.servers)
    )
    declared = GatewayObject(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        selector=MappingProxyType(dict(sorted(spec.selector.items()))),
        servers=servers,
        created=document.created,
        origin=document.locate(),
    )
    wrong = any(d.severity is Severity.ERROR and d.code != "MG1104" for d in said)
    return Lowered(declared=Declared(gateways=(declared,)), diagnostics=tuple(said), keep=not wrong)


class _ServerLowering:
    """Lowers the servers of one Gateway and collects what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document, self._said = document, said

    def server(self, spec: ServerSpec, index: int, path: FieldPath) -> Server:
        """One server; closed where its TLS cannot be had."""
        protocol = _PROTOCOLS[spec.port.protocol]
        if not spec.hosts:
            self._add("MG2003", (*path, "hosts"), "must name at least one host")
        closed = ""
        tls: ServerTls | None = None
        written = spec.tls
        if protocol in (ServerProtocol.HTTPS, ServerProtocol.TLS):
            if written is None:
                self._add("MG2003", (*path, "tls"), f"{spec.port.protocol} needs tls with a mode")
            else:
                tls, closed = lower_server_tls(written, self._document, (*path, "tls"), self._said)
        elif written is not None and written.mode is not None:
            self._add(
                "MG2006",
                (*path, "tls", "mode"),
                f"has no place on a server that speaks {spec.port.protocol}",
                remedy="use the protocol HTTPS or TLS",
            )
        if written is not None and written.https_redirect and protocol is not ServerProtocol.HTTP:
            self._add("MG2006", (*path, "tls", "httpsRedirect"), "needs a server with protocol HTTP")
        return Server(
            name=spec.name or spec.port.name or str(index),
            port=spec.port.number,
            protocol=protocol,
            hosts=tuple(h.lower() for h in spec.hosts),
            tls=tls,
            https_redirect=bool(written and written.https_redirect),
            closed=closed,
            origin=self._document.locate(path),
        )

    def _add(self, code: str, path: FieldPath, message: str, remedy: str = "") -> None:
        self._said.append(problem(self._document, code, path, message, remedy=remedy))


GATEWAY = KindParser(
    group="networking.istio.io",
    kind="Gateway",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_gateway,
    plural="gateways",
    short_names=("gw",),
)
