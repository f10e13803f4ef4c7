"""Lines of the statsd protocol: the styles of tags, and names that would forge a line."""

from __future__ import annotations

import socket

import pytest

from meshgate.bridge.log_entry import Values
from meshgate.bridge.meter_lines import datadog_lines, packed, statsd_lines
from meshgate.model.policies.meters import Datadog, Meter, Statsd

LATENCY = Meter(name="latency", stat_type="timer")
NODE = socket.gethostname().replace(".", "_")


def _entry(username: str = "ann", **more: object) -> Values:
    found: Values = {
        "request": {"size": 10},
        "response": {"status": 200, "size": 20},
        "latencies": {"request": 7, "proxy": -1, "kong": 2},
        "service": {"id": "s-1", "name": "ns.shop.80", "host": "shop"},
        "route": {"id": "r-1", "name": "to.shop"},
        "consumer": {"id": "c-1-2", "username": username},
        "workspace": "w-1",
        "workspace_name": "default",
    }
    return {**found, **more}


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("dogstatsd", "kong.latency:7|ms|#{}"),
        ("influxdb", "kong.latency,{}:7|ms"),
        ("librato", "kong.latency#{}:7|ms"),
        ("signalfx", "kong.latency[{}]:7|ms"),
    ],
)
def test_styles_of_tags(style: str, line: str) -> None:
    policy = Statsd(meters=(LATENCY,), tag_style=style, consumer_identifier="username")
    tags = {
        "service": "ns.shop.80",
        "route": "to.shop",
        "workspace": "w-1",
        "consumer": "ann",
        "node": NODE,
        "status": "200",
    }
    sign = ":" if style == "dogstatsd" else "="
    expected = line.format(",".join(f"{name}{sign}{value}" for name, value in tags.items()))
    assert statsd_lines(policy, _entry()) == [expected.encode()]


def test_a_name_cannot_forge_a_line() -> None:
    per_user = Meter(name="request_per_user", stat_type="counter", consumer_identifier="username")
    entry = _entry("ann\nfake:1|c|#a,b")
    assert statsd_lines(Statsd(meters=(per_user,)), entry) == [
        b"kong.service.ns_shop_80.user.ann_fake_1_c__a_b.request.count:1|c"
    ]
    of_dog = Meter(name="request_count", stat_type="counter", consumer_identifier="username")
    (line,) = datadog_lines(Datadog(meters=(of_dog,)), entry)
    assert line == b"kong.request.count:1|c|#name:ns_shop_80,status:200,consumer:ann_fake_1_c__a_b"


def test_what_did_not_happen_is_not_sent_and_statuses_can_be_chosen() -> None:
    upstream = Meter(name="upstream_latency", stat_type="timer")
    assert statsd_lines(Statsd(meters=(upstream,)), _entry()) == []
    only_errors = Statsd(meters=(LATENCY,), allow_status_codes=((500, 599),))
    assert statsd_lines(only_errors, _entry()) == []
    assert statsd_lines(only_errors, _entry(response={"status": 503, "size": 0})) == [
        b"kong.service.ns_shop_80.latency:7|ms"
    ]


def test_without_a_service() -> None:
    entry = _entry()
    del entry["service"]
    assert statsd_lines(Statsd(meters=(LATENCY,)), entry) == [b"kong.global.unmatched.latency:7|ms"]


def test_datagrams_are_filled_up_to_their_size() -> None:
    lines = [b"aa", b"bb", b"ccc"]
    assert packed(lines, 0) == lines
    assert packed(lines, 5) == [b"aa\nbb", b"ccc"]
    assert packed(lines, 100) == [b"aa\nbb\nccc"]
