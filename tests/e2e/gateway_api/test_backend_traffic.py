"""XBackendTrafficPolicy: budgets of retries, and sessions for all that leads to a Service."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import pytest

from tests.e2e.clients import Answer
from tests.e2e.gateway_api.api import Api, Object, conditions, gateway, listener, obj, prefix, route, rule, to

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

XAPI = "gateway.networking.x-k8s.io/v1alpha1"
CLIENTS = 8


def policy(name: str, service: str, **spec: object) -> Object:
    """A policy for one Service."""
    target = {"group": "", "kind": "Service", "name": service}
    return obj("XBackendTrafficPolicy", name, {"targetRefs": [target], **spec}, api=XAPI)


def all_pods(name: str) -> Object:
    """A Service of every pod in `infra` that answers requests."""
    ports = [{"name": "http", "port": 8080, "targetPort": 8080}]
    return obj("Service", name, {"selector": {"speaks": "http"}, "ports": ports}, api="v1")


def test_retries_within_a_budget(api: Api) -> None:
    """Of requests that all fail at one time one is tried again: the budget lets one be under way."""
    budget = {"budget": {"percent": 0, "interval": "10s"}, "minRetryRate": {"count": 1, "interval": "1s"}}
    ports = [{"name": "http", "port": 8080, "targetPort": 8080}]
    api.apply(
        obj("Service", "frugal", {"selector": {"app": "one"}, "ports": ports}, api="v1"),
        policy("frugal", "frugal", retryConstraint=budget),
        policy("frugal-too", "frugal", retryConstraint={}),
        policy("for-nobody", "absent", retryConstraint={}),
        gateway("frugal", listener("http")),
        route("frugal", "frugal", rule(prefix("/"), backends=[to("frugal")],
                                       retry={"attempts": 1, "codes": [503]})),
    )  # fmt: skip
    caller = api.caller("frugal")
    path = f"/budget?statuses=503&key=frugal&wave={CLIENTS}"
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked: set[Future[Answer]] = {pool.submit(caller.ask, "x.test", path) for _ in range(CLIENTS)}
        try:
            waiting = asked
            while len(waiting) > 1:
                done, waiting = wait(waiting, timeout=10, return_when=FIRST_COMPLETED)
                assert done, f"{len(waiting)} retries are under way at once"
            tries = caller.ask("x.test", "/?key=frugal").json()["tries"]
        finally:
            caller.ask("x.test", "/?release=frugal")
    # The retry is held before it is counted.
    assert tries == CLIENTS
    assert {one.result().status for one in asked} == {503}
    assert caller.ask("x.test", "/?key=frugal").json()["tries"] == CLIENTS + 1

    verdicts = [
        conditions(api.get("xbackendtrafficpolicies", name)["status"]["ancestors"][0])["Accepted"]
        for name in ("frugal", "frugal-too", "for-nobody")
    ]
    assert verdicts == [("True", "Accepted"), ("False", "Conflicted"), ("False", "TargetNotFound")]


def test_sessions_of_a_service(api: Api) -> None:
    """A client stays with the pod that its cookie names, on every route to the Service."""
    api.apply(
        all_pods("sticky"),
        all_pods("free"),
        policy("sticky", "sticky", sessionPersistence={"sessionName": "pod", "type": "Cookie"}),
        gateway("sticky", listener("http")),
        route("sticky", "sticky", rule(prefix("/free"), backends=[to("free")]),
              rule(prefix("/"), backends=[to("sticky")])),
        route("sticky-too", "sticky", rule(prefix("/too"), backends=[to("sticky")])),
    )  # fmt: skip
    caller = api.caller("sticky")
    assert {caller.pod("x.test", "/free") for _ in range(20)} == {"one", "two", "three"}
    seen = set()
    for _ in range(20):
        first = caller.ask("x.test", "/")
        cookie = (first.header("set-cookie") or "").partition(";")[0]
        assert cookie.startswith("pod=")
        pod = first.json()["pod"]
        seen.add(pod)
        for path in ("/", "/too"):
            assert {caller.pod("x.test", path, cookie=cookie) for _ in range(5)} == {pod}
    assert len(seen) > 1, "clients without a cookie are spread"
    assert caller.ask("x.test", "/free").header("set-cookie") is None
