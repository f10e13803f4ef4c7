"""Configurations that come one after the other under load: no request fails, however long it takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from meshgate.runtime.envoy_admin import active_requests
from meshgate.runtime.paths import RuntimePaths
from tests.e2e.clients import Answer, Client, Load
from tests.e2e.harness import ROOT, Meshgate, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

APP = ROOT / "tests/e2e/rolling_app.py"
PLAIN, ASKED, LIMITED = "plain.example.test", "asked.example.test", "limited.example.test"
LONG_S = 8
"""Longer than pods drain."""
ANYBODY = """
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: anybody, annotations: {kubernetes.io/ingress.class: kong}}
username: anybody
---
"""


def plugin(name: str, kind: str, config: str) -> str:
    return f"""
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: {name}}}
plugin: {kind}
config: {config}
---
"""


def signed(realm: str) -> str:
    """A plugin that the bridge decides about; another realm is another rule."""
    return plugin("signed", "hmac-auth", f"{{anonymous: anybody, realm: {realm}}}")


@pytest.fixture(scope="module")
def reloading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp("reloading")
    (folder / "manifests").mkdir()
    (folder / "manifests/base.yaml").write_text(
        mesh_namespace()
        + KONG_CLASS
        + ANYBODY
        + service("payment")
        + deployment("payment", command=f"python3 {APP} http payment v1 8080")
        + ingress("plain", host=PLAIN, backend="payment")
    )
    (folder / "manifests/asked.yaml").write_text(
        signed("first") + ingress("asked", host=ASKED, backend="payment", plugins="signed")
    )
    with running(folder / "state", [folder / "manifests"], "ports") as meshgate:
        until(lambda: meshgate.ask(ASKED).status == 200, "the bridge lets anybody pass")
        yield meshgate


def saved(meshgate: Meshgate, name: str, text: str) -> None:
    Path(meshgate.paths[0], name).write_text(text)


def test_no_request_fails_while_rules_and_filters_come_and_go(reloading: Meshgate) -> None:
    hosts = (PLAIN, ASKED)
    close = (("Connection", "close"),)
    loads = [Load(reloading.http_port, h, headers=o, clients=2) for h in hosts for o in ((), close)]
    with ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        for number in range(6):
            host = f"added-{number}.example.test"
            key = plugin("key", "key-auth", "{}") if number % 2 else plugin("key", "basic-auth", "{}")
            added = ingress("added", host=host, backend="payment", plugins="key")
            saved(reloading, "added.yaml", key + added)
            asked = ingress("asked", host=ASKED, backend="payment", plugins="signed")
            saved(reloading, "asked.yaml", signed(f"realm-{number}") + asked)
            until(lambda: reloading.ask(host).status == 401, "the added route is closed")  # noqa: B023
            for load in loads:
                load.more(10)
    assert [answer for load in loads for answer in load.failed()] == []


def test_a_request_in_flight_outlives_the_listener_that_it_came_by(reloading: Meshgate) -> None:
    """A filter that was not there makes another listener of the gateway's."""
    answers: list[Answer] = []
    slow = threading.Thread(
        target=lambda: answers.append(Client(reloading.http_port, PLAIN).ask(f"/?seconds={LONG_S}"))
    )
    slow.start()
    sockets = list(RuntimePaths.of(reloading.state).run.glob("*/admin.sock"))
    # The gateway and the pod's sidecar.
    until(lambda: [asyncio.run(active_requests(s)) for s in sockets] == [1, 1], "the request is in flight")
    limit = plugin("limit", "rate-limiting", "{hour: 10000, policy: local}")
    limited = ingress("added", host=LIMITED, backend="payment", plugins="limit")
    saved(reloading, "added.yaml", limit + limited)
    until(lambda: reloading.ask(LIMITED).header("x-ratelimit-limit-hour"), "the limit is there")
    slow.join()
    assert [answer.status for answer in answers] == [200]
