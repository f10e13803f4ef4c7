"""Kong's `prometheus`, counted by Envoy itself with its stats access logger.

Each further tag costs, so all that varies goes into one (as of Istio's metrics, see
`translate.metrics`): `telemetry` takes it apart into Kong's labels when somebody asks. What is
counted of a route is said by keys of its metadata, each of which a logger looks for.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.stats.v3 import stats_pb2

from meshgate.model.policy import Policy, Prometheus
from meshgate.model.route import Rule
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.packing import pack
from meshgate.policies.parts import METADATA_NAMESPACE, RouteParts
from meshgate.policies.route_logs import of_routes_with

PREFIX = "kong"
TAG = "meshgate_of"
SEPARATOR = "~"
REQUESTS, KONG_LATENCY, UPSTREAM_LATENCY, REQUEST_LATENCY = (
    "http_requests_total",
    "kong_latency_ms",
    "upstream_latency_ms",
    "request_latency_ms",
)
INGRESS, EGRESS = "ingress_bytes", "egress_bytes"
FIELDS = {
    REQUESTS: ("service", "route", "code", "proxied", "consumer"),
    INGRESS: ("service", "route", "consumer"),
    EGRESS: ("service", "route", "consumer"),
    KONG_LATENCY: ("service", "route"),
    UPSTREAM_LATENCY: ("service", "route"),
    REQUEST_LATENCY: ("service", "route"),
}
"""Metric -> what its tag holds, joined by `SEPARATOR`; the last may hold separators of its own."""
BUCKETS = {
    KONG_LATENCY: (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000),
    UPSTREAM_LATENCY: (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10_000, 30_000, 60_000),
    REQUEST_LATENCY: (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10_000, 30_000, 60_000),
}
"""Kong's, in milliseconds."""

_NAMES = "counted"
"""Key of a route's metadata: the names of its service and of itself."""
_BY_CONSUMER = "_by_consumer"
_STATUS, _BANDWIDTH, _LATENCY = "count_status", "count_bandwidth", "count_latency"
_PROXIED = "response.code_details == 'via_upstream'"
_VALUES = {"code": "%RESPONSE_CODE%", "proxied": f"%CEL({_PROXIED})%"}
_KONG_MS = "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:ms)%"
_UPSTREAM_MS = "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:ms)%"

_Config = stats_pb2.Config


def route_parts(rule: Rule, policies: tuple[Policy, ...]) -> RouteParts:
    """What is counted of a rule's routes with these policies."""
    keys = [key for policy in policies for key in _keys(policy)]
    if not keys:
        return RouteParts()
    names = SEPARATOR.join((rule.service_label, rule.route_label or rule.name))
    return RouteParts(metadata={_NAMES: names, **dict.fromkeys(keys, "1")})


def access_logs(edge: EdgePolicies) -> tuple[accesslog_pb2.AccessLog, ...]:
    """The loggers that count; none where nothing is counted."""
    keys = sorted({key for policy in edge.policies for key in _keys(policy)})
    return tuple(logger for key in keys for logger in _loggers(key))


def _keys(policy: Policy) -> Iterator[str]:
    if not isinstance(policy, Prometheus):
        return
    suffix = _BY_CONSUMER if policy.per_consumer else ""
    if policy.status_codes:
        yield _STATUS + suffix
    if policy.bandwidth:
        yield _BANDWIDTH + suffix
    if policy.latencies:
        yield _LATENCY


def _loggers(key: str) -> Iterator[accesslog_pb2.AccessLog]:
    consumer = "%REQ(X-CONSUMER-USERNAME)%" if key.endswith(_BY_CONSUMER) else ""
    match key.removesuffix(_BY_CONSUMER):
        case "count_status":
            counter = _Config.Counter(stat=_stat(REQUESTS, consumer))
            counter.value_fixed.value = 1
            yield _logger(key, _Config(counters=[counter]))
        case "count_bandwidth":
            sizes = ((INGRESS, "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"), (EGRESS, "%DOWNSTREAM_WIRE_BYTES_SENT%"))
            counters = [_Config.Counter(stat=_stat(n, consumer), value_format=v) for n, v in sizes]
            yield _logger(key, _Config(counters=counters))
        case _:
            # Envoy complains of each value that is none: those of the service only where it answered.
            yield _logger(key, _times((REQUEST_LATENCY, "%DURATION%")))
            yield _logger(key, _times((KONG_LATENCY, _KONG_MS), (UPSTREAM_LATENCY, _UPSTREAM_MS)), _PROXIED)
            yield _logger(key, _times((KONG_LATENCY, "%DURATION%")), f"!({_PROXIED})")


def _logger(key: str, config: stats_pb2.Config, condition: str = "") -> accesslog_pb2.AccessLog:
    config.stat_prefix = PREFIX
    found = accesslog_pb2.AccessLog(name="envoy.access_loggers.stats", typed_config=pack(config))
    found.filter.CopyFrom(of_routes_with(key, condition))
    return found


def _times(*named: tuple[str, str]) -> stats_pb2.Config:
    found = _Config()
    for name, value in named:
        unit = _Config.Histogram.Milliseconds
        found.histograms.append(_Config.Histogram(stat=_stat(name), unit=unit, value_format=value))
    return found


def _stat(name: str, consumer: str = "") -> stats_pb2.Config.Stat:
    values = {**_VALUES, "consumer": consumer}
    names = f"%METADATA(ROUTE:{METADATA_NAMESPACE}:{_NAMES})%"
    # The service and the route are one text already.
    text = SEPARATOR.join((names, *(values[field] for field in FIELDS[name][2:])))
    found = stats_pb2.Config.Stat(name=name)
    found.tags.add(name=TAG, value_format=text)
    return found
