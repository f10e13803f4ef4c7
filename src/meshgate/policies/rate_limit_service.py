"""Kong's `rate-limiting` with `policy: redis`: exact counts, asked for at our service.

The service (`meshgate.ratelimit`) runs in a process of its own. Rules that tolerate
faults and rules that do not are asked for by two filters, because what happens when the
service itself is gone belongs to a filter, not to a rule.
"""

from __future__ import annotations

from envoy.config.core.v3 import config_source_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.http.ratelimit.v3 import rate_limit_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.v3 import http_status_pb2

from meshgate.model.policy import LimitBy, LimitStore, RateLimit
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.packing import duration, http_filter, uint32
from meshgate.policies.parts import RouteParts
from meshgate.policies.rate_limit_local import reply_metadata

CLUSTER = "meshgate_rate_limit"
"""The static cluster that leads to the service's Unix socket."""

DOMAIN = "meshgate"
TOLERANT_STAGE, STRICT_STAGE = 7, 8
DEADLINE_MARGIN_MS = 500
"""The service keeps each rule's Redis timeout by itself; Envoy waits this much longer."""


def listener_filters(policies: tuple[RateLimit, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filters that any rule in use needs."""
    shared = [p for p in policies if p.store is LimitStore.REDIS]
    filters = []
    longest = max((p.redis.timeout_ms for p in shared if p.redis), default=0)
    deadline_ms = longest + DEADLINE_MARGIN_MS
    if any(p.fault_tolerant for p in shared):
        filters.append(_filter("meshgate.rate_limit.tolerant", TOLERANT_STAGE, deadline_ms, deny=False))
    if any(not p.fault_tolerant for p in shared):
        filters.append(_filter("meshgate.rate_limit.strict", STRICT_STAGE, deadline_ms, deny=True))
    return tuple(filters)


def route_parts(policy: RateLimit) -> RouteParts:
    """One descriptor: the rule, and all that the service may need to tell who is limited."""
    if policy.store is not LimitStore.REDIS:
        return RouteParts()
    action = route_pb.RateLimit.Action
    actions = [action(generic_key=action.GenericKey(descriptor_key="rule", descriptor_value=policy.rule_id))]

    def from_header(name: str, key: str) -> None:
        actions.append(
            action(
                request_headers=action.RequestHeaders(
                    header_name=name, descriptor_key=key, skip_if_absent=True
                )
            )
        )

    if policy.consumer_limits or policy.limit_by in (LimitBy.CONSUMER, LimitBy.CREDENTIAL):
        from_header(CONSUMER_ID, "consumer")
    match policy.limit_by:
        case LimitBy.CONSUMER | LimitBy.CREDENTIAL:
            from_header(CREDENTIAL_ID, "credential")
        case LimitBy.HEADER:
            from_header(policy.header_name, "header")
        case LimitBy.PATH:
            from_header(":path", "path")
        case LimitBy.IP | LimitBy.SERVICE:
            pass
    actions.append(action(remote_address=action.RemoteAddress()))
    stage = TOLERANT_STAGE if policy.fault_tolerant else STRICT_STAGE
    return RouteParts(
        rate_limits=(route_pb.RateLimit(stage=uint32(stage), actions=actions),),
        metadata=reply_metadata(policy),
    )


def _filter(name: str, stage: int, deadline_ms: int, *, deny: bool) -> hcm.HttpFilter:
    config = pb.RateLimit(
        domain=DOMAIN,
        stage=stage,
        timeout=duration(deadline_ms),
        failure_mode_deny=deny,
        disable_x_envoy_ratelimited_header=True,
        status_on_error=http_status_pb2.HttpStatus(code=http_status_pb2.InternalServerError),
        stat_prefix=name.rsplit(".", 1)[1],
    )
    config.rate_limit_service.transport_api_version = config_source_pb2.V3
    config.rate_limit_service.grpc_service.envoy_grpc.cluster_name = CLUSTER
    return http_filter(name, config)
