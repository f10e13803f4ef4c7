"""Kong's `request-transformer`, `response-transformer` and `correlation-id` on a real Envoy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, asked, plugin, route

REQUEST = (
    "{remove: {headers: [X-Gone], querystring: [gone]}, rename: {headers: ['X-Old:X-New']}, "
    "replace: {headers: ['X-There:50% new', 'X-Absent:never', 'Host: inner.example'], "
    "querystring: ['there:1', 'absent:never']}, "
    "add: {headers: ['X-Added:by $(headers.x-who) in $(query_params.q)', 'X-There:never'], "
    "querystring: ['added:2', 'there:never']}, "
    "append: {headers: ['X-List:b'], querystring: ['list:b']}}"
)
RESPONSE = (
    "{remove: {headers: [X-Reached]}, rename: {headers: ['X-Origin:X-From']}, "
    "replace: {headers: ['content-type: text/plain', 'x-absent: never']}, add: {headers: ['X-Added: 100%']}, "
    "append: {headers: ['X-Added: more']}}"
)
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MANIFESTS = (
    plugin("request", "request-transformer", REQUEST)
    + plugin("method", "request-transformer", "{http_method: PUT}")
    + plugin("uri", "request-transformer", r"{replace: {uri: '/fixed\1/path'}}")
    + plugin("response", "response-transformer", RESPONSE)
    + plugin("key", "key-auth", "{}")
    + plugin("id", "correlation-id", "{}")
    + plugin("uuid", "correlation-id", "{header_name: X-Id, generator: uuid, echo_downstream: true}")
    + plugin("tracker", "correlation-id", "{generator: tracker}")
    + "".join(route(n, n) for n in ("request", "method", "uri", "response", "id", "uuid", "tracker"))
    + route("guarded", "response", "key")
)


@pytest.mark.envoy
def test_requests(tmp_path: Path) -> None:
    sent = (
        ("X-Gone", "1"),
        ("X-Old", "old"),
        ("X-There", "a"),
        ("X-Who", "me"),
        ("X-List", "a"),
    )
    requests = [
        Ask("/request?gone=1&there=0&list=a&q=shop", headers=sent),
        Ask("/request", headers=(("X-New", "kept"),)),
        Ask("/method"),
        Ask("/uri/any?q=1"),
    ]
    full, bare, method, uri = [a.seen for a in asked(MANIFESTS, requests, tmp_path)]
    headers = full.headers
    assert "x-gone" not in headers
    assert "x-old" not in headers
    assert "x-absent" not in headers
    assert headers["x-new"] == ["old"]
    assert headers["x-there"] == ["50% new"]
    assert headers["x-added"] == ["by me in shop"]
    assert headers["x-list"] in (["a", "b"], ["a,b"])
    assert headers["host"] == ["inner.example"]
    path, _, query = full.path.partition("?")
    assert path == "/request"
    assert sorted(query.split("&")) == ["added=2", "list=a", "list=b", "q=shop", "there=1"]
    assert bare.headers["x-new"] == ["kept"]
    assert sorted(bare.path.partition("?")[2].split("&")) == ["added=2", "list=b", "there=never"]
    assert method.method == "PUT"
    assert uri.path == r"/fixed\1/path?q=1"


@pytest.mark.envoy
def test_answers(tmp_path: Path) -> None:
    served, refused = asked(MANIFESTS, [Ask("/response"), Ask("/guarded")], tmp_path)
    assert served.status == 200
    assert not served.reached
    assert served.header("x-from") == "service"
    assert "x-origin" not in served.headers
    assert "x-absent" not in served.headers
    assert served.headers["x-added"] == ("100%", "more")
    assert refused.status == 401
    assert refused.header("content-type") == "text/plain"
    assert refused.headers["x-added"] == ("100%", "more")


@pytest.mark.envoy
def test_ids(tmp_path: Path) -> None:
    requests = [
        Ask("/id"),
        Ask("/id", headers=(("Kong-Request-ID", "mine"),)),
        Ask("/uuid"),
        Ask("/uuid"),
        Ask("/uuid", headers=(("x-id", "mine"),)),
        Ask("/tracker"),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    (counted,) = answers[0].seen.headers["kong-request-id"]
    assert re.fullmatch(rf"{UUID}#\d+", counted)
    assert "kong-request-id" not in answers[0].headers
    assert answers[1].seen.headers["kong-request-id"] == ["mine"]
    first, second = answers[2], answers[3]
    assert re.fullmatch(UUID, first.header("x-id") or "")
    assert first.seen.headers["x-id"] == [first.header("x-id")]
    assert first.header("x-id") != second.header("x-id")
    assert answers[4].seen.headers["x-id"] == [answers[4].header("x-id")] == ["mine"]
    (tracker,) = answers[5].seen.headers["kong-request-id"]
    assert re.fullmatch(rf"127\.0\.0\.1-\d+-0-\d+-{UUID}-\d+\.\d{{3}}", tracker)
