"""How names outside of the mesh are resolved."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2


def dns_cache() -> dns_cache_pb2.DnsCacheConfig:
    """The cache that the forward proxy's filter and its cluster share."""
    return dns_cache_pb2.DnsCacheConfig(name="outside", dns_lookup_family=cluster_pb2.Cluster.V4_PREFERRED)
