"""Requests to Gateways of the Gateway API, in the words of `explain`."""

from __future__ import annotations

import pytest

from meshgate.model.graph import Model
from meshgate.simulate import call
from meshgate.simulate.verdict import Outcome
from tests.golden import cases

HOST = "api.shop.example"


@pytest.fixture(scope="module")
def model() -> Model:
    return cases.read("gateway_api/routes").translated()


def test_by_name_and_by_address(model: Model) -> None:
    by_name = call(model, "GET", HOST, "/")
    assert by_name.outcome is Outcome.FORWARD
    assert by_name.rule is not None
    assert by_name.rule.name == "httproute/default/front/3/0"
    (address,) = model.statuses["gateway.networking.k8s.io/Gateway/default/shop"].addresses or ()
    assert by_name.listener == f"gateway.{address}.80"
    assert call(model, "GET", f"{address}:8080", "/").status == 404
    assert call(model, "GET", "elsewhere.example", "/").listener == "http"


def test_conditions_rewrites_and_shares_that_lead_nowhere(model: Model) -> None:
    verdict = call(model, "POST", HOST, "/cart")
    assert verdict.sent is not None
    assert (verdict.sent.path, verdict.sent.authority) == ("/whole", "inner.example")
    assert [(d.host, d.percent) for d in verdict.destinations] == [
        ("web.default.svc.cluster.local", 75),
        ("", 25),
    ]
    assert "answer 500" in verdict.destinations[1].problem
    assert call(model, "GET", HOST, "/cart").rule != verdict.rule


def test_redirects(model: Model) -> None:
    verdict = call(model, "GET", HOST, "/old/x?y=z")
    assert (verdict.status, verdict.location) == (301, f"https://{HOST}/new/x?y=z")


def test_backends_that_differ_share_the_requests(model: Model) -> None:
    verdict = call(model, "GET", HOST, "/item/7")
    assert [d.percent for d in verdict.destinations] == [90, 10]
    assert "redirected" in verdict.destinations[1].problem
