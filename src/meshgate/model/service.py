"""Services: a host, its ports and the workloads behind it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.external import External
from meshgate.model.names import Name, service_host


class _Nothing(Mapping[str, str]):
    """A mapping without entries that can be a field's default (Python 3.11 wants those hashable)."""

    __slots__ = ()

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Mapping[str, str] = _Nothing()


class AppProtocol(enum.Enum):
    """What a port speaks, from Istio's rules: `appProtocol`, else the port name's prefix."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    HTTPS = "https"
    TLS = "tls"
    TCP = "tcp"
    UDP = "udp"
    UNKNOWN = "unknown"
    """Not declared: to be found out by looking at the first bytes."""

    @property
    def is_http(self) -> bool:
        """Whether requests of this protocol can be routed one by one."""
        return self in (AppProtocol.HTTP, AppProtocol.HTTP2, AppProtocol.GRPC)

    @property
    def is_http2(self) -> bool:
        """Whether the application itself expects HTTP/2."""
        return self in (AppProtocol.HTTP2, AppProtocol.GRPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """One port of a service."""

    number: int
    name: str = ""
    target: int | str = 0
    """Container port, or a container port's name; 0 means the same as `number`."""
    protocol: AppProtocol = AppProtocol.UNKNOWN
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """TLS that the gateway begins to the endpoints (Kong's annotations)."""

    verify: bool = False
    """Whether the server's certificate is checked: Kong's default is not to."""
    depth: int | None = None
    """Authorities between the server's certificate and one that is trusted, at most."""
    client_secret: str = ""
    """Secret with the certificate that the gateway shows; empty for none."""
    authority_secrets: tuple[str, ...] = ()
    authority_config_maps: tuple[str, ...] = ()
    """Beside the Service; with neither, what the system trusts."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """How the gateway calls a service (Kong's annotations on it); the mesh does not care."""

    connect_timeout_ms: int | None = None
    idle_timeout_ms: int | None = None
    """Longest silence within a request or its answer: the longer of read and write timeout."""
    retries: int | None = None
    host_header: str = ""
    """Sent where an Ingress does not preserve the client's."""
    path: str = ""
    """Put before the path of every request; no slash at its end."""
    path_slash: bool = False
    """Whether there was one, which counts where paths are joined as they are."""
    upstream_policy: str = ""
    """Name of a KongUpstreamPolicy beside it; empty for none."""
    upstream_policy_origin: Origin | None = None
    tls: UpstreamTls | None = None
    """None: no TLS to its pods but the mesh's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A name that clients ask for, and the label selector of what answers."""

    name: Name
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str] = EMPTY
    """Empty: no workload is selected (endpoints are managed elsewhere)."""
    headless: bool = False
    external_name: str = ""
    plugin_names: tuple[str, ...] = ()
    """Values of `konghq.com/plugins` on the Service; apply to edge traffic to it."""
    plugins_origin: Origin | None = None
    """Place of that annotation; None: `origin`."""
    edge: EdgeOptions = EdgeOptions()
    export_to: tuple[str, ...] = ()
    """Namespaces whose clients know it: `*`, `.` or names; empty: as the mesh says by default."""
    client_affinity: bool = False
    """Requests of one client address go to one endpoint."""
    external: External | None = None
    """Of a ServiceEntry; None for a Service."""
    origin: Origin = field(default=BUILT_IN)

    @property
    def host(self) -> str:
        """The full DNS name."""
        return self.external.host if self.external else service_host(self.name)

    def port(self, wanted: int | str) -> ServicePort | None:
        """The port with this number or name; 0 asks for the only port there is.

        An ExternalName without ports is just another name: it has every port.
        """
        if self.external_name and not self.ports and isinstance(wanted, int) and wanted:
            return ServicePort(number=wanted, origin=self.origin)
        if wanted == 0 and len(self.ports) == 1:
            return self.ports[0]
        return next((p for p in self.ports if wanted in (p.number, p.name or None)), None)
