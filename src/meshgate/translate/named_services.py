"""AUTO_PASSTHROUGH: connections to the service that their server name says, mTLS kept whole.

The name has Istio's form `outbound_.80_.v1_.api.shop.svc.cluster.local`, which a sidecar sends
with its mTLS; Envoy's `sni_cluster` takes it as the name of a cluster. Only names of that form
pass: any other would be a cluster of the gateway's own, with the gateway's identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2 as pb
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb
from envoy.extensions.filters.network.sni_cluster.v3 import sni_cluster_pb2

from meshgate.model.gateway import EdgeServer
from meshgate.model.reader import Reader
from meshgate.model.service import AppProtocol
from meshgate.policies.authorization import NETWORK_FILTER
from meshgate.policies.packing import pack
from meshgate.translate.http import tcp_chain
from meshgate.translate.names import BLACK_HOLE_CLUSTER

_NAME = re.compile(r"outbound_\.([0-9]{1,5})_\.([A-Za-z0-9.-]*)_\.([A-Za-z0-9.-]+)")
_FORM = r"outbound_\.[0-9]{1,5}_\.[A-Za-z0-9.-]*_\.[A-Za-z0-9.-]+"


def filters(stat_prefix: str) -> tuple[listener_components_pb2.Filter, ...]:
    """The filters that carry a connection to the service of its server name."""
    rules = pb.RBAC(action=pb.RBAC.ALLOW)
    permission = pb.Permission()
    permission.requested_server_name.safe_regex.regex = _FORM
    rules.policies["named-services"].CopyFrom(
        pb.Policy(permissions=[permission], principals=[pb.Principal(any=True)])
    )
    guard = network_pb.RBAC(rules=rules, stat_prefix="named_services.")
    return (
        listener_components_pb2.Filter(name=NETWORK_FILTER, typed_config=pack(guard)),
        listener_components_pb2.Filter(
            name="envoy.filters.network.sni_cluster", typed_config=pack(sni_cluster_pb2.SniCluster())
        ),
        tcp_chain(BLACK_HOLE_CLUSTER, stat_prefix),
    )


def cluster_names(reader: Reader) -> Iterator[str]:
    """The clusters to which the gateway's servers may carry connections."""
    servers = [s for s in reader.all_edge_servers().values() if s.to_named_service]
    if not servers:
        return
    for host, service in reader.all_services().items():
        if not any(_fits(host, server) for server in servers) or service.external_name:
            continue
        subsets = {s.name for rules in reader.destinations(host) for s in rules.subsets}
        for port in service.ports:
            if port.protocol is not AppProtocol.UDP:
                yield from (f"outbound_.{port.number}_.{subset}_.{host}" for subset in ("", *sorted(subsets)))


def usual_name(name: str) -> str | None:
    """`outbound|80|v1|host` for `outbound_.80_.v1_.host`; None for any other name."""
    found = _NAME.fullmatch(name)
    return f"outbound|{found[1]}|{found[2]}|{found[3]}" if found else None


def carrying(cluster: cluster_pb2.Cluster, name: str) -> cluster_pb2.Cluster:
    """The cluster with the endpoints of the usual one, and bytes left as they are."""
    cluster.name = name
    del cluster.transport_socket_matches[:]
    cluster.ClearField("transport_socket")
    cluster.typed_extension_protocol_options.clear()
    return cluster


def _fits(host: str, server: EdgeServer) -> bool:
    some = f"outbound_.0_._.{host}"
    return not server.sni or any(
        some.endswith(name[1:]) if name.startswith("*") else name.endswith(f"_.{host}") for name in server.sni
    )
