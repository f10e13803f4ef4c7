"""Plugins of KongConsumers and KongConsumerGroups on a real Envoy: each kind, and who comes before whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, plugin, route

KONG = "configuration.konghq.com"


def _consumer(name: str, *plugins: str, groups: tuple[str, ...] = ()) -> str:
    """A KongConsumer whose key is its name."""
    annotations = {"kubernetes.io/ingress.class": "kong", "konghq.com/plugins": ", ".join(plugins)}
    return (
        f"---\napiVersion: {KONG}/v1\nkind: KongConsumer\nmetadata: {{name: {name}, "
        f"annotations: {json.dumps(annotations)}}}\nusername: {name}\ncredentials: [{name}]\n"
        f"consumerGroups: {json.dumps(groups)}\n"
        f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, "
        f"labels: {{konghq.com/credential: key-auth}}}}\nstringData: {{key: key-of-{name}}}\n"
    )


def _group(name: str, *plugins: str) -> str:
    annotations = {"kubernetes.io/ingress.class": "kong", "konghq.com/plugins": ", ".join(plugins)}
    return (
        f"---\napiVersion: {KONG}/v1beta1\nkind: KongConsumerGroup\n"
        f"metadata: {{name: {name}, annotations: {json.dumps(annotations)}}}\n"
    )


def _marks(name: str, mark: str) -> str:
    return plugin(name, "request-transformer", f"{{add: {{headers: ['x-mark:{mark}']}}}}")


def _answer_marks(name: str, mark: str) -> str:
    return plugin(name, "response-transformer", f"{{add: {{headers: ['x-answer:{mark}']}}}}")


def _ask(path: str, name: str = "", **more: object) -> Ask:
    headers: tuple[tuple[str, str], ...] = (("apikey", f"key-of-{name}"),) if name else ()
    given = more.pop("headers", ())
    assert isinstance(given, tuple)
    return Ask(path, headers=(*headers, *given), **more)  # type: ignore[arg-type]


KINDS = (
    plugin("key", "key-auth", "{}")
    + plugin("either", "key-auth", "{anonymous: guest}")
    + plugin("near", "ip-restriction", "{allow: [127.0.0.2]}")
    + plugin("small", "request-size-limiting", "{allowed_payload_size: 10, size_unit: bytes}")
    + plugin("ended", "request-termination", "{status_code: 402, message: pay first}")
    + plugin("shown", "request-termination", "{echo: true, status_code: 200}")
    + plugin("moved", "redirect", "{location: 'https://new.example', status_code: 307}")
    + plugin("json", "request-transformer", "{add: {body: ['who:$(headers.x-consumer-username)']}}")
    + plugin("gone", "response-transformer", "{remove: {json: [secret]}, add: {headers: ['x-answer:ours']}}")
    + plugin("put", "request-transformer", "{http_method: PUT, add: {headers: ['x-mark:own']}}")
    + plugin("strangers", "request-termination", "{status_code: 401, message: log in}")
    + plugin("limit", "rate-limiting", "{hour: 2, policy: local}")
    + _marks("marked", "route")
    + _answer_marks("told", "route")
    + route("plain", "key")
    + route("full", "key", "marked", "told", "limit")
    + route("open")
    + route("either", "either")
    + _group("limited", "small")
    + _consumer("alice", "near")
    + _consumer("bob", groups=("limited",))
    + _consumer("carol", "ended")
    + _consumer("dave", "moved")
    + _consumer("erin", "json")
    + _consumer("frank", "gone")
    + _consumer("grace", "put")
    + _consumer("heidi", "shown")
    + _consumer("nobody-special")
    + _consumer("guest", "strangers")
)
JSON = ("content-type", "application/json")


@pytest.mark.envoy
def test_each_kind_for_one_consumer(tmp_path: Path) -> None:
    body = b'{"a":"0123456789"}'
    chunked = b"14\r\n01234567890123456789\r\n0\r\n\r\n"
    requests: Mapping[str, Ask] = {
        "alice far": _ask("/plain", "alice"),
        "alice near": _ask("/plain", "alice", source="127.0.0.2"),
        "bob long": _ask("/plain", "bob", method="POST", body=body),
        "bob chunked": _ask(
            "/plain", "bob", method="POST", headers=(("transfer-encoding", "chunked"),), body=chunked
        ),
        "bob short": _ask("/plain", "bob", method="POST", body=b"0123"),
        "carol": _ask("/plain", "carol"),
        "dave": _ask("/plain", "dave"),
        "erin": _ask("/plain", "erin", method="POST", headers=(JSON,), body=b"{}"),
        "frank": _ask(
            "/plain",
            "frank",
            method="POST",
            headers=(("x-say", "application/json"),),
            body=b'{"secret":1,"b":2}',
        ),
        "grace": _ask("/plain", "grace"),
        "heidi": _ask("/plain?a=1", "heidi"),
        "other": _ask("/plain", "nobody-special", method="POST", headers=(JSON,), body=body),
        "other chunked": _ask(
            "/plain",
            "nobody-special",
            method="POST",
            headers=(("transfer-encoding", "chunked"),),
            body=chunked,
        ),
        "missing": _ask("/plain"),
        "open": _ask("/open", "carol"),
        "stranger": _ask("/either"),
        "known": _ask("/either", "grace"),
    }
    answers = dict(zip(requests, asked(KINDS, requests.values(), tmp_path), strict=True))
    assert (answers["alice far"].status, answers["alice far"].message) == (
        403,
        "IP address not allowed: 127.0.0.1",
    )
    assert answers["alice near"].seen.headers["x-consumer-username"] == ["alice"]
    for name in ("bob long", "bob chunked"):
        assert (answers[name].status, answers[name].message) == (413, "Request size limit exceeded")
    assert answers["bob short"].reached
    assert (answers["carol"].status, answers["carol"].body) == (402, '{"message":"pay first"}')
    assert (answers["dave"].status, answers["dave"].header("location")) == (307, "https://new.example")
    assert json.loads(answers["erin"].seen.body) == {"who": "erin"}
    assert (answers["frank"].body, answers["frank"].header("x-answer")) == ('{"b":2}', "ours")
    assert (answers["grace"].seen.method, answers["grace"].seen.headers["x-mark"]) == ("PUT", ["own"])
    assert json.loads(answers["heidi"].body)["request"]["query"] == {"a": "1"}
    other = answers["other"].seen
    assert (other.body, other.headers["x-consumer-username"]) == (body.decode(), ["nobody-special"])
    assert "x-mark" not in other.headers
    assert answers["other chunked"].seen.body == "01234567890123456789"
    assert answers["missing"].status == 401
    assert answers["open"].reached
    assert (answers["stranger"].status, answers["stranger"].body) == (401, '{"message":"log in"}')
    assert answers["known"].seen.headers["x-mark"] == ["own"]
    for answer in answers.values():
        seen = (
            json.loads(answer.body).get("headers", {})
            if answer.reached and "frank" not in answer.body
            else {}
        )
        assert not [name for name in seen if name.startswith("x-meshgate-")]


@pytest.mark.envoy
def test_beside_plugins_of_the_route(tmp_path: Path) -> None:
    def full(name: str = "", **more: object) -> Ask:
        return _ask("/full", name, **more)

    plain, own, answer, ended, refused, spoofed, named, *limited = asked(
        KINDS,
        [
            full("nobody-special"),
            full("grace"),
            full("frank"),
            full("carol"),
            full(),
            full(
                "alice",
                source="127.0.0.2",
                headers=(("x-meshgate-variant", "ingress/default/full/0/0@consumers-1"),),
            ),
            full(
                headers=(
                    ("x-consumer-id", "1"),
                    ("x-meshgate-variant", "ingress/default/full/0/0@consumers-0"),
                )
            ),
            *(full("grace") for _ in range(2)),
        ],
        tmp_path,
    )
    assert (plain.seen.headers["x-mark"], plain.header("x-answer")) == (["route"], "route")
    assert (own.seen.headers["x-mark"], own.header("x-answer")) == (["own"], "route")
    assert (answer.seen.headers["x-mark"], answer.header("x-answer")) == (["route"], "ours")
    assert (ended.status, ended.header("x-answer")) == (402, "route")
    # Who is refused before anybody knows him gets the route's own.
    assert (refused.status, refused.header("x-answer")) == (401, "route")
    assert (spoofed.status, spoofed.seen.headers["x-mark"]) == (200, ["route"])
    assert (named.status, named.reached) == (401, False)
    assert plain.header("x-ratelimit-limit-hour") == "2"
    assert [a.status for a in limited] == [200, 429]


PRECEDENCE = (
    plugin("key", "key-auth", "{}")
    + "".join(_marks(n, n) for n in ("cr", "gr", "cs", "gs", "c", "g", "r", "s", "cr-other"))
    + f"---\napiVersion: {KONG}/v1\nkind: KongClusterPlugin\nmetadata: {{name: all, "
    "labels: {global: 'true'}, annotations: {kubernetes.io/ingress.class: kong}}\n"
    "plugin: request-transformer\nconfig: {add: {headers: ['x-mark:all']}}\n"
    + route("bound", "key", "r", "cr", "gr", "cr-other")
    + route("bare", "key")
    + _group("g-all", "g", "gr", "gs")
    + _group("g-some", "g", "gs")
    + _group("g-plain", "g")
    + _consumer("all", "c", "cr", "cs", groups=("g-all",))
    + _consumer("no-cr", "c", "cs", groups=("g-all",))
    + _consumer("no-gr", "c", "cs", groups=("g-some",))
    + _consumer("only-c", "c", groups=("g-plain",))
    + _consumer("only-g", groups=("g-plain",))
    + _consumer("other", "cr-other")
    + _consumer("none")
)
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop, annotations: {konghq.com/plugins: "SERVICE"}}
spec: {ports: [{name: http, port: 80}]}
"""


def _told(
    folder: Path, service: str, expected: Mapping[tuple[str, str], str]
) -> list[tuple[str, str, list[str]]]:
    requests = [_ask(path, name) for path, name in expected]
    answers: list[Answer] = asked(PRECEDENCE, requests, folder, service=SERVICE.replace("SERVICE", service))
    return [(p, n, a.seen.headers["x-mark"]) for (p, n), a in zip(expected, answers, strict=True)]


@pytest.mark.envoy
def test_the_most_specific_counts(tmp_path: Path) -> None:
    bound = {
        "all": "cr", "no-cr": "gr", "no-gr": "cs", "only-c": "c", "only-g": "g", "other": "cr-other",
        "none": "r",
    }  # fmt: skip
    bare = {
        "all": "cs", "no-cr": "cs", "no-gr": "cs", "only-c": "c", "only-g": "g", "other": "s", "none": "s",
    }  # fmt: skip
    expected = {("/bound", n): m for n, m in bound.items()} | {("/bare", n): m for n, m in bare.items()}
    assert _told(tmp_path, "s, cs, gs", expected) == [(p, n, [m]) for (p, n), m in expected.items()]


@pytest.mark.envoy
def test_without_plugins_of_the_service(tmp_path: Path) -> None:
    expected = {
        ("/bound", "no-gr"): "c",
        ("/bare", "none"): "all",
        ("/bare", "only-g"): "g",
        ("/bare", "other"): "all",
    }
    manifests = PRECEDENCE.replace('"c, cs"', '"c"')
    answers = asked(manifests, [_ask(p, n) for p, n in expected], tmp_path)
    assert [a.seen.headers["x-mark"] for a in answers] == [[m] for m in expected.values()]


@pytest.mark.envoy
def test_a_consumers_plugins_are_not_passed_by(tmp_path: Path) -> None:
    """Where a plugin makes another request of it before it is known who asks."""
    moved = json.dumps({"access": ["kong.service.request.set_path(kong.request.get_query_arg('to'))"]})
    manifests = (
        plugin("key", "key-auth", "{}")
        + plugin("ended", "request-termination", "{status_code: 402}")
        + plugin("moved", "pre-function", moved)
        + route("here", "key", "moved")
        + route("there")
        + _consumer("carol", "ended")
        + _consumer("none")
    )
    lost, same, other = asked(
        manifests,
        [
            _ask("/here?to=/there", "carol"),
            _ask("/here?to=/here/x", "carol"),
            _ask("/here?to=/there", "none"),
        ],
        tmp_path,
        allow_lua=True,
    )
    assert (lost.status, lost.reached) == (500, False)
    assert (same.status, same.reached) == (402, False)
    assert other.seen.path == "/there?to=/there"
