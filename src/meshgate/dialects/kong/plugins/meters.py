"""Kong's `statsd` and `datadog`: numbers about each request for a server (schemas of Kong 3.9.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.kong.plugins.line_logs import Host, Port
from meshgate.dialects.kong.plugins.queue import OldQueueConfig, lower_old_queue
from meshgate.dialects.schema import Items, fault
from meshgate.model.policies.meters import Datadog, Meter, Statsd

_PLAIN = re.compile(r"[^\s:|@#,\[\]=]*")
_RANGE = re.compile(r"([0-9]{3})-([0-9]{3})")
_NEED_RATE = ("counter", "gauge")

StatName = Literal[
    "kong_latency", "latency", "request_count", "request_size", "response_size", "upstream_latency"
]
OwnName = Literal[
    "request_per_user",
    "status_count",
    "status_count_per_user",
    "status_count_per_user_per_route",
    "status_count_per_workspace",
    "unique_users",
    "shdict_usage",
]
StatType = Literal["counter", "gauge", "histogram", "meter", "set", "timer"]
ConsumerIdentifier = Literal["consumer_id", "custom_id", "username"]
ServiceIdentifier = Literal["service_id", "service_name", "service_host", "service_name_or_host"]
WorkspaceIdentifier = Literal["workspace_id", "workspace_name"]
SampleRate = Annotated[float, Field(gt=0, le=1)]


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text) or not text.isprintable():
        raise fault("MG2103", "must not hold spaces, nor any of : | @ # , [ ] =")
    return text


def _tag(text: str) -> str:
    if not text or text.endswith(":") or not text.isprintable() or {",", "|", "#"} & set(text):
        raise fault("MG2103", "must be a tag: it ends in no colon and holds none of , | #")
    return text


def _range(text: str) -> str:
    if not _RANGE.fullmatch(text):
        raise fault("MG2103", "must be a range of statuses like 200-299")
    return text


Plain = Annotated[str, AfterValidator(_plain)]


class StatsdMetric(Config):
    """One entry of `statsd`'s `metrics`."""

    name: StatName | OwnName
    stat_type: StatType
    sample_rate: SampleRate | None = None
    consumer_identifier: ConsumerIdentifier | None = None
    service_identifier: ServiceIdentifier | None = None
    workspace_identifier: WorkspaceIdentifier | None = None


class DatadogMetric(Config):
    """One entry of `datadog`'s `metrics`."""

    name: StatName
    stat_type: StatType | Literal["distribution"]
    sample_rate: SampleRate | None = None
    consumer_identifier: ConsumerIdentifier | None = None
    tags: Items[Annotated[str, AfterValidator(_tag)]] = ()


class StatsdConfig(OldQueueConfig):
    """Every field of `statsd`."""

    host: Host = "localhost"
    port: Port = 8125
    prefix: Plain = "kong"
    metrics: Items[StatsdMetric] | None = None
    allow_status_codes: Items[Annotated[str, AfterValidator(_range)]] | None = None
    udp_packet_size: Annotated[int, Field(ge=0, le=65507)] = 0
    use_tcp: bool = False
    hostname_in_prefix: bool = False
    consumer_identifier_default: ConsumerIdentifier = "custom_id"
    service_identifier_default: ServiceIdentifier = "service_name_or_host"
    workspace_identifier_default: WorkspaceIdentifier = "workspace_id"
    tag_style: Literal["dogstatsd", "influxdb", "librato", "signalfx"] | None = None


class DatadogConfig(OldQueueConfig):
    """Every field of `datadog`."""

    host: Host = "localhost"
    port: Port = 8125
    prefix: Plain = "kong"
    service_name_tag: Plain = "name"
    status_tag: Plain = "status"
    consumer_tag: Plain = "consumer"
    metrics: Items[DatadogMetric] | None = None


_COUNTED = (
    "request_count",
    "request_size",
    "status_count",
    "response_size",
    "request_per_user",
    "status_count_per_user",
    "status_count_per_workspace",
    "status_count_per_user_per_route",
)
_TIMED = ("latency", "upstream_latency", "kong_latency")
_STATSD_DEFAULT = (
    *(Meter(name=name, stat_type="counter", sample_rate=1) for name in _COUNTED),
    *(Meter(name=name, stat_type="timer") for name in _TIMED),
    Meter(name="unique_users", stat_type="set"),
)
_OF_DATADOG = Meter(name="", stat_type="timer", consumer_identifier="custom_id", tags=("app:kong",))
_DATADOG_DEFAULT = (
    replace(_OF_DATADOG, name="request_count", stat_type="counter", sample_rate=1),
    *(replace(_OF_DATADOG, name=name) for name in (*_TIMED, "request_size", "response_size")),
)


def lower_statsd(config: StatsdConfig, report: Report) -> Statsd:
    """The policy; `shdict_usage` is about memory that only Kong has."""
    meters = _STATSD_DEFAULT
    if config.metrics is not None:
        _check_rates(config.metrics, report)
        for i, metric in enumerate(config.metrics):
            if metric.name == "shdict_usage":
                report.warn("MG1103", ("metrics", i, "name"), "there is no such memory; it is not sent")
        meters = tuple(_meter(m) for m in config.metrics if m.name != "shdict_usage")
    codes = config.allow_status_codes
    return Statsd(
        host=config.host,
        port=config.port,
        prefix=config.prefix,
        meters=meters,
        allow_status_codes=None if codes is None else tuple((int(c[:3]), int(c[4:])) for c in codes),
        udp_packet_size=config.udp_packet_size,
        use_tcp=config.use_tcp,
        hostname_in_prefix=config.hostname_in_prefix,
        consumer_identifier=config.consumer_identifier_default,
        service_identifier=config.service_identifier_default,
        workspace_identifier=config.workspace_identifier_default,
        tag_style=config.tag_style or "",
        queue=lower_old_queue(config, report),
        origin=report.origin(),
    )


def lower_datadog(config: DatadogConfig, report: Report) -> Datadog:
    """The policy."""
    meters = _DATADOG_DEFAULT
    if config.metrics is not None:
        _check_rates(config.metrics, report)
        meters = tuple(replace(_meter(m), tags=m.tags) for m in config.metrics)
    return Datadog(
        host=config.host,
        port=config.port,
        prefix=config.prefix,
        meters=meters,
        service_name_tag=config.service_name_tag,
        status_tag=config.status_tag,
        consumer_tag=config.consumer_tag,
        queue=lower_old_queue(config, report),
        origin=report.origin(),
    )


def _meter(metric: StatsdMetric | DatadogMetric) -> Meter:
    of_statsd = metric if isinstance(metric, StatsdMetric) else None
    return Meter(
        name=metric.name,
        stat_type=metric.stat_type,
        sample_rate=metric.sample_rate,
        consumer_identifier=metric.consumer_identifier or "",
        service_identifier=(of_statsd.service_identifier if of_statsd else None) or "",
        workspace_identifier=(of_statsd.workspace_identifier if of_statsd else None) or "",
    )


def _check_rates(metrics: Sequence[StatsdMetric | DatadogMetric], report: Report) -> None:
    for i, metric in enumerate(metrics):
        if metric.stat_type in _NEED_RATE and metric.sample_rate is None:
            report.error("MG2103", ("metrics", i, "sample_rate"), f"is required for a {metric.stat_type}")
