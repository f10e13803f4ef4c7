"""What balancing means for a destination: places with their priorities, and limits in words."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf.duration_pb2 import Duration

from meshgate.model.locality import Locality
from meshgate.simulate.verdict import Place
from meshgate.translate.cluster_policy import UNLIMITED

_LIMITS = (
    ("max_connections", "connections"),
    ("max_pending_requests", "waiting requests"),
    ("max_requests", "requests"),
    ("max_retries", "retries"),
)


def places(built: cluster_pb2.Cluster, assignment: endpoint_pb2.ClusterLoadAssignment) -> tuple[Place, ...]:
    """The groups of an assignment that are ordered or weighed by place; empty for others."""
    groups = [g for g in assignment.endpoints if g.HasField("load_balancing_weight")]
    weighed = built.common_lb_config.HasField("locality_weighted_lb_config")
    first = [g for g in groups if g.priority == 0]
    # Without weights of localities each endpoint counts by itself.
    total = sum(g.load_balancing_weight.value if weighed else len(g.lb_endpoints) for g in first) or 1
    found = []
    for group in groups:
        own = group.load_balancing_weight.value if weighed else len(group.lb_endpoints)
        place = Locality(group.locality.region, group.locality.zone, group.locality.sub_zone)
        found.append(
            Place(
                locality=str(place),
                priority=group.priority,
                weight=group.load_balancing_weight.value,
                percent=0 if group.priority else 100 * own / total,
                endpoints=len(group.lb_endpoints),
            )
        )
    return tuple(found)


def limits(built: cluster_pb2.Cluster) -> tuple[str, ...]:
    """What the cluster says about connections, retries, failing and new endpoints."""
    return (*_breakers(built), *_ejection(built), *_slow_start(built))


def _breakers(built: cluster_pb2.Cluster) -> Iterator[str]:
    for thresholds in built.circuit_breakers.thresholds:
        for field, what in _LIMITS:
            value = getattr(thresholds, field).value
            if thresholds.HasField(field) and value != UNLIMITED:
                yield f"at most {value} {what} at once from this proxy"
        if thresholds.HasField("retry_budget"):
            budget = thresholds.retry_budget
            share, least = budget.budget_percent.value, budget.min_retry_concurrency.value
            yield f"retries at most {share:g}% of the requests under way, {least} in any case"


def _ejection(built: cluster_pb2.Cluster) -> Iterator[str]:
    if not built.HasField("outlier_detection"):
        return
    rule = built.outlier_detection
    reasons = [
        f"{value} {what} in a row"
        for value, share, what in (
            (rule.consecutive_5xx.value or 5, _share(rule, "enforcing_consecutive_5xx", 100), "errors"),
            (
                rule.consecutive_gateway_failure.value or 5,
                _share(rule, "enforcing_consecutive_gateway_failure", 0),
                "gateway errors",
            ),
            (
                rule.consecutive_local_origin_failure.value or 5,
                _share(rule, "enforcing_consecutive_local_origin_failure", 100)
                if rule.split_external_local_origin_errors
                else 0,
                "failed connections",
            ),
        )
        if share
    ]
    most = rule.max_ejection_percent.value if rule.HasField("max_ejection_percent") else 10
    away = _seconds(rule.base_ejection_time) if rule.HasField("base_ejection_time") else 30.0
    if reasons:
        why = " or ".join(reasons)
        yield f"an endpoint is left alone for {away:g} s after {why}, at most {most}% of them"


def _slow_start(built: cluster_pb2.Cluster) -> Iterator[str]:
    for rule in (built.least_request_lb_config, built.round_robin_lb_config):
        if rule.HasField("slow_start_config"):
            window = _seconds(rule.slow_start_config.slow_start_window)
            yield f"a new endpoint gets its full share after {window:g} s"


def _share(rule: object, field: str, default: int) -> int:
    set_by_rule: bool = rule.HasField(field)  # type: ignore[attr-defined]
    return int(getattr(rule, field).value) if set_by_rule else default


def _seconds(duration: Duration) -> float:
    return duration.ToMilliseconds() / 1000
