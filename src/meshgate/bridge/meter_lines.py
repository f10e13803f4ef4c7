"""Numbers about a request as lines of the statsd protocol, as Kong's plugins write them (Kong 3.9)."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence

from meshgate.bridge.log_entry import Values
from meshgate.model.policies.meters import Datadog, Meter, Statsd

_TYPES = {
    "gauge": "g",
    "counter": "c",
    "timer": "ms",
    "histogram": "h",
    "meter": "m",
    "set": "s",
    "distribution": "d",
}
_STATS = {
    "request_size": "request.size",
    "response_size": "response.size",
    "latency": "latency",
    "upstream_latency": "upstream_latency",
    "kong_latency": "kong_latency",
    "request_count": "request.count",
}
_HIDDEN = str.maketrans(dict.fromkeys("\n\r:|@#,[]= ", "_"))
"""What has a meaning in a line, or ends it: names that users give must not."""


def statsd_lines(policy: Statsd, entry: Values) -> list[bytes]:
    """The lines of one request; none where its status is not told of."""
    status = _at(entry, "response", "status")
    assert isinstance(status, int)
    ranges = policy.allow_status_codes
    if ranges is not None and not any(low <= status <= high for low, high in ranges):
        return []
    prefix = policy.prefix
    node = socket.gethostname().replace(".", "_")
    if policy.hostname_in_prefix and not policy.tag_style:
        prefix = f"{prefix}.node.{node}"
    found = _tagged(policy, entry, node) if policy.tag_style else _named(policy, entry)
    return [f"{prefix}.{line}".encode() for line in found]


def datadog_lines(policy: Datadog, entry: Values) -> list[bytes]:
    """The lines of one request."""
    found: list[bytes] = []
    service = _plain(_text(entry, "service", "name")).replace(".", "_")
    for meter in policy.meters:
        value = _value(meter.name, entry)
        tags = [f"{policy.service_name_tag}:{service}"]
        tags.append(f"{policy.status_tag}:{_at(entry, 'response', 'status')}")
        consumer = _consumer(entry, meter.consumer_identifier)
        if meter.consumer_identifier == "consumer_id":
            consumer = consumer.replace("-", "_")
        if consumer:
            tags.append(f"{policy.consumer_tag}:{consumer}")
        tags.extend(meter.tags)
        line = _line(_STATS[meter.name], value, meter)
        found.append(f"{policy.prefix}.{line}|#{','.join(tags)}".encode())
    return found


def _named(policy: Statsd, entry: Values) -> Iterator[str]:
    status = _at(entry, "response", "status")
    for meter in policy.meters:
        scope = "global.unmatched"
        if "service" in entry:
            service = _service(entry, meter.service_identifier or policy.service_identifier)
            scope = f"service.{service.replace('.', '_') or 'unnamed'}"
        consumer = _consumer(entry, meter.consumer_identifier or policy.consumer_identifier)
        match meter.name:
            case "unique_users":
                if consumer:
                    yield f"{scope}.user.uniques:{consumer}|s"
            case "request_per_user":
                if consumer:
                    yield _counted(f"{scope}.user.{consumer}.request.count", meter)
            case "status_count":
                yield _counted(f"{scope}.status.{status}", meter)
            case "status_count_per_user":
                if consumer:
                    yield _counted(f"{scope}.user.{consumer}.status.{status}", meter)
            case "status_count_per_workspace":
                key = meter.workspace_identifier or policy.workspace_identifier
                yield _counted(f"{scope}.workspace.{_workspace(entry, key)}.status.{status}", meter)
            case "status_count_per_user_per_route":
                if consumer:
                    route = _text(entry, "route", "id")
                    yield _counted(f"route.{route}.user.{consumer}.status.{status}", meter)
            case _:
                value = _value(meter.name, entry)
                if value != -1:
                    yield _line(f"{scope}.{_STATS[meter.name]}", value, meter)


def _tagged(policy: Statsd, entry: Values, node: str) -> Iterator[str]:
    """In tag mode there are only the numbers that are not about users, as in Kong."""
    for meter in policy.meters:
        value = _value(meter.name, entry) if meter.name in _STATS else -1
        if value == -1:
            continue
        tags = {
            "service": _service(entry, meter.service_identifier or policy.service_identifier),
            "route": _plain(_text(entry, "route", "name")),
            "workspace": _workspace(entry, meter.workspace_identifier or policy.workspace_identifier),
            "consumer": _consumer(entry, meter.consumer_identifier or policy.consumer_identifier),
            "node": node,
            "status": str(_at(entry, "response", "status")),
        }
        # Without a service Kong sends no tags at all.
        given = {name: text for name, text in tags.items() if text} if tags["service"] else {}
        yield _with_tags(policy.tag_style, _STATS[meter.name], value, meter, given)


def _with_tags(style: str, stat: str, value: object, meter: Meter, tags: Mapping[str, str]) -> str:
    if not tags:
        return _line(stat, value, meter)
    joined = ",".join(f"{name}={text}" for name, text in tags.items())
    match style:
        case "dogstatsd":
            shown = ",".join(f"{name}:{text}" for name, text in tags.items())
            return f"{_line(stat, value, meter)}|#{shown}"
        case "influxdb":
            return _line(f"{stat},{joined}", value, meter)
        case "librato":
            return _line(f"{stat}#{joined}", value, meter)
        case _:
            return _line(f"{stat}[{joined}]", value, meter)


def packed(lines: Sequence[bytes], most: int) -> list[bytes]:
    """Lines put together in datagrams of that many bytes at most; 0: each by itself."""
    found: list[bytes] = []
    for line in lines:
        if most and found and len(found[-1]) + 1 + len(line) <= most:
            found[-1] += b"\n" + line
        else:
            found.append(line)
    return found


def _counted(stat: str, meter: Meter) -> str:
    return f"{stat}:1|c{_rate(meter)}"


def _line(stat: str, value: object, meter: Meter) -> str:
    return f"{stat}:{value}|{_TYPES[meter.stat_type]}{_rate(meter)}"


def _rate(meter: Meter) -> str:
    rate = meter.sample_rate
    return "" if rate is None or rate == 1 else f"|@{rate:g}"


def _value(name: str, entry: Values) -> object:
    match name:
        case "request_size":
            return _at(entry, "request", "size")
        case "response_size":
            return _at(entry, "response", "size")
        case "latency":
            return _at(entry, "latencies", "request")
        case "upstream_latency":
            return _at(entry, "latencies", "proxy")
        case "kong_latency":
            return _at(entry, "latencies", "kong")
        case _:
            return 1


def _service(entry: Values, identifier: str) -> str:
    key = {"service_id": "id", "service_host": "host"}.get(identifier, "name")
    return _plain(_text(entry, "service", key))


def _consumer(entry: Values, identifier: str) -> str:
    key = "id" if identifier == "consumer_id" else identifier
    return _plain(_text(entry, "consumer", key)) if key else ""


def _workspace(entry: Values, identifier: str) -> str:
    return str(entry["workspace_name" if identifier == "workspace_name" else "workspace"])


def _text(entry: Values, group: str, key: str) -> str:
    found = _at(entry, group, key)
    return found if isinstance(found, str) else ""


def _at(entry: Values, group: str, key: str) -> object:
    values = entry.get(group)
    return values.get(key) if isinstance(values, Mapping) else None


def _plain(text: str) -> str:
    return text.translate(_HIDDEN)
