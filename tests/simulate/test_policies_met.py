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
