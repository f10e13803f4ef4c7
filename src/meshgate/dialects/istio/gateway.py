"""Gateway: the servers that the gateway opens, and their TLS."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_snake

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_label
from meshgate.dialects.istio.hosts import PortNumber, host_or_wildcard
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault, problem
from meshgate.model.declared import Declared
from meshgate.model.gateway import GatewayObject, Server, ServerProtocol, ServerTls, ServerTlsMode
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

_FILES = "certificates come from Secrets, not from files of a container; the server is not opened"
Version = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


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


class ServerTlsSpec(Spec):
    """Istio's `ServerTLSSettings`; one of the fields in `CLOSING` closes its server alone."""

    CLOSING: ClassVar[Mapping[str, str]] = {
        "serverCertificate": _FILES,
        "privateKey": _FILES,
        "caCertificates": _FILES,
        "caCrl": "revocation lists are not supported; the server is not opened",
        "caCertCredentialName": "authorities are read from credentialName; the server is not opened",
        "tlsCertificates": _FILES,
        "verifyCertificateSpki": "clients cannot be checked by it; the server is not opened",
        "verifyCertificateHash": "clients cannot be checked by it; the server is not opened",
        "insecureSkipVerify": "clients cannot be checked halfway; the server is not opened",
    }

    server_certificate: object = None
    private_key: object = None
    ca_certificates: object = None
    ca_crl: object = None
    ca_cert_credential_name: object = None
    tls_certificates: object = None
    verify_certificate_spki: object = None
    verify_certificate_hash: object = None
    insecure_skip_verify: object = None
    https_redirect: bool = False
    mode: (
        Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]
        | None
    ) = None
    credential_name: str = ""
    credential_names: Items[str] = ()
    min_protocol_version: Version = "TLS_AUTO"
    max_protocol_version: Version = "TLS_AUTO"
    cipher_suites: Items[str] = ()
    subject_alt_names: Items[str] = ()


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
                tls, closed = self._tls(written, (*path, "tls"))
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

    def _tls(self, spec: ServerTlsSpec, path: FieldPath) -> tuple[ServerTls | None, str]:
        """The settings, or why the server must stay closed."""
        closing = [name for name in spec.CLOSING if getattr(spec, to_snake(name)) not in (None, "", False)]
        for name in closing:
            self._add(
                "MG1104",
                (*path, name),
                spec.CLOSING[name],
                remedy="put certificates into a Secret and name it in credentialName",
            )
        if closing:
            return None, f"{closing[0]} is not supported"
        if spec.mode == "AUTO_PASSTHROUGH":
            reason = "AUTO_PASSTHROUGH is for gateways between clusters"
            self._add(
                "MG1104",
                (*path, "mode"),
                f"{reason}, which are not supported; the server is not opened",
                remedy="use PASSTHROUGH and tls routes in a VirtualService",
            )
            return None, reason
        mode = ServerTlsMode(spec.mode or "SIMPLE")
        names = spec.credential_names or ((spec.credential_name,) if spec.credential_name else ())
        needs = mode in (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)
        if needs and not names:
            self._add(
                "MG2003",
                (*path, "credentialName"),
                f"mode {mode.value} needs the name of a Secret",
                remedy="add a Secret of type kubernetes.io/tls and name it",
            )
        if not needs and names:
            self._add("MG2006", (*path, "credentialName"), f"has no place beside mode {mode.value}")
        return ServerTls(
            mode=mode,
            credentials=tuple(n.removeprefix("kubernetes://") for n in names),
            min_version=_version(spec.min_protocol_version),
            max_version=_version(spec.max_protocol_version),
            cipher_suites=spec.cipher_suites,
            subject_alt_names=spec.subject_alt_names,
        ), ""

    def _add(self, code: str, path: FieldPath, message: str, remedy: str = "") -> None:
        self._said.append(problem(self._document, code, path, message, remedy=remedy))


def _version(written: Version) -> str:
    return "" if written == "TLS_AUTO" else written


GATEWAY = KindParser(
    group="networking.istio.io",
    kind="Gateway",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_gateway,
    plural="gateways",
    short_names=("gw",),
)
