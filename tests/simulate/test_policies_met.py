"""Explain knows a place for every policy that a route can have."""

from __future__ import annotations

import typing

from meshgate.model.policy import Policy
from meshgate.pipeline import build, read_texts
from meshgate.simulate import call, stand_in
from meshgate.simulate.policies_met import ORDER
from tests.envoy.kong_edge import SERVICE, plugin, route


def test_every_policy_has_a_place() -> None:
    assert sorted(k.__name__ for k in typing.get_args(Policy)) == sorted(k.__name__ for k in ORDER)


def test_certificates_are_told_and_change_nothing() -> None:
    config = "{account_email: a@b.example, api_uri: 'https://acme.example/dir', domains: [shop.example]}"
    text = SERVICE + plugin("certified", "acme", config) + route("shop", "certified")
    documents, _ = read_texts({"in.yaml": text})
    verdict = call(stand_in(build(documents).model), "GET", "shop.example", "/shop")
    assert [met.kind for met in verdict.policies] == ["acme"]


def test_traces_and_logs_say_to_whom_and_show_no_password() -> None:
    text = (
        SERVICE
        + plugin("spans", "zipkin", "{http_endpoint: 'http://me:hush@z.example/', sample_ratio: 0.25}")
        + plugin("carried", "opentelemetry", "{logs_endpoint: 'http://o.example/'}")
        + plugin("written", "http-log", "{http_endpoint: 'http://me:hush@shop/in'}")
        + route("shop", "spans", "carried", "written")
    )
    documents, _ = read_texts({"in.yaml": text})
    verdict = call(stand_in(build(documents).model), "GET", "shop.example", "/shop")
    assert {met.kind: met.says for met in verdict.policies} == {
        "zipkin": "carries its trace on; z.example is sent spans of 25% of such requests",
        "opentelemetry": "carries its trace on",
        "http-log": "is written down for shop.default.svc.cluster.local",
    }
