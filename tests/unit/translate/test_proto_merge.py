"""A patch is merged as Istio merges it."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.buffer.v3 import buffer_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.policies.packing import duration, http_filter, pack, uint32
from meshgate.translate.proto_merge import merge


def _chain(manager: hcm.HttpConnectionManager) -> listener_components_pb2.Filter:
    return listener_components_pb2.Filter(name="x", typed_config=pack(manager))


def _manager(found: listener_components_pb2.Filter) -> hcm.HttpConnectionManager:
    manager = hcm.HttpConnectionManager()
    assert found.typed_config.Unpack(manager)
    return manager


def test_durations_are_replaced_as_a_whole() -> None:
    cluster = cluster_pb2.Cluster(name="x", connect_timeout=duration(10_500))
    merge(cluster, cluster_pb2.Cluster(connect_timeout=duration(3_000)))
    assert cluster.connect_timeout == duration(3_000)
    assert cluster.name == "x"


def test_anys_of_one_type_are_merged_in_depth() -> None:
    found = _chain(hcm.HttpConnectionManager(stat_prefix="old", xff_num_trusted_hops=2))
    patch = hcm.HttpConnectionManager(stat_prefix="new")
    patch.common_http_protocol_options.idle_timeout.CopyFrom(duration(1_000))
    merge(found, _chain(patch))
    manager = _manager(found)
    assert (manager.stat_prefix, manager.xff_num_trusted_hops) == ("new", 2)
    assert manager.common_http_protocol_options.idle_timeout == duration(1_000)


def test_an_any_of_another_type_replaces() -> None:
    found = _chain(hcm.HttpConnectionManager(stat_prefix="old"))
    other = pack(buffer_pb2.Buffer(max_request_bytes=uint32(7)))
    merge(found, listener_components_pb2.Filter(typed_config=other))
    assert found.typed_config == other


def test_lists_are_added_to_unless_they_are_to_be_replaced() -> None:
    one, two = (http_filter(name, buffer_pb2.Buffer()) for name in ("one", "two"))
    for replace_lists, names in ((False, ["one", "two"]), (True, ["two"])):
        manager = hcm.HttpConnectionManager(http_filters=[one])
        merge(manager, hcm.HttpConnectionManager(http_filters=[two]), replace_lists=replace_lists)
        assert [f.name for f in manager.http_filters] == names


def test_maps_are_merged_by_key_and_the_messages_in_them_too() -> None:
    host = route_components_pb2.VirtualHost(name="x")
    for key, size in (("same", 1), ("left", 2)):
        host.typed_per_filter_config[key].CopyFrom(pack(buffer_pb2.Buffer(max_request_bytes=uint32(size))))
    patch = route_components_pb2.VirtualHost()
    for key, size in (("same", 3), ("right", 4)):
        patch.typed_per_filter_config[key].CopyFrom(pack(buffer_pb2.Buffer(max_request_bytes=uint32(size))))
    merge(host, patch)
    sizes = {}
    for key, packed in host.typed_per_filter_config.items():
        buffer = buffer_pb2.Buffer()
        packed.Unpack(buffer)
        sizes[key] = buffer.max_request_bytes.value
    assert sizes == {"same": 3, "left": 2, "right": 4}
