"""Which other xDS resources a message names; what makes make-before-break possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any as Anything
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from meshgate.xds.types import CLUSTER, ENDPOINT, SECRET, Reference

# Messages are looked at by reflection, which protobuf's stubs type as Any.
_Reads = Callable[[Anything], Iterable[Reference]]


def _eds(cluster: Anything) -> Iterable[Reference]:
    source = cluster.eds_cluster_config
    if cluster.type == Cluster.EDS and source.eds_config.HasField("ads"):
        yield ENDPOINT, source.service_name or cluster.name


def _sds(secret: Anything) -> Iterable[Reference]:
    if secret.sds_config.HasField("ads"):
        yield SECRET, secret.name


def _cluster_in(field: str) -> _Reads:
    def read(message: Anything) -> Iterable[Reference]:
        if name := getattr(message, field):
            yield CLUSTER, name

    return read


_TCP: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_NAMING: Final[Mapping[str, _Reads]] = MappingProxyType(
    {
        "envoy.config.cluster.v3.Cluster": _eds,
        "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig": _sds,
        "envoy.config.route.v3.RouteAction": _cluster_in("cluster"),
        "envoy.config.route.v3.RouteAction.RequestMirrorPolicy": _cluster_in("cluster"),
        "envoy.config.route.v3.WeightedCluster.ClusterWeight": _cluster_in("name"),
        _TCP: _cluster_in("cluster"),
        f"{_TCP}.WeightedCluster.ClusterWeight": _cluster_in("name"),
        "envoy.config.core.v3.GrpcService.EnvoyGrpc": _cluster_in("cluster_name"),
        "envoy.config.core.v3.HttpUri": _cluster_in("cluster"),
    }
)


def references(message: Message) -> frozenset[Reference]:
    """Clusters, endpoint assignments and secrets (those that come over ADS) named anywhere in `message`.

    Looks into Any fields too; an Any whose type is not loaded in this process is passed over.
    """
    found: set[Reference] = set()
    stack: list[Message] = [message]
    while stack:
        current = stack.pop()
        if isinstance(current, Any):
            inner = _unpack(current)
            if inner is None:
                continue
            current = inner
        if reads := _NAMING.get(current.DESCRIPTOR.full_name):
            found.update(reads(current))
        stack.extend(_children(current))
    return frozenset(found)


def _children(message: Message) -> Iterable[Message]:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            yield value
        elif field.message_type.GetOptions().map_entry:
            yield from (value[key] for key in value if isinstance(value[key], Message))
        else:
            yield from value


def _unpack(packed: Any) -> Message | None:
    pool = packed.DESCRIPTOR.file.pool
    try:
        kind = pool.FindMessageTypeByName(packed.TypeName())
    except KeyError:
        return None
    inner: Message = GetMessageClass(kind)()
    try:
        inner.ParseFromString(packed.value)
    except DecodeError:
        return None
    return inner
