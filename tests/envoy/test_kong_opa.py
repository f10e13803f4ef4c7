"""Kong's `opa` on a real Envoy with a real bridge, before a small agent and before the real one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, consumer, plugin, route
from tests.envoy.policy_agents import NOBODY, OPA, SmallAgent, real_agent
from tests.redis_server import free_port

PORT = free_port()


def _plugin(name: str, more: str = "", *, path: str = "", port: int = PORT) -> str:
    where = f"opa_host: 127.0.0.1, opa_port: {port}, opa_path: /v1/data/{path or name}"
    return plugin(name, "opa", f"{{{where}{', ' if more else ''}{more}}}")


EVERYTHING = ", ".join(
    f"include_{part}_in_opa_input: true"
    for part in ("service", "route", "consumer", "body", "parsed_json_body", "uri_captures")
)
MANIFESTS = (
    consumer("ann", {"ann-key": ("key-auth", {"key": "ann-key"})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bob-key"})})
    + plugin("key", "key-auth", "{}")
    + _plugin("get", path="shop/get")
    + _plugin("member", "include_consumer_in_opa_input: true", path="shop/member")
    + _plugin("tell", EVERYTHING)
    + "".join(_plugin(name) for name in ("object", "refuse", "undefined", "broken"))
    + _plugin("away", port=NOBODY)
    + _plugin("https", "opa_protocol: https")
    + "".join(route(n, n) for n in ("get", "object", "refuse", "undefined", "broken", "away", "https"))
    + route("member", "key", "member")
    + """---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: tell, annotations: {konghq.com/plugins: tell, konghq.com/strip-path: "true"}}
spec: {rules: [{http: {paths: [{path: '/~/tell/(?<what>[a-z]+)/(\\d+)', pathType: ImplementationSpecific,
  backend: {service: {name: shop, port: {number: 80}}}}]}}]}
"""
)


def _member(said: Mapping[str, Any]) -> object:
    return {"result": said.get("consumer", {}).get("username") == "ann"}


def _object(said: Mapping[str, Any]) -> object:
    level = said["request"]["http"]["querystring"].get("level")
    return {"result": {"allow": True, "headers": {"x-level": level, "x-consumer-groups": "from-agent"}}}


def _agent() -> SmallAgent:
    return SmallAgent(
        port=PORT,
        policies={
            "shop/get": lambda said: {"result": said["request"]["http"]["method"] == "GET"},
            "shop/member": _member,
            "tell": lambda _: {"result": True},
            "object": _object,
            "refuse": lambda _: {
                "result": {"allow": False, "status": 418, "message": "no tea", "headers": {"X-Why": "tea"}}
            },
            "undefined": lambda _: {},
            "broken": lambda _: 500,
        },
    )


def _is_refused(answer: Answer) -> None:
    assert (answer.status, json.loads(answer.body)) == (403, {"message": "unauthorized"})
    assert answer.header("content-type") == "application/json; charset=utf-8"


@pytest.mark.envoy
def test_the_agent_decides(tmp_path: Path) -> None:
    forged = (("x-level", "admin"), ("x-consumer-username", "ann"))
    requests = [
        Ask("/get"),
        Ask("/get", "POST", body=b"x"),
        Ask("/member", headers=(("apikey", "ann-key"),)),
        Ask("/member", headers=(("apikey", "bob-key"), *forged)),
        Ask("/member", headers=forged),
        Ask("/object?level=gold", headers=forged),
        Ask("/refuse"),
        *(Ask(f"/{name}") for name in ("undefined", "broken", "away", "https")),
    ]
    get, post, ann, bob, nobody, allowed, refused, *broken = asked(
        MANIFESTS, requests, tmp_path, beside=_agent().running
    )
    assert get.reached
    _is_refused(post)
    assert ann.seen.headers["x-consumer-username"] == ["ann"]
    _is_refused(bob)
    assert (nobody.status, nobody.header("www-authenticate")) == (401, "Key")
    assert allowed.seen.headers["x-level"] == ["gold"]
    assert (refused.status, json.loads(refused.body)) == (418, {"message": "no tea"})
    assert refused.header("x-why") == "tea"
    for answer in broken:
        assert (answer.status, answer.message) == (500, "An unexpected error occurred")


@pytest.mark.envoy
def test_what_the_agent_is_told(tmp_path: Path) -> None:
    agent = _agent()
    headers = (("content-type", "application/json"), ("x-twice", "1"), ("x-twice", "2"))
    answers = asked(
        MANIFESTS,
        [Ask("/tell/item/42?a=1&a=2", "PUT", headers, b'{"n": [1]}')],
        tmp_path,
        beside=agent.running,
    )
    assert answers[0].seen.body == '{"n": [1]}'
    (told,) = agent.told
    http = told["request"]["http"]
    assert told["client_ip"] == "127.0.0.1"
    assert (http["method"], http["scheme"], http["host"]) == ("PUT", "http", "shop.example")
    assert (http["path"], http["querystring"]) == ("/tell/item/42", {"a": ["1", "2"]})
    assert http["headers"]["x-twice"] == ["1", "2"]
    assert not [h for h in http["headers"] if h.startswith((":", "x-meshgate", "x-envoy"))]
    assert (http["body"], http["parsed_body"]) == ('{"n": [1]}', {"n": [1]})
    assert http["uri_captures"] == {"named": {"what": "item"}, "unnamed": ["item", "42"]}
    assert told["service"]["name"] == "default.shop.80"
    assert told["route"]["name"] == "default.tell.shop..80"
    assert told["route"]["service"] == {"id": told["service"]["id"]}
    assert "consumer" not in told


REGO = """package shop

import rego.v1

default get := false

get if input.request.http.method == "GET"

default member := false

member if input.consumer.username == "ann"
"""


@pytest.mark.envoy
@pytest.mark.skipif(OPA is None, reason="needs the program opa on the PATH")
def test_the_real_agent(tmp_path: Path) -> None:
    requests = [
        Ask("/get"),
        Ask("/get", "POST", body=b"x"),
        Ask("/member", headers=(("apikey", "ann-key"),)),
        Ask("/member", headers=(("apikey", "bob-key"),)),
        Ask("/undefined"),
    ]
    get, post, ann, bob, undefined = asked(
        MANIFESTS, requests, tmp_path, beside=lambda: real_agent(PORT, REGO, tmp_path)
    )
    assert get.reached
    assert ann.reached
    _is_refused(post)
    _is_refused(bob)
    assert (undefined.status, undefined.message) == (500, "An unexpected error occurred")
