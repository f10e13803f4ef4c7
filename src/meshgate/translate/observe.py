"""Access logs, metrics and traces on every listener, whatever made it.

They are put on when a listener is done, in this one place, so that no listener is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from meshgate.model.graph import EDGE
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.telemetry import Mode, Observation, Observed, namespace_key
from meshgate.policies.packing import pack
from meshgate.translate.access_log import access_log
from meshgate.translate.metrics import http_metrics, tcp_metrics
from meshgate.translate.names import outbound_cluster
from meshgate.translate.tracing import tracing

MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
_INBOUND = 1


def observe(reader: Reader, proxy: Proxy, listener: listener_pb2.Listener) -> None:
    """Adds to the listener what is told about its traffic."""
    if proxy.plain:
        return
    side = Mode.CLIENT
    if proxy.kind is ProxyKind.SIDECAR and listener.traffic_direction == _INBOUND:
        side = Mode.SERVER
    observed = observation(reader, proxy).of(side)
    chains = list(listener.filter_chains)
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    for chain in chains:
        _Chain(observed, side, proxy, chain).observe()


def clusters(reader: Reader, proxy: Proxy) -> list[str]:
    """Those of collectors: nobody routes to them, so Envoy would not ask for them."""
    if proxy.plain:
        return []
    found = observation(reader, proxy)
    names: set[str] = set()
    for side in (found.client, found.server):
        collectors = [log.collector for log in side.access_logs]
        collectors.append(side.tracing.collector if side.tracing else None)
        names.update(outbound_cluster(one) for one in collectors if one is not None)
    return sorted(names)


def observation(reader: Reader, proxy: Proxy) -> Observation:
    """What is told about a proxy."""
    if proxy.kind is ProxyKind.GATEWAY:
        return reader.telemetry(EDGE)
    return reader.telemetry(str(proxy.workload), namespace_key(proxy.namespace))


class _Chain:
    """One filter chain, on one side of a proxy."""

    def __init__(
        self, observed: Observed, side: Mode, proxy: Proxy, chain: listener_components_pb2.FilterChain
    ) -> None:
        self._observed, self._side, self._proxy, self._chain = observed, side, proxy, chain

    def observe(self) -> None:
        for filter_ in self._chain.filters:
            if filter_.name == MANAGER:
                manager = hcm.HttpConnectionManager()
                filter_.typed_config.Unpack(manager)
                self._http(manager)
                filter_.typed_config.CopyFrom(pack(manager))
            elif filter_.name == TCP_PROXY:
                proxy = tcp_proxy_pb2.TcpProxy()
                filter_.typed_config.Unpack(proxy)
                self._tcp(proxy)
                filter_.typed_config.CopyFrom(pack(proxy))

    def _http(self, manager: hcm.HttpConnectionManager) -> None:
        manager.access_log.extend(self._logs(tcp=False))
        # Only a peer whose certificate we checked may choose a label by the name that it asks for.
        manager.access_log.extend(
            http_metrics(self._observed.measures, self._side, trusted=self._has_mutual_tls())
        )
        if self._observed.tracing is not None:
            manager.tracing.CopyFrom(tracing(self._observed.tracing, self._proxy))

    def _tcp(self, proxy: tcp_proxy_pb2.TcpProxy) -> None:
        proxy.access_log.extend(self._logs(tcp=True))
        metrics = tcp_metrics(self._observed.measures, self._side, trusted=self._has_mutual_tls())
        if metrics:
            proxy.access_log.extend(metrics)
            proxy.access_log_options.flush_access_log_on_connected = True

    def _logs(self, *, tcp: bool) -> Iterable[accesslog_pb2.AccessLog]:
        return (access_log(log, tcp=tcp) for log in self._observed.access_logs)

    def _has_mutual_tls(self) -> bool:
        return self._side is Mode.SERVER and self._chain.HasField("transport_socket")
