"""Kong's `proxy-cache`: Envoy shows request and answer to a process of ours (`ext_proc`) that keeps answers.

Where it is away or too slow, requests pass as if there were no cache.
"""

from __future__ import annotations

import hashlib

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.ext_proc.v3 import ext_proc_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2

from meshgate.core.typed_json import dump
from meshgate.model.policies.cached import ProxyCache
from meshgate.model.policy import Policy
from meshgate.policies.packing import duration, http_filter, pack
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import said_by_itself

CLUSTER = "meshgate_cache"
"""The static cluster that leads to the cache's Unix socket: a bridge that has nothing else to do."""
FILTER = "meshgate.proxy_cache"
RULE = "x-meshgate-cache"
"""Key of the metadata of Envoy's call that names the route's policy."""
DETAILS = "meshgate_cache"
"""Envoy's reason for an answer that comes from the cache, in access logs too."""
METADATA = "cache"
"""Key of a route's metadata: answers from the cache are given as they are."""
PATIENCE_MS = 1000
"""How long a request waits for the cache before it passes without it."""


def rule_id(policy: ProxyCache) -> str:
    """Stands for the policy; equal for equal ones of one route."""
    return hashlib.sha256(dump(policy).encode()).hexdigest()[:20]


def rules(policies: tuple[Policy, ...]) -> dict[str, ProxyCache]:
    """What the bridge must know of a route."""
    return {rule_id(p): p for p in policies if isinstance(p, ProxyCache)}


def listener_filters(policies: tuple[ProxyCache, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, off until a route switches it on; none where no route needs it."""
    if not policies:
        return ()
    config = pb.ExternalProcessor(
        failure_mode_allow=True,
        # Bodies are looked at where the head says that it is worth it.
        allow_mode_override=True,
        message_timeout=duration(PATIENCE_MS),
        stat_prefix="cache",
    )
    config.grpc_service.envoy_grpc.cluster_name = CLUSTER
    config.processing_mode.request_header_mode = config.processing_mode.SEND
    config.processing_mode.response_header_mode = config.processing_mode.SEND
    return (http_filter(FILTER, config, disabled=True),)


def route_parts(policy: ProxyCache) -> RouteParts:
    """Switches the filter on, with the policy's id."""
    per_route = pb.ExtProcPerRoute()
    per_route.overrides.grpc_initial_metadata.append(base_pb2.HeaderValue(key=RULE, value=rule_id(policy)))
    return RouteParts(filters={FILTER: pack(per_route)}, metadata={METADATA: "on"})


def idle_parts() -> any_pb2.Any:
    """Switches the filter on without anything to do."""
    return pack(pb.ExtProcPerRoute(disabled=True))


def replies(policies: tuple[ProxyCache, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Answers from the cache as they are."""
    return (said_by_itself(DETAILS, METADATA),) if policies else ()
