"""Istio's Gateways: as declared, and the filter chains that the linked model makes of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.edge import PairFiles
from meshgate.model.names import Name
from meshgate.model.policies.access import IpRestriction
from meshgate.model.route import WeightedDestination

HTTP_PORT, HTTPS_PORT = 80, 443
"""Ports of servers that the gateway serves at its own HTTP and HTTPS port."""


class ServerProtocol(enum.Enum):
    """What clients of a server speak; HTTP2, GRPC and GRPC-Web are `HTTP`."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"


class ServerTlsMode(enum.Enum):
    """What the gateway does with TLS."""

    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    PASSTHROUGH = "PASSTHROUGH"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    """Carried on to the service whose cluster the server name names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """TLS of a server; certificates by the names of Secrets."""

    mode: ServerTlsMode
    credentials: tuple[str, ...] = ()
    """As declared: names of Secrets. After `link`: `namespace/name` of certificates."""
    files: tuple[PairFiles, ...] = ()
    """Certificates instead of `credentials`."""
    authorities: str = ""
    """Whose `ca.crt` signs clients' certificates, named as `credentials`; empty for the first of those."""
    authorities_file: str = ""
    crl_file: str = ""
    public_keys: tuple[str, ...] = ()
    """base64 SHA-256 of public keys, and of certificates in `hashes`: a client's must be one of all those."""
    hashes: tuple[str, ...] = ()
    min_version: str = ""
    """`TLSV1_0` to `TLSV1_3`; empty for TLS 1.2."""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    """Of which a client's certificate must have one; empty for any that the authority signed."""
    authorities_pem: bytes = b""
    """Who signs clients' certificates; empty where that stands in the first credential."""
    accept_untrusted: bool = False
    """A client's certificate of any other authority is as good as none."""

    @property
    def certificates(self) -> tuple[str, ...]:
        """All that it names, its clients' authorities too."""
        return (*self.credentials, self.authorities) if self.authorities else self.credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of a Gateway as written."""

    name: str
    """Its own, or its number."""
    port: int
    protocol: ServerProtocol
    hosts: tuple[str, ...]
    """`host` or `namespace/host`; the namespace may be `*` or `.`."""
    tls: ServerTls | None = None
    https_redirect: bool = False
    closed: str = ""
    """Why it must not be opened (a security setting that cannot be had)."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayObject:
    """One Gateway as written."""

    ref: ObjectRef
    name: Name
    selector: Mapping[str, str]
    servers: tuple[Server, ...]
    created: str = ""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMatch:
    """What a connection must look like; all parts must hold."""

    sni_hosts: tuple[str, ...] = ()
    port: int = 0
    gateways: tuple[str, ...] = ()
    source_labels: tuple[tuple[str, str], ...] = ()
    source_namespace: str = ""
    subnets: tuple[str, ...] = ()
    """Of the address that the client asked for; any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRule:
    """A `tls` or `tcp` route of a VirtualService: where whole connections go."""

    matches: tuple[StreamMatch, ...]
    """Any of them; none: every connection."""
    destinations: tuple[WeightedDestination, ...]
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeServer:
    """One filter chain of the gateway that a Gateway asks for."""

    port: int
    """Of the Gateway; 80 and 443 stand for the gateway's own HTTP and HTTPS port."""
    sni: tuple[str, ...] = ()
    """Server names that choose it; empty for every other name, and for plain TCP and HTTP."""
    tls: ServerTls | None = None
    """None: the bytes are passed on as they come."""
    addresses: tuple[str, ...] = ()
    """Of the Gateway; empty for the gateway's own address."""
    datagrams: bool = False
    """UDP."""
    to_named_service: bool = False
    """Connections go to the service, port and subset that their server name says in Istio's form,
    `outbound_.80_.v1_.host`, among those that fit `sni`."""
    routes: str = ""
    """Name of its route configuration; empty where connections are carried to `destinations`."""
    destinations: tuple[WeightedDestination, ...] = ()
    restriction: IpRestriction | None = None
    """Whose connections or datagrams are carried to `destinations`; None: everybody's."""
    origin: Origin = BUILT_IN
