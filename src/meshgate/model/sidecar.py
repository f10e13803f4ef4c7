"""What an Istio Sidecar says of a workload's proxy: which hosts it knows, which ports it offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.destination import ConnectionPool
from meshgate.model.mesh_config import OutboundMode
from meshgate.model.route import Destination
from meshgate.model.service import EMPTY, AppProtocol

NOBODY = "~"
"""As the namespace of an egress host: none at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressHost:
    """`namespace/host` of an egress listener."""

    namespace: str
    """`*`, `.` (the Sidecar's own), `~` or a name."""
    host: str
    """`*`, `*.example.com` or a full name, lower case."""

    def takes(self, namespace: str, host: str, own: str) -> bool:
        """Whether it imports a host that belongs to `namespace`; `own` is the Sidecar's."""
        wanted = own if self.namespace == "." else self.namespace
        if wanted not in ("*", namespace):
            return False
        if self.host.startswith("*"):
            return host.endswith(self.host[1:])
        return host == self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """One entry of `egress`."""

    hosts: tuple[EgressHost, ...]
    port: int = 0
    """0: every port that no other entry names."""
    protocol: AppProtocol = AppProtocol.UNKNOWN
    bind: str = ""
    """Address of a listener of its own, `unix:///path` for a socket; empty: redirected traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """One entry of `ingress`."""

    port: int
    protocol: AppProtocol
    endpoint: str = ""
    """`127.0.0.1:8080`, `0.0.0.0:8080` (the pod's address) or `unix:///path`; empty: the port itself."""
    pool: ConnectionPool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """One Sidecar."""

    ref: ObjectRef
    namespace: str
    selector: Mapping[str, str] = EMPTY
    egress: tuple[Egress, ...] = ()
    """Empty: every host that is exported to the namespace."""
    ingress: tuple[Ingress, ...] = ()
    """Empty: the ports of the services that select the workload."""
    inbound_pool: ConnectionPool | None = None
    outbound_mode: OutboundMode | None = None
    """None: the mesh's."""
    egress_proxy: Destination | None = None
    """Where requests to unknown hosts go instead of to the hosts themselves."""
    created: str = ""
    origin: Origin = BUILT_IN

    def imports(self, namespace: str, host: str, port: int) -> bool:
        """Whether a proxy with this Sidecar knows a host at a port; port 0 asks for any."""
        if not self.egress:
            return True
        named = {entry.port for entry in self.egress}
        chosen = [
            entry
            for entry in self.egress
            if not port or entry.port == port or (not entry.port and port not in named)
        ]
        return any(h.takes(namespace, host, self.namespace) for entry in chosen for h in entry.hosts)
