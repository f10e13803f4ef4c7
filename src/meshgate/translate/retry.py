"""Further attempts where one failed."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from meshgate.model.route import Retry
from meshgate.policies.packing import duration, pack, uint32


def retry_policy(target: pb.RouteAction, retry: Retry) -> None:
    """Lets the route try again; nothing where it shall not."""
    if retry.attempts <= 0:
        return
    policy = target.retry_policy
    policy.retry_on = ",".join(retry.conditions)
    policy.num_retries.CopyFrom(uint32(retry.attempts))
    policy.retriable_status_codes.extend(retry.status_codes)
    policy.host_selection_retry_max_attempts = 5
    policy.retry_back_off.base_interval.CopyFrom(duration(retry.backoff_ms))
    if retry.per_try_timeout_ms:
        policy.per_try_timeout.CopyFrom(duration(retry.per_try_timeout_ms))
    if retry.ignore_previous_hosts:
        predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.CopyFrom(pack(previous_hosts_pb2.PreviousHostsPredicate()))
    if retry.remote_localities:
        policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        # Every second try looks further, as in Istio 1.27.
        priorities = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2)
        policy.retry_priority.typed_config.CopyFrom(pack(priorities))
