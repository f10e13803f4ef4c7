"""What a DestinationRule's traffic policy makes of a cluster: balancing, pools, outliers."""

from __future__ import annotations

from typing import assert_never

from envoy.config.cluster.v3 import cluster_pb2, outlier_detection_pb2

from meshgate.model.destination import (
    Balance,
    ConnectionPool,
    ConsistentHash,
    Outliers,
    RetryBudget,
    TrafficPolicy,
    Warmup,
)
from meshgate.model.mesh_config import LocalitySetting
from meshgate.policies.packing import duration, uint32

_AGGRESSION_KEY = "meshgate.slow_start.aggression"
"""Envoy wants a key by which its runtime could say otherwise; nothing sets it."""
UNLIMITED = 2**32 - 1
"""Istio sets every circuit breaker that a rule leaves open to this."""


def balance(cluster: cluster_pb2.Cluster, policy: TrafficPolicy, *, redirected: bool) -> None:
    """Chooses how requests are spread; LEAST_REQUEST where nothing is said, as in Istio.

    PASSTHROUGH needs the address that the application asked for, which only a redirected
    connection has; elsewhere it becomes ROUND_ROBIN.
    """
    cluster.common_lb_config.healthy_panic_threshold.value = 0
    if policy.hash is not None:
        _consistent_hash(cluster, policy.hash)
        return
    if policy.least_healthy_percent:
        cluster.common_lb_config.healthy_panic_threshold.value = policy.least_healthy_percent
        cluster.common_lb_config.zone_aware_lb_config.fail_traffic_on_panic = True
    simple = policy.balancer.simple if policy.balancer else None
    match simple:
        case None | Balance.LEAST_REQUEST:
            cluster.lb_policy = cluster_pb2.Cluster.LEAST_REQUEST
            if policy.warmup:
                _slow_start(cluster.least_request_lb_config.slow_start_config, policy.warmup)
        case Balance.ROUND_ROBIN:
            cluster.lb_policy = cluster_pb2.Cluster.ROUND_ROBIN
            if policy.warmup:
                _slow_start(cluster.round_robin_lb_config.slow_start_config, policy.warmup)
        case Balance.RANDOM:
            cluster.lb_policy = cluster_pb2.Cluster.RANDOM
        case Balance.PASSTHROUGH if not redirected:
            cluster.lb_policy = cluster_pb2.Cluster.ROUND_ROBIN
        case Balance.PASSTHROUGH:
            cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
            cluster.type = cluster_pb2.Cluster.ORIGINAL_DST
            cluster.ClearField("eds_cluster_config")
        case _:
            assert_never(simple)


def _consistent_hash(cluster: cluster_pb2.Cluster, rule: ConsistentHash) -> None:
    if rule.maglev_table_size:
        cluster.lb_policy = cluster_pb2.Cluster.MAGLEV
        cluster.maglev_lb_config.table_size.value = rule.maglev_table_size
    else:
        cluster.lb_policy = cluster_pb2.Cluster.RING_HASH
        cluster.ring_hash_lb_config.minimum_ring_size.value = rule.minimum_ring_size


def _slow_start(found: cluster_pb2.Cluster.SlowStartConfig, warmup: Warmup) -> None:
    found.slow_start_window.CopyFrom(duration(warmup.duration_ms))
    if warmup.minimum_percent is not None:
        found.min_weight_percent.value = warmup.minimum_percent
    if warmup.aggression is not None:
        found.aggression.default_value = warmup.aggression
        found.aggression.runtime_key = _AGGRESSION_KEY


def weigh_localities(cluster: cluster_pb2.Cluster, setting: LocalitySetting) -> None:
    """Lets the weights of localities count where a rule shares out by them (Istio 1.27)."""
    if setting.distribute or setting.failover or setting.failover_priority:
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()


def pool_limits(
    cluster: cluster_pb2.Cluster, pool: ConnectionPool | None, budget: RetryBudget | None = None
) -> None:
    """Sets circuit breakers and timeouts of connections."""
    rule = pool or ConnectionPool()
    thresholds = cluster.circuit_breakers.thresholds.add(track_remaining=True)
    for field, value in (
        ("max_connections", rule.max_connections),
        ("max_pending_requests", rule.http1_max_pending_requests),
        ("max_requests", rule.http2_max_requests),
        ("max_retries", rule.max_retries),
    ):
        getattr(thresholds, field).value = UNLIMITED if value is None else value
    if budget is not None:
        thresholds.retry_budget.budget_percent.value = budget.percent
        thresholds.retry_budget.min_retry_concurrency.value = budget.min_concurrency
    if rule.connect_timeout_ms is not None:
        cluster.connect_timeout.CopyFrom(duration(rule.connect_timeout_ms))
    if rule.tcp_keepalive is not None:
        keepalive = cluster.upstream_connection_options.tcp_keepalive
        keepalive.SetInParent()
        for field, value in zip(
            ("keepalive_probes", "keepalive_time", "keepalive_interval"), rule.tcp_keepalive, strict=True
        ):
            if value is not None:
                getattr(keepalive, field).value = value


def outliers(cluster: cluster_pb2.Cluster, rule: Outliers) -> None:
    """Istio's reading: only what a rule names is enforced; 5xx counting is on by default."""
    found = outlier_detection_pb2.OutlierDetection(
        enforcing_success_rate=uint32(0),
        enforcing_failure_percentage=uint32(0),
        split_external_local_origin_errors=rule.split_external_local_origin_errors,
    )

    def counted(field: str, value: int | None, enforcing: str) -> None:
        if value is None:
            return
        if value:
            getattr(found, field).value = value
        getattr(found, enforcing).value = 100 if value else 0

    counted("consecutive_5xx", rule.consecutive_5xx, "enforcing_consecutive_5xx")
    counted(
        "consecutive_gateway_failure",
        rule.consecutive_gateway_errors,
        "enforcing_consecutive_gateway_failure",
    )
    counted(
        "consecutive_local_origin_failure",
        rule.consecutive_local_origin_failures,
        "enforcing_consecutive_local_origin_failure",
    )
    if rule.split_external_local_origin_errors:
        found.enforcing_local_origin_success_rate.CopyFrom(uint32(0))
    if rule.interval_ms is not None:
        found.interval.CopyFrom(duration(rule.interval_ms))
    if rule.base_ejection_ms is not None:
        found.base_ejection_time.CopyFrom(duration(rule.base_ejection_ms))
    if rule.max_ejection_percent is not None:
        found.max_ejection_percent.CopyFrom(uint32(rule.max_ejection_percent))
    if rule.min_health_percent is not None:
        cluster.common_lb_config.healthy_panic_threshold.value = rule.min_health_percent
    # Envoy (1.40) would tell its workers of a second ejection a second late, to merge updates.
    cluster.common_lb_config.update_merge_window.SetInParent()
    cluster.outlier_detection.CopyFrom(found)
