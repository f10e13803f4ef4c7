"""The control plane dies in a rollout, or comes back to other manifests and settings: no request fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from meshgate.runtime.libraries import SWITCH
from tests.e2e.clients import Load
from tests.e2e.harness import ROOT, Meshgate, owner, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

CHECKOUT = ROOT / "examples/shop/checkout.py"
PATIENT = "env PAYMENT_TIMEOUT_SECONDS=60"
"""A busy machine takes its time, also to bring a control plane back that is asked for a name."""
SHOP, BARE = "shop.example.test", "shop.bare.test"
GATEWAY = "meshgate-gateway/istio-proxy"
WORKLOADS = ("payment", "checkout")


def shop(namespace: str, host: str) -> str:
    """checkout calls payment, of which there are two."""
    payment = deployment("payment", namespace=namespace)
    return (
        service("payment", namespace=namespace)
        + payment.replace("spec:\n  selector", "spec:\n  replicas: 2\n  selector", 1)
        + service("checkout", namespace=namespace)
        + deployment("checkout", namespace=namespace, command=f"{PATIENT} python3 {CHECKOUT} v1 8080")
        + ingress("shop", host=host, backend="checkout", namespace=namespace)
    )


@pytest.fixture(scope="module")
def dying(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp(f"dying-{isolation}")
    bare = "apiVersion: v1\nkind: Namespace\nmetadata: {name: bare}\n---\n"
    (folder / "shop.yaml").write_text(
        mesh_namespace() + bare + KONG_CLASS + shop("default", SHOP) + shop("bare", BARE)
    )
    with running(folder / "state", [folder / "shop.yaml"], isolation) as meshgate:
        yield meshgate


@contextmanager
def loaded(meshgate: Meshgate) -> Iterator[list[Load]]:
    """Clients that keep their connections and clients that open one for each request; none of them fails."""
    loads = [
        Load(meshgate.http_port, host, headers=headers, clients=2)
        for host in (SHOP, BARE)
        for headers in ((), (("Connection", "close"),))
    ]
    with ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        yield loads
        for load in loads:
            load.more(20)
    assert [answer for load in loads for answer in load.failed()] == []


def pods(meshgate: Meshgate, workload: str) -> set[tuple[str, str]]:
    found = [o for o in meshgate.objects("pods") if owner(o) == workload]
    return {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in found}


def replaced(meshgate: Meshgate, before: dict[str, set[tuple[str, str]]]) -> bool:
    """Whether all pods are others, all of them ready, and there are no more than there shall be."""
    for workload, old in before.items():
        now = pods(meshgate, workload)
        if not now.isdisjoint(old) or len(now) != len(old):
            return False
        statuses = [o["status"] for o in meshgate.objects("deploy") if o["metadata"]["name"] == workload]
        if any(s["replicas"] != s["availableReplicas"] or s["unavailableReplicas"] for s in statuses):
            return False
    return True


def test_a_rollout_goes_on_where_the_control_plane_died(dying: Meshgate) -> None:
    before = {workload: pods(dying, workload) for workload in WORKLOADS}
    with loaded(dying):
        for namespace in ("default", "bare"):
            for workload in WORKLOADS:
                dying.cli("rollout", "restart", f"deploy/{workload}", "-n", namespace)
        until(lambda: pods(dying, "payment") - before["payment"], "the first new pod")
        killed = dying.status()["pid"]
        dying.crash(killed)
        until(lambda: dying.status()["pid"] != killed, "another control plane")
        until(lambda: replaced(dying, before), "all pods are replaced")


def test_what_the_next_control_plane_does_not_want_goes_in_order(dying: Meshgate) -> None:
    manifests = Path(dying.paths[0])
    with loaded(dying):
        dying.crash(dying.guard_pid(), dying.status()["pid"])
        text = manifests.read_text()
        manifests.write_text(
            text.replace("replicas: 2", "replicas: 1").replace("checkout.py v1", "checkout.py v2")
        )
        dying.up()
        until(lambda: len(pods(dying, "payment")) == 2, "one payment in each namespace")
        until(lambda: dying.ask(SHOP).version == dying.ask(BARE).version == "v2", "another checkout")


def test_another_gateway_takes_over_from_the_one_that_serves(
    dying: Meshgate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own settings are others, and it has no library; the edge goes on."""
    before = dying.pids()[GATEWAY]
    with loaded(dying):
        dying.crash(dying.guard_pid(), dying.status()["pid"])
        monkeypatch.setenv(SWITCH, "off")
        dying.options = ("--locality", "here/there")
        dying.up()
        until(lambda: dying.pids().get(GATEWAY, before) != before, "another gateway")
        until(lambda: not Path(f"/proc/{before}").exists(), "the old one is gone")
