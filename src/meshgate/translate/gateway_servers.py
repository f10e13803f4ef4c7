"""Filter chains of Istio Gateways' servers: HTTP, TLS that is ended here, and whole connections."""

from __future__ import annotations

from collections.abc import Callable

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT, EdgeServer, ServerTlsMode
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.policies.packing import pack
from meshgate.translate import tls
from meshgate.translate.guard import Access, network_filters
from meshgate.translate.http import http_chain
from meshgate.translate.streams import stream_chain

LISTENER_PREFIX = "gateway."
TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"
MANAGER = "envoy.filters.network.http_connection_manager"
_CHECKS_CLIENTS = (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)

MakeManager = Callable[[str], hcm.HttpConnectionManager]
"""A connection manager for a route configuration's name."""


def listener_names(reader: Reader, proxy: Proxy) -> list[str]:
    """`gateway.<port>` for every port of a Gateway that the gateway does not have by itself."""
    own = {HTTP_PORT, HTTPS_PORT, proxy.http_port, proxy.https_port}
    ports = sorted({server.port for server in reader.all_edge_servers().values()} - own)
    return [f"{LISTENER_PREFIX}{port}" for port in ports]


def listener_port(name: str) -> int | None:
    """The port in a listener's name; None for the gateway's own listeners."""
    port = name.removeprefix(LISTENER_PREFIX)
    return int(port) if port != name and port.isdecimal() else None


def add_chains(
    reader: Reader, found: listener_pb2.Listener, port: int, access: Access, manager: MakeManager
) -> set[str]:
    """Adds the chains of a port's servers; gives the server names that they have taken.

    A server whose certificate is gone gets no chain: it is closed, the others stay.
    """
    taken: set[str] = set()
    servers = [(n, s) for n, s in sorted(reader.all_edge_servers().items()) if s.port == port]
    for name, server in servers:
        if server.tls is not None and any(reader.certificate(c) is None for c in server.tls.credentials):
            continue
        if server.sni:
            chain = found.filter_chains.add(name=name)
            chain.filter_chain_match.server_names.extend(server.sni)
            taken.update(server.sni)
        else:
            chain = found.default_filter_chain
            chain.name = name
        _fill(chain, name, server, access, manager)
    looks = any(server.sni for _, server in servers)
    if looks and not any(f.name == TLS_INSPECTOR for f in found.listener_filters):
        inspector = found.listener_filters.add(name=TLS_INSPECTOR)
        inspector.typed_config.CopyFrom(pack(tls_inspector_pb2.TlsInspector()))
    return taken


def _fill(
    chain: listener_components_pb2.FilterChain,
    name: str,
    server: EdgeServer,
    access: Access,
    manager: MakeManager,
) -> None:
    if server.routes:
        chain.filters.append(http_chain(manager(server.routes)))
    else:
        chain.filters.extend(network_filters(access.guard, access.ports))
        chain.filters.append(stream_chain(server.destinations, name))
    if server.tls is not None:
        chain.transport_socket.CopyFrom(tls.downstream_server(server.tls))


def configuration_by_name(listener: listener_pb2.Listener, host: str) -> str:
    """The route configuration of the chain that a server name chooses; empty where there is none
    (exact names, then wildcards from the narrowest, then the default, as Envoy 1.40 chooses)."""
    labels = host.split(".")
    for name in (host, *("*." + ".".join(labels[i:]) for i in range(1, len(labels))), ""):
        for chain in listener.filter_chains:
            names = chain.filter_chain_match.server_names
            if name in names or (not name and not names):
                return _configuration(chain)
    return _configuration(listener.default_filter_chain)


def _configuration(chain: listener_components_pb2.FilterChain) -> str:
    for one in chain.filters:
        if one.name == MANAGER:
            manager = hcm.HttpConnectionManager()
            one.typed_config.Unpack(manager)
            return str(manager.rds.route_config_name)
    return ""
