"""Kong's plugins that write requests down: what real receivers get of a real Envoy by the real bridge."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.bridge_process import bridging
from tests.envoy.kong_edge import SERVICE, Answer, Ask, consumer, plugin, route, send, telling
from tests.envoy.log_receivers import SYSLOG, Receivers, receiving
from tests.simulate.live import running

Manifests = Callable[[Receivers], str]
Then = Callable[[Receivers, list[Answer]], Awaitable[None]]


def _logged(
    manifests: Manifests,
    requests: list[Ask],
    then: Then,
    folder: Path,
    *,
    listener: str = "http",
    syslog: bool = False,
    refuse: int = 0,
) -> None:
    async def all_of_it() -> None:
        async with receiving(syslog=syslog) as receivers:
            receivers.got.refuse = refuse
            documents, _ = read_texts({"in.yaml": SERVICE + manifests(receivers)})
            model = build(documents).model
            config = self_contained(Reader(stand_in(model)), gateway_proxy())
            async with (
                bridging(model, folder) as sockets,
                running(config, listener, folder, telling, sockets) as port,
            ):
                answers = [await send(port, request) for request in requests]
                await then(receivers, answers)

    asyncio.run(all_of_it())


ANN = consumer("ann", {"ann-key": ("key-auth", {"key": "the-key-of-ann"})})


@pytest.mark.envoy
def test_an_entry_has_what_kong_writes(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        return (
            ANN
            + plugin("key", "key-auth", "{key_names: [apikey, x-key]}")
            + plugin("log", "tcp-log", f"{{host: 127.0.0.1, port: {to.tcp}}}")
            + plugin("id", "correlation-id", "{header_name: X-Name-Of-It, generator: uuid}")
            + route("watched", "key", "log", "id", annotations={"konghq.com/strip-path": "true"})
            + route("unwatched", "key")
        )

    headers = (
        ("X-Key", "the-key-of-ann"),
        ("authorization", "Bearer a.b.c"),
        ("cookie", "session=1"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("x-name", "Zoë"),
        ("x-bytes", "\xff"),
    )
    requests = [
        Ask("/unwatched", headers=headers),
        Ask("/watched/a?b=1&b=2&c&apikey=the-key-of-ann", method="POST", headers=headers, body=b"hello"),
        Ask("/watched/no-key"),
    ]

    async def then(to: Receivers, answers: list[Answer]) -> None:
        await to.got.until(lambda: to.got.tcp.count(b"\n") == 2)
        assert [a.status for a in answers] == [200, 200, 401]
        assert b"the-key-of-ann" not in to.got.tcp
        assert b"a.b.c" not in to.got.tcp
        full, refused = to.got.lines
        _check_full(full)
        assert refused["response"]["status"] == 401
        assert refused["response"]["headers"]["www-authenticate"] == "Key"
        assert (refused["source"], refused["upstream_uri"], refused["upstream_status"]) == ("kong", "", "")
        assert refused["latencies"]["proxy"] == -1
        # As the service is told it; who is refused has one too.
        assert full["correlation_id"] == answers[1].seen.headers["x-name-of-it"][0]
        assert len(refused["correlation_id"]) == len(full["correlation_id"]) == 36
        assert not {"consumer", "tries", "authenticated_entity"} & set(refused)

    _logged(manifests, requests, then, tmp_path)


def _check_full(entry: dict[str, Any]) -> None:
    request = entry["request"]
    assert request["method"] == "POST"
    assert request["uri"] == "/watched/a?b=1&b=2&c&apikey=REDACTED"
    assert request["url"].startswith("http://shop.example:")
    assert request["url"].endswith("/watched/a?b=1&b=2&c&apikey=REDACTED")
    assert request["querystring"] == {"b": ["1", "2"], "c": True, "apikey": "REDACTED"}
    shown = request["headers"]
    assert shown["host"] == "shop.example"
    assert [shown[name] for name in ("x-key", "authorization", "cookie")] == ["REDACTED"] * 3
    assert shown["x-twice"] == ["1", "2"]
    assert shown["x-name"] == "Zo�"  # the client sent Latin-1
    assert shown["content-length"] == "5"
    assert not [name for name in shown if name.startswith((":", "x-meshgate"))]
    assert request["size"] > len("hello")
    assert request["id"]
    assert "tls" not in request
    response = entry["response"]
    assert (response["status"], response["headers"]["x-origin"]) == (200, "service")
    assert response["size"] > 100
    assert entry["upstream_uri"] == "/a?b=1&b=2&c&apikey=REDACTED"
    assert (entry["upstream_status"], entry["source"]) == ("200", "upstream")
    assert entry["client_ip"] == "127.0.0.1"
    assert entry["route"]["name"] == "default.watched.shop..80"
    assert entry["service"]["name"] == "default.shop.80"
    assert entry["service"]["host"] == "shop.default.svc.cluster.local"
    assert entry["route"]["service"]["id"] == entry["service"]["id"]
    assert entry["consumer"]["username"] == "ann"
    assert entry["authenticated_entity"]["consumer_id"] == entry["consumer"]["id"]
    assert entry["authenticated_entity"]["id"]
    (tried,) = entry["tries"]
    assert tried["ip"] == "127.0.0.1"
    assert tried["port"] > 0
    latencies = entry["latencies"]
    assert latencies["request"] >= latencies["kong"] >= 0
    assert latencies["proxy"] >= 0
    assert entry["started_at"] > 1_700_000_000_000
    assert entry["workspace_name"] == "default"


@pytest.mark.envoy
def test_all_receivers_of_one_route(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        endpoint = f"http://me:pass@127.0.0.1:{to.http}/in?k=1"
        return (
            plugin(
                "http",
                "http-log",
                f"{{http_endpoint: '{endpoint}', method: PUT, headers: {{X-Tenant: shop}}, "
                "queue: {max_batch_size: 2, max_coalescing_delay: 3600}}",
            )
            + plugin("one", "http-log", f"{{http_endpoint: 'http://127.0.0.1:{to.http}'}}")
            + plugin("udp", "udp-log", f"{{host: localhost, port: {to.udp}}}")
            + plugin("file", "file-log", f"{{path: {tmp_path}/all.log, reopen: true}}")
            + plugin(
                "loggly",
                "loggly",
                f"{{host: 127.0.0.1, port: {to.udp}, key: the-key, tags: [a, b], log_level: notice, "
                "client_errors_severity: warning}",
            )
            + route("every", "http", "udp", "file", "loggly")
            + route("one", "one")
            + plugin("gone", "request-termination", "{status_code: 404}")
            + route("gone", "loggly", "gone")
        )

    async def then(to: Receivers, answers: list[Answer]) -> None:
        got, file = to.got, tmp_path / "all.log"
        await got.until(lambda: len(got.http) == 2 and len(got.datagrams) == 3)
        assert [a.status for a in answers] == [200, 200, 404, 200]
        (_, single_headers, single), (first, headers, batch) = sorted(got.http, key=lambda one: one[0])
        assert first == "PUT /in?k=1 HTTP/1.1"
        assert headers["authorization"] == "Basic bWU6cGFzcw=="
        assert (headers["x-tenant"], headers["content-type"]) == ("shop", "application/json")
        both = json.loads(batch)
        assert [one["request"]["uri"] for one in both] == ["/every/1", "/every/2"]
        assert json.loads(single)["request"]["uri"] == "/one"
        assert "authorization" not in single_headers
        loggly = [d for d in got.datagrams if d.startswith(b"<")]
        assert sorted(json.loads(d)["request"]["uri"] for d in got.datagrams if d not in loggly) == [
            "/every/1",
            "/every/2",
        ]
        (warned,) = loggly
        head, _, text = warned.partition(b"] ")
        assert head.startswith(b"<12>1 20")
        assert head.endswith(b' kong - - [the-key@41058 tag="a" tag="b"')
        assert json.loads(text)["response"]["status"] == 404
        written = [json.loads(line) for line in file.read_text().splitlines()]
        assert [one["request"]["uri"] for one in written] == ["/every/1", "/every/2"]
        assert file.stat().st_mode & 0o777 == 0o644

    # The first is refused by its receiver and comes again.
    requests = [Ask("/every/1"), Ask("/every/2"), Ask("/gone"), Ask("/one")]
    _logged(manifests, requests, then, tmp_path, refuse=1)


@pytest.mark.envoy
@pytest.mark.skipif(
    SYSLOG.exists() or not os.access("/dev", os.W_OK),
    reason="/dev/log is taken, or may not be made",
)
def test_the_machines_syslog_gets_what_is_severe_enough(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        config = "{facility: local3, log_level: warning, server_errors_severity: err}"
        return (
            plugin("log", "syslog", config)
            + plugin("down", "request-termination", "{status_code: 503}")
            + route("well", "log")
            + route("ill", "log", "down")
        )

    async def then(to: Receivers, answers: list[Answer]) -> None:
        await to.got.until(lambda: bool(to.got.syslog))
        (message,) = to.got.syslog
        head, _, text = message.partition(b" kong: ")
        assert head.startswith(f"<{19 * 8 + 3}>".encode())
        assert json.loads(text)["request"]["uri"] == "/ill"

    _logged(manifests, [Ask("/well"), Ask("/ill")], then, tmp_path, syslog=True)


@pytest.mark.envoy
def test_a_global_plugin_over_tls(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        return (
            "---\napiVersion: configuration.konghq.com/v1\nkind: KongClusterPlugin\nmetadata: {name: all, "
            'annotations: {kubernetes.io/ingress.class: kong}, labels: {global: "true"}}\n'
            f"plugin: tcp-log\nconfig: {{host: 127.0.0.1, port: {to.tcp}}}\n" + route("any")
        )

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def then(to: Receivers, answers: list[Answer]) -> None:
        await to.got.until(lambda: b"\n" in to.got.tcp)
        (entry,) = to.got.lines
        assert entry["request"]["tls"]["version"] == "TLSv1.3"
        assert entry["request"]["tls"]["cipher"].startswith("TLS_")
        assert entry["request"]["tls"]["client_verify"] == "NONE"
        assert entry["request"]["url"].startswith("https://shop.example:")

    _logged(manifests, [Ask("/any", tls=context)], then, tmp_path, listener="https")


@pytest.mark.envoy
def test_nothing_that_only_watches_stops_a_request(tmp_path: Path) -> None:
    """A receiver that is not there, and a plugin that is broken."""

    def manifests(to: Receivers) -> str:
        return (
            plugin("nobody", "tcp-log", "{host: 127.0.0.1, port: 1}")
            + plugin("broken", "http-log", "{http_endpoint: 'no url'}")
            + plugin("nowhere", "file-log", "{path: /nowhere/at/all.log}")
            + plugin("log", "udp-log", f"{{host: 127.0.0.1, port: {to.udp}}}")
            + route("deaf", "nobody", "broken", "nowhere", "log")
        )

    async def then(to: Receivers, answers: list[Answer]) -> None:
        assert [a.status for a in answers] == [200] * 5
        await to.got.until(lambda: len(to.got.datagrams) == 5)

    _logged(manifests, [Ask("/deaf")] * 5, then, tmp_path)


@pytest.mark.envoy
def test_numbers_for_statsd_and_datadog(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        meters = (
            "{name: request_count, stat_type: counter, sample_rate: 0.5}, "
            "{name: status_count_per_user, stat_type: counter, sample_rate: 1}, "
            "{name: unique_users, stat_type: set}, {name: request_size, stat_type: gauge, sample_rate: 1}"
        )
        plain = "prefix: p, consumer_identifier_default: username"
        return (
            ANN
            + plugin("key", "key-auth", "{}")
            + plugin("plain", "statsd", f"{{host: localhost, port: {to.udp}, {plain}, metrics: [{meters}]}}")
            + plugin(
                "tagged",
                "statsd",
                f"{{host: 127.0.0.1, port: {to.tcp}, use_tcp: true, tag_style: dogstatsd, "
                "workspace_identifier_default: workspace_name, allow_status_codes: [200-299], "
                "metrics: [{name: latency, stat_type: timer}]}",
            )
            + plugin(
                "dog",
                "datadog",
                f"{{host: 127.0.0.1, port: {to.udp}, prefix: d, metrics: [{{name: request_count, "
                "stat_type: counter, sample_rate: 1, consumer_identifier: username, tags: ['app:shop']}]}",
            )
            + route("plain", "key", "plain")
            + route("tagged", "key", "tagged")
            + route("dog", "key", "dog")
        )

    key = (("apikey", "the-key-of-ann"),)
    requests = [*(Ask(path, headers=key) for path in ("/plain", "/tagged", "/dog")), Ask("/tagged")]

    async def then(to: Receivers, answers: list[Answer]) -> None:
        assert [a.status for a in answers] == [200, 200, 200, 401]
        await to.got.until(lambda: len(to.got.datagrams) == 5 and b"\n" in to.got.tcp)
        scope = "p.service.default_shop_80"
        size = next(d for d in to.got.datagrams if b"request.size" in d).decode()
        assert re.fullmatch(rf"{re.escape(scope)}\.request\.size:[0-9]+\|g", size)
        assert {d.decode() for d in to.got.datagrams} - {size} == {
            f"{scope}.request.count:1|c|@0.5",
            f"{scope}.user.ann.status.200:1|c",
            f"{scope}.user.uniques:ann|s",
            "d.request.count:1|c|#name:default_shop_80,status:200,consumer:ann,app:shop",
        }
        (line,) = to.got.tcp.decode().splitlines()
        stat, kind, tags = line.split("|")
        assert re.fullmatch(r"kong\.latency:[0-9]+", stat)
        assert kind == "ms"
        node = socket.gethostname().replace(".", "_")
        assert tags == (
            f"#service:default.shop.80,route:default.tagged.shop..80,workspace:default,node:{node},status:200"
        )

    _logged(manifests, requests, then, tmp_path)
