"""Kong's `opa`: what the agent is told, and what its answers mean."""

from __future__ import annotations

import json

import pytest

from meshgate.bridge.opa import NoDecisionError, decision, opa_input
from meshgate.bridge.request import Allow, Deny, Identity, Request
from meshgate.model.consumer import Consumer
from meshgate.model.policies.open_policy import Opa

REQUEST = Request(
    method="POST",
    scheme="http",
    host="shop.example:8080",
    path="/cart/7?item=1&item=2&x=%20y&empty",
    headers=(
        (":path", "/cart"),
        ("x-envoy-internal", "true"),
        ("x-meshgate-groups", ",staff,"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-twice", "1"),
        ("x-twice", "2"),
    ),
    body=b'{"a": 1}',
    client_ip="192.0.2.7",
    gateway_port=8080,
    captures={"1": "7", "2": "cart", "id": "7"},
)
ANN = Identity(consumer=Consumer(id="1", username="ann", custom_id="c-1"), credential="k")


def test_what_the_agent_is_told() -> None:
    assert opa_input(Opa(path="/v1/data/a"), REQUEST, ANN) == {
        "client_ip": "192.0.2.7",
        "request": {
            "http": {
                "host": "shop.example",
                "port": 8080,
                "method": "POST",
                "scheme": "http",
                "path": "/cart/7",
                "querystring": {"item": ["1", "2"], "x": " y", "empty": ""},
                "headers": {
                    "host": "shop.example:8080",
                    "content-type": "application/json; charset=utf-8",
                    "x-twice": ["1", "2"],
                },
            }
        },
    }


def test_what_it_is_told_where_that_is_asked_for() -> None:
    policy = Opa(
        path="/v1/data/a",
        include_body=True,
        include_parsed_json_body=True,
        include_uri_captures=True,
        include_consumer=True,
        include_service=True,
        include_route=True,
        service='{"name": "s"}',
        route='{"name": "r"}',
    )
    told = json.loads(json.dumps(opa_input(policy, REQUEST, ANN)))
    http = told["request"]["http"]
    assert (http["body"], http["parsed_body"]) == ('{"a": 1}', {"a": 1})
    assert http["uri_captures"] == {"named": {"id": "7"}, "unnamed": ["7", "cart"]}
    assert told["consumer"] == {"id": "1", "username": "ann", "custom_id": "c-1"}
    assert (told["service"], told["route"]) == ({"name": "s"}, {"name": "r"})
    assert "consumer" not in opa_input(policy, REQUEST, None)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5000])
def test_a_body_that_is_no_json_is_not_parsed(body: bytes) -> None:
    request = Request(
        method="POST",
        scheme="https",
        host="[2001:db8::1]:443",
        path="/",
        headers=(("content-type", "application/json"),),
        body=body,
    )
    told = opa_input(Opa(path="/", include_parsed_json_body=True), request, None)
    http = json.loads(json.dumps(told))["request"]["http"]
    assert "parsed_body" not in http
    assert (http["tls"], http["host"]) == ({}, "[2001:db8::1]")


def test_decisions() -> None:
    assert decision(b'{"result": true}') == Allow()
    assert decision(
        b'{"result": {"allow": true, "headers": {"X-Level": 3, "x-on": true, "x-t": "a"}}}'
    ) == Allow(set_headers=(("x-level", "3"), ("x-on", "true"), ("x-t", "a")))
    json_type = ("content-type", "application/json; charset=utf-8")
    assert decision(b'{"result": false}') == Deny(
        status=403, headers=(json_type,), body='{"message":"unauthorized"}'
    )
    told = {"allow": False, "status": 418, "message": "no tea", "headers": {"x-why": "tea"}}
    assert decision(json.dumps({"result": told}).encode()) == Deny(
        status=418, headers=(json_type, ("x-why", "tea")), body='{"message":"no tea"}'
    )
    own = {"allow": False, "message": {"why": [1]}, "headers": {"Content-Type": "a/b", "content-length": "1"}}
    assert decision(json.dumps({"result": own}).encode()) == Deny(
        status=403, headers=(("content-type", "a/b"),), body='{"why":[1]}'
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"true",
        b"{}",
        b'{"result": {}}',
        b'{"result": "true"}',
        b'{"result": 1}',
        b'{"result": null}',
        b'{"result": {"allow": "true"}}',
        b'{"result": {"allow": 1}}',
        b'{"result": {"allow": false, "status": 99}}',
        b'{"result": {"allow": false, "status": "403"}}',
        b'{"result": {"allow": false, "status": true}}',
        b'{"result": {"allow": true, "headers": []}}',
        b'{"result": {"allow": true, "headers": {"a b": "c"}}}',
        b'{"result": {"allow": true, "headers": {"a": "b\\r\\nc: d"}}}',
        b'{"result": {"allow": true, "headers": {"a": {}}}}',
        b'{"result": {"allow": true, "headers": {":path": "/admin"}}}',
        b"[" * 100_000,
    ],
)
def test_what_decides_nothing(body: bytes) -> None:
    with pytest.raises(NoDecisionError):
        decision(body)
