"""Which proxy each pod has, what it is started with, and by what it is known again."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshgate.app.bridge import BridgeFiles
from meshgate.app.pods import served_namespace
from meshgate.core.secret import Secret
from meshgate.model.names import Name
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.runtime.placement import Placement
from meshgate.runtime.spec import Isolation as RuntimeIsolation
from meshgate.runtime.spec import PodSpec
from meshgate.translate.bootstrap import Sockets, bootstrap

KEY_FILE = "proxy-token.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlace:
    """Where the gateway listens."""

    address: str
    http_port: int
    https_port: int
    http3: bool = False


class ProxyTokens:
    """A token per proxy, made of one key in the state directory: the same after a restart."""

    def __init__(self, state: Path) -> None:
        self._key = _load_key(state / KEY_FILE)

    def token(self, proxy_id: str) -> Secret:
        """What the proxy shows when it asks for its configuration."""
        return Secret.of(hmac.new(self._key, proxy_id.encode(), hashlib.sha256).hexdigest())


def _load_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        return key


def proxy_id(pod: PodSpec) -> str:
    """Envoy's node id for a pod."""
    kind = "gateway" if pod.host_network else "sidecar"
    return f"{kind}~{pod.name}.{pod.namespace}~{pod.spec_hash}"


def proxy_of(pod: PodSpec, placement: Placement, gateway: GatewayPlace) -> Proxy:
    """The proxy of a placed pod."""
    netns = placement.isolation is RuntimeIsolation.NETNS
    if pod.host_network:
        return Proxy(
            id=proxy_id(pod),
            kind=ProxyKind.GATEWAY,
            namespace=pod.namespace,
            service_account=pod.service_account,
            workload=Name(pod.namespace, pod.workload),
            labels=dict(pod.labels),
            address=gateway.address,
            http_port=gateway.http_port,
            https_port=gateway.https_port,
            http3=gateway.http3,
            native_filters=pod.proxy_library is not None,
        )
    served = served_namespace(pod)
    return Proxy(
        id=proxy_id(pod),
        kind=ProxyKind.SIDECAR,
        namespace=served or pod.namespace,
        service_account=pod.service_account,
        workload=Name(pod.namespace, pod.workload),
        labels=dict(pod.labels),
        isolation=Isolation.NETNS if netns else Isolation.PORTS,
        address=placement.ip,
        inbound_ports=dict(placement.inbound_ports),
        app_ports=dict(placement.app_ports),
        proxy_port=0 if netns else placement.outbound_port,
        metadata=dict(pod.proxy_metadata),
        plain=bool(served),
    )


class Sidecars:
    """Makes bootstraps for the runtime, and tells the xDS server whom to expect."""

    def __init__(
        self,
        tokens: ProxyTokens,
        gateway: GatewayPlace,
        rate_limit_socket: Path,
        bridges: BridgeFiles,
        expect: Callable[[Proxy, Secret], None],
    ) -> None:
        self._tokens, self._gateway, self._expect = tokens, gateway, expect
        self._rate_limit_socket, self._bridges = rate_limit_socket, bridges

    def bootstrap(self, pod: PodSpec, placement: Placement) -> bytes:
        """See `runtime.placement.SidecarFactory`; the proxy is expected before it is started."""
        proxy = self.expected(pod, placement)
        sockets = Sockets(
            xds=str(placement.xds_socket),
            admin=str(placement.admin_socket),
            rate_limit=str(self._rate_limit_socket) if pod.host_network else "",
            bridge=str(self._bridges.socket) if pod.host_network else "",
            cache=str(self._bridges.cache_socket) if pod.host_network else "",
            logs=str(self._bridges.logs_socket) if pod.host_network else "",
        )
        config = bootstrap(proxy, sockets, self._tokens.token(proxy.id))
        return bytes(config.SerializeToString(deterministic=True))

    def expected(self, pod: PodSpec, placement: Placement) -> Proxy:
        """Admits the proxy of a pod, also of one that ran before this control plane."""
        proxy = proxy_of(pod, placement, self._gateway)
        self._expect(proxy, self._tokens.token(proxy.id))
        return proxy
