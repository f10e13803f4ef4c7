"""Istio's standard metrics, counted by Envoy itself.

Upstream Envoy has no `istio.stats` filter. Its stats access logger counts with tags made of
the same operators as access logs; each further tag costs more than half a microsecond per
request. So all that varies goes into one tag, `FIELDS` joined by `SEPARATOR`, which
`telemetry` takes apart into Istio's labels when somebody scrapes. What does not vary (whose
proxy this is) is known there anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.stats.v3 import stats_pb2

from meshgate.model.telemetry import Measure, Metric, Mode
from meshgate.policies.packing import pack
from meshgate.translate.access_log import CONNECTED, END, at_moment

PREFIX = "istio"
TRAFFIC_TAG = "meshgate_of"
"""The one tag with everything that the standard labels are made of."""
REMOVED_TAG = "meshgate_without"
"""Labels that overrides take away, comma-separated."""
SEPARATOR = "~"
FIELDS = (
    "reporter",
    "grpc_status",
    "response_code",
    "response_flags",
    "cluster",
    "peer",
    "server_name",
    "peer_workload",
)
"""In this order; an empty field does not apply, `-` is Envoy's word for unknown."""
WORKLOAD_METADATA = "istio"
WORKLOAD_KEY = "workload"
"""Endpoint metadata, as in Istio: `<workload>;<namespace>;<canonical name>;<revision>;<cluster>`."""

_NO_SERVER_FLAGS = ("UH", "UF", "UO", "NR", "NC", "DF")
"""Ends of connections that never reached a server."""


def http_metrics(measures: Sequence[Measure], side: Mode, *, trusted: bool) -> list[accesslog_pb2.AccessLog]:
    """Counts requests; nothing where no metric is wanted."""
    config = stats_pb2.Config(stat_prefix=PREFIX)
    traffic = _traffic(side, trusted, http=True)
    for one in measures:
        match one.metric:
            case Metric.REQUEST_COUNT:
                config.counters.append(_counter(one, traffic))
            case Metric.REQUEST_DURATION:
                unit = stats_pb2.Config.Histogram.Milliseconds
                config.histograms.append(_histogram(one, traffic, unit, "%DURATION%"))
            case Metric.REQUEST_SIZE:
                unit = stats_pb2.Config.Histogram.Bytes
                config.histograms.append(_histogram(one, traffic, unit, "%BYTES_RECEIVED%"))
            case Metric.RESPONSE_SIZE:
                unit = stats_pb2.Config.Histogram.Bytes
                config.histograms.append(_histogram(one, traffic, unit, "%BYTES_SENT%"))
            case (
                Metric.TCP_OPENED_CONNECTIONS
                | Metric.TCP_CLOSED_CONNECTIONS
                | Metric.TCP_SENT_BYTES
                | Metric.TCP_RECEIVED_BYTES
            ):
                pass
            case _:
                assert_never(one.metric)
    return _loggers([(config, None)])


def tcp_metrics(measures: Sequence[Measure], side: Mode, *, trusted: bool) -> list[accesslog_pb2.AccessLog]:
    """Counts connections when they are made and when they end; bytes at the end."""
    opened, closed = stats_pb2.Config(stat_prefix=PREFIX), stats_pb2.Config(stat_prefix=PREFIX)
    traffic = _traffic(side, trusted, http=False)
    for one in measures:
        match one.metric:
            case Metric.TCP_OPENED_CONNECTIONS:
                opened.counters.append(_counter(one, traffic))
            case Metric.TCP_CLOSED_CONNECTIONS:
                closed.counters.append(_counter(one, traffic))
            case Metric.TCP_SENT_BYTES:
                closed.counters.append(_counter(one, traffic, "%BYTES_SENT%"))
            case Metric.TCP_RECEIVED_BYTES:
                closed.counters.append(_counter(one, traffic, "%BYTES_RECEIVED%"))
            case _:
                pass
    made, ended = at_moment(CONNECTED), at_moment(END)
    failed = accesslog_pb2.AccessLogFilter()
    failed.and_filter.filters.append(ended)
    failed.and_filter.filters.add().response_flag_filter.flags.extend(_NO_SERVER_FLAGS)
    # One that never reached a server was opened too, or more would be closed than opened.
    return _loggers([(opened, made), (opened, failed), (closed, ended)])


def _loggers(
    configs: Iterable[tuple[stats_pb2.Config, accesslog_pb2.AccessLogFilter | None]],
) -> list[accesslog_pb2.AccessLog]:
    found = []
    for config, filter_ in configs:
        if config.counters or config.histograms:
            logger = accesslog_pb2.AccessLog(name="envoy.access_loggers.stats", typed_config=pack(config))
            if filter_ is not None:
                logger.filter.CopyFrom(filter_)
            found.append(logger)
    return found


def _traffic(side: Mode, trusted: bool, *, http: bool) -> str:
    server = side is Mode.SERVER
    parts = {
        "reporter": "destination" if server else "source",
        "grpc_status": "%GRPC_STATUS_NUMBER%" if http else "",
        "response_code": "%RESPONSE_CODE%" if http else "",
        "response_flags": "%RESPONSE_FLAGS%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "peer": "%DOWNSTREAM_PEER_URI_SAN%" if server else "%UPSTREAM_PEER_URI_SAN%",
        "server_name": "%REQUESTED_SERVER_NAME%" if server and trusted else "",
        "peer_workload": "" if server else f"%METADATA(UPSTREAM_HOST:{WORKLOAD_METADATA}:{WORKLOAD_KEY})%",
    }
    return SEPARATOR.join(parts[name] for name in FIELDS)


def _stat(measure: Measure, traffic: str) -> stats_pb2.Config.Stat:
    found = stats_pb2.Config.Stat(name=measure.metric.value)
    found.tags.add(name=TRAFFIC_TAG, value_format=traffic)
    if measure.removed:
        found.tags.add(name=REMOVED_TAG, value_format=",".join(measure.removed))
    for label, expression in measure.added:
        found.tags.add(name=label, value_format=f"%CEL({expression})%")
    return found


def _counter(measure: Measure, traffic: str, value: str = "") -> stats_pb2.Config.Counter:
    found = stats_pb2.Config.Counter(stat=_stat(measure, traffic))
    if value:
        found.value_format = value
    else:
        found.value_fixed.value = 1
    return found


def _histogram(
    measure: Measure, traffic: str, unit: stats_pb2.Config.Histogram.Unit.ValueType, value: str
) -> stats_pb2.Config.Histogram:
    return stats_pb2.Config.Histogram(stat=_stat(measure, traffic), unit=unit, value_format=value)
