"""What Envoy counted for Kong's `prometheus`, with Kong's names and labels (Kong 3.9)."""

from __future__ import annotations

from meshgate.policies.route_counts import EGRESS, FIELDS, INGRESS, PREFIX, REQUESTS, SEPARATOR, TAG
from meshgate.telemetry.exposition import Exposition, Labels, Sample

ENVOY_PREFIX = f"envoy_{PREFIX}_"
WORKSPACE = "default"
_PREFIX = "kong_"
_BANDWIDTH = "kong_bandwidth_bytes"
_DIRECTIONS = {INGRESS: "ingress", EGRESS: "egress"}
_HELP = {
    "kong_http_requests_total": "HTTP status codes per consumer/service/route in Kong.",
    _BANDWIDTH: "Bytes in and out of the gateway per service/route/consumer.",
    "kong_kong_latency_ms": "Time until the gateway asked the service, in milliseconds.",
    "kong_upstream_latency_ms": "Time until the service began to answer, in milliseconds.",
    "kong_request_latency_ms": "Whole time of a request, in milliseconds.",
}


def add_counted(family: str, kind: str, sample: Sample, found: Exposition) -> None:
    """Adds a sample of `envoy_kong_*`; one that is not of ours is passed over."""
    metric = family.removeprefix(ENVOY_PREFIX)
    fields = _fields(metric, dict(sample.labels).get(TAG, ""))
    if fields is None:
        return
    kept = tuple(pair for pair in sample.labels if pair[0] == "le")
    labels = (*_labels(metric, fields), *kept)
    if metric in _DIRECTIONS:
        found.add(kind, _BANDWIDTH, (Sample(_BANDWIDTH, labels, sample.value),), _HELP[_BANDWIDTH])
        return
    name = _PREFIX + metric
    shown = _PREFIX + sample.name.removeprefix(ENVOY_PREFIX)
    found.add(kind, name, (Sample(shown, labels, sample.value),), _HELP.get(name, ""))


def _fields(metric: str, text: str) -> dict[str, str] | None:
    names = FIELDS.get(metric)
    if names is None:
        return None
    parts = text.split(SEPARATOR, len(names) - 1)
    if len(parts) != len(names):
        return None
    return {name: "" if part == "-" else part for name, part in zip(names, parts, strict=True)}


def _labels(metric: str, fields: dict[str, str]) -> Labels:
    ends = (("service", fields["service"]), ("route", fields["route"]))
    workspace = ("workspace", WORKSPACE)
    if metric == REQUESTS:
        source = "service" if fields["proxied"] == "true" else "kong"
        consumer = ("consumer", fields["consumer"])
        return *ends, ("code", fields["code"]), ("source", source), workspace, consumer
    if metric in _DIRECTIONS:
        return *ends, ("direction", _DIRECTIONS[metric]), workspace, ("consumer", fields["consumer"])
    return *ends, workspace
