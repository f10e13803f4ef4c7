"""kill -9, one process after another: what must go on goes on, what must come back comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import Load
from tests.e2e.harness import ROOT, Meshgate, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, peer_authentication, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

CHECKOUT = ROOT / "examples/shop/checkout.py"
PATIENT = "env PAYMENT_TIMEOUT_SECONDS=60"
"""A busy machine takes its time, also to bring a control plane back that is asked for a name."""
SHOP = "shop.example.test"


def manifests() -> str:
    return (
        mesh_namespace()
        + KONG_CLASS
        + service("payment")
        + deployment("payment")
        + service("checkout")
        + deployment("checkout", command=f"{PATIENT} python3 {CHECKOUT} v1 8080")
        + peer_authentication("default", "STRICT")
        + ingress("shop", host=SHOP, backend="checkout")
    )


@pytest.fixture(scope="module")
def crashing(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp(f"crash-{isolation}")
    (folder / "manifests").mkdir()
    (folder / "manifests/shop.yaml").write_text(manifests())
    with running(folder / "state", [folder / "manifests"], isolation) as meshgate:
        yield meshgate


def processes(meshgate: Meshgate) -> dict[str, int]:
    """Every application, sidecar and the gateway: all that must outlive the control plane."""
    found = {name: pid for name, pid in meshgate.pids().items() if pid}
    assert len(found) >= 4, found
    return found


def edit(meshgate: Meshgate, host: str) -> None:
    """Saves a file that leads a new host to payment, and waits until it is served."""
    Path(meshgate.paths[0], f"{host}.yaml").write_text(
        ingress(host.partition(".")[0], host=host, backend="payment")
    )
    until(lambda: meshgate.ask(host).status == 200, f"{host} is served")


def restarted(meshgate: Meshgate, name: str, killed: int) -> dict[str, int]:
    """All processes once the one that was killed has a successor and its pod is ready."""

    def again() -> dict[str, int] | None:
        found = meshgate.pids()
        return found if found.get(name, killed) != killed else None

    found = until(again, f"a new {name}")
    meshgate.wait_ready()
    until(lambda: meshgate.ask(SHOP).status == 200, "traffic resumes")
    return found


def test_a_killed_application_is_restarted(crashing: Meshgate) -> None:
    before = processes(crashing)
    crashing.crash(before["payment/app"])
    after = restarted(crashing, "payment/app", before["payment/app"])
    assert after == before | {"payment/app": after["payment/app"]}, "nothing else was touched"
    (pod,) = (p for p in crashing.status()["pods"] if p["workload"] == "payment")
    assert pod["restarts"] == 1


def test_a_killed_sidecar_is_restarted_and_traffic_resumes(crashing: Meshgate) -> None:
    before = processes(crashing)
    crashing.crash(before["payment/istio-proxy"])
    after = restarted(crashing, "payment/istio-proxy", before["payment/istio-proxy"])
    assert after["payment/app"] == before["payment/app"], "the application is not its sidecar's"
    for _ in range(20):
        assert crashing.ask(SHOP).status == 200


def back(meshgate: Meshgate, killed: int) -> dict[str, Any]:
    """The status once another control plane answers and every proxy follows it."""

    def answers() -> bool:
        found: int = meshgate.status()["pid"]
        return found != killed

    until(answers, "another control plane")
    return meshgate.wait_ready()


def test_traffic_goes_on_without_the_control_plane_which_comes_back(crashing: Meshgate) -> None:
    before, killed = processes(crashing), crashing.status()["pid"]
    with Load(crashing.http_port, SHOP, clients=2) as load:
        crashing.crash(killed)
        load.more(50)
        status = back(crashing, killed)
        assert status["restarts"] >= 1
        assert processes(crashing) == before
        edit(crashing, "after-crash.example.test")
        load.more(50)
    assert load.failed() == []


def test_without_guard_and_control_plane_the_next_up_takes_over(crashing: Meshgate) -> None:
    before, killed = processes(crashing), crashing.status()["pid"]
    with Load(crashing.http_port, SHOP, clients=2) as load:
        crashing.crash(crashing.guard_pid(), killed)
        load.more(200)
        crashing.up()
        assert crashing.status()["pid"] != killed
        assert processes(crashing) == before
        edit(crashing, "after-up.example.test")
        load.more(50)
    assert load.failed() == []


def test_down_after_a_crash_leaves_nothing(crashing: Meshgate) -> None:
    """The last of this file: it ends what the others share."""
    running_before = set(processes(crashing).values())
    crashing.crash(crashing.guard_pid(), crashing.status()["pid"])
    assert crashing.ask(SHOP).status == 200
    assert crashing.cli("down") == "meshgate has stopped\n"
    assert crashing.leftovers() == []
    assert not [pid for pid in running_before if Path(f"/proc/{pid}/root").exists()]
    assert crashing.ask(SHOP).status == 0
    assert "no meshgate runs" in crashing.cli("down", fails=True)


def test_a_crashed_meshgate_comes_back_whole_and_goes_in_order(crashing: Meshgate) -> None:
    crashing.up()
    assert crashing.ask(SHOP).status == 200
    crashing.crash(crashing.status()["pid"])
    assert crashing.cli("down") == "meshgate has stopped\n"
    assert crashing.leftovers() == []
