"""Kong's `prometheus`: what a real Envoy counts, under Kong's names."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from meshgate.model.names import GATEWAY_NAMESPACE, GATEWAY_SERVICE_ACCOUNT, Name
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.policies.packing import duration
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.telemetry.directory import Directory, Who
from meshgate.telemetry.exposition import Exposition
from meshgate.telemetry.istio import Subject, add_proxy
from meshgate.telemetry.kong_node import NODE_STATS, add_node, add_targets
from meshgate.translate.self_contained import self_contained
from tests.envoy.kong_edge import SERVICE, Ask, consumer, plugin, route, send, telling
from tests.simulate.live import ask, running

DEADLINE_S = 60.0
HTTP = 'subsystem="http"'
EVERYTHING = "{per_consumer: true, status_code_metrics: true, latency_metrics: true, bandwidth_metrics: true}"
MANIFESTS = (
    SERVICE
    + consumer("ann", {"ann-key": ("key-auth", {"key": "ann-key"})})
    + plugin("key", "key-auth", "{}")
    + plugin("all", "prometheus", EVERYTHING)
    + plugin("own", "prometheus", EVERYTHING)
    + plugin("status", "prometheus", "{status_code_metrics: true}")
    + route("all", "key", "all")
    + route("status", "status", "key")
    + consumer("bea", {"bea-key": ("key-auth", {"key": "bea-key"})}).replace(
        "annotations: {", "annotations: {konghq.com/plugins: own, "
    )
    + route("quiet", "key")
    + route("none")
)
SUBJECT = Subject(
    pod="gateway",
    workload=Name(GATEWAY_NAMESPACE, GATEWAY_SERVICE_ACCOUNT),
    who=Who(),
    principal="",
)

_COUNTED = (
    'kong_request_latency_ms_count{service="default.shop.80",route="default.all.shop..80",'
    'workspace="default"} 3'
)
"""Envoy merges histograms at each flush; counters are there before."""


def _check_node(text: str) -> None:
    """Seven requests, each on a connection of its own; one service with one pod."""
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines[f'kong_nginx_requests_total{{node_id="here",{HTTP}}}'] == "7"
    for state, count in (("accepted", "7"), ("handled", "7"), ("total", "7")):
        assert lines[f'kong_nginx_connections_total{{node_id="here",{HTTP},state="{state}"}}'] == count
    assert lines['kong_node_info{node_id="here",version="1"}'] == "1"
    targets = [name for name in lines if name.startswith("kong_upstream_target_health")]
    assert {re.findall(r'state="(.*?)"', name)[0]: lines[name] for name in targets} == {
        "healthchecks_off": "0",
        "healthy": "1",
        "unhealthy": "0",
        "dns_error": "0",
    }
    assert all('upstream="shop.default.80.svc",target="127.0.0.1:' in name for name in targets)


@pytest.mark.envoy
def test_requests_latencies_and_bytes_have_kongs_names(tmp_path: Path) -> None:
    documents, _ = read_texts({"in.yaml": MANIFESTS})
    model = build(documents).model
    config = self_contained(Reader(stand_in(model)), gateway_proxy())
    config.stats_flush_interval.CopyFrom(duration(100))
    key = (("apikey", "ann-key"),)
    requests = [
        Ask("/all", headers=key),
        Ask("/all", headers=key),
        Ask("/all", headers=(("x-consumer-username", "root"),)),
        Ask("/status", headers=key),
        Ask("/none"),
        Ask("/quiet", headers=key),
        Ask("/quiet", headers=(("apikey", "bea-key"),)),
    ]

    node = Exposition()

    async def told_of_itself(admin: int) -> None:
        reply = await ask(admin, "GET", "admin", "/stats?format=text&filter=^http", ())
        pairs = (line.partition(": ") for line in reply.headers["(body)"].splitlines())
        stats = {name: int(value) for name, _, value in pairs if value.isdigit()}
        add_node({n: v for n, v in stats.items() if re.search(NODE_STATS, n)}, "here", "1", node)
        clusters = (await ask(admin, "GET", "admin", "/clusters?format=json", ())).headers["(body)"]
        add_targets(clusters, lambda cluster: True, node)
        unchecked = Exposition()
        add_targets(clusters, lambda cluster: False, unchecked)
        assert f'state="healthchecks_off",{HTTP}}} 1' in unchecked.text()

    async def counted() -> str:
        async with running(config, "http", tmp_path, telling) as port:
            answers = [await send(port, request) for request in requests]
            assert [a.status for a in answers] == [200, 200, 401, 200, 200, 200, 200]
            admin = int((tmp_path / "admin.txt").read_text().rpartition(":")[2])
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    reply = await ask(admin, "GET", "admin", "/stats/prometheus?filter=^kong\\.", ())
                    found = Exposition()
                    add_proxy(reply.headers["(body)"], SUBJECT, Directory(model), found)
                    text = found.text()
                    if _COUNTED in text:
                        await told_of_itself(admin)
                        return text
                    await asyncio.sleep(0.05)

    text = asyncio.run(counted())
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    ends = 'service="default.shop.80",route="default.all.shop..80"'
    status = 'service="default.shop.80",route="default.status.shop..80"'
    quiet = 'service="default.shop.80",route="default.quiet.shop..80"'
    found = {name: value for name, value in lines.items() if name.startswith("kong_http_requests_total")}
    rest = 'workspace="default"'
    assert found == {
        f'kong_http_requests_total{{{ends},code="200",source="service",{rest},consumer="ann"}}': "2",
        f'kong_http_requests_total{{{ends},code="401",source="kong",{rest},consumer=""}}': "1",
        f'kong_http_requests_total{{{status},code="200",source="service",{rest},consumer=""}}': "1",
        # Of a route that is not counted, one consumer's.
        f'kong_http_requests_total{{{quiet},code="200",source="service",{rest},consumer="bea"}}': "1",
    }
    assert "# TYPE kong_http_requests_total counter" in text
    assert "# TYPE kong_request_latency_ms histogram" in text
    bytes_of_ann = f'kong_bandwidth_bytes{{{ends},direction="egress",{rest},consumer="ann"}}'
    assert int(lines[bytes_of_ann]) > 200
    assert int(lines[bytes_of_ann.replace("egress", "ingress")]) > 100
    assert lines[f"kong_request_latency_ms_count{{{ends},{rest}}}"] == "3"
    # The one that was refused asked no service.
    assert lines[f"kong_upstream_latency_ms_count{{{ends},{rest}}}"] == "2"
    assert lines[f"kong_kong_latency_ms_count{{{ends},{rest}}}"] == "3"
    limits = [
        name.rpartition('le="')[2][:-2]
        for name in lines
        if name.startswith("kong_kong_latency_ms_bucket") and ends in name
    ]
    assert limits == [
        *map(str, (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)),
        "+Inf",
    ]
    assert not [name for name in lines if "default.none" in name]
    _check_node(node.text())
    assert not [name for name in lines if "latency" in name and "status" in name]
