"""Pods are replaced under load, and no request fails: rollouts, scaling, hooks; in both isolations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.clients import Load
from tests.e2e.harness import ROOT, Meshgate, owner, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, service
from tests.e2e.rolling_app import MESSAGES
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

APP = ROOT / "tests/e2e/rolling_app.py"
CHECKOUT = ROOT / "examples/shop/checkout.py"
PATIENT = "env PAYMENT_TIMEOUT_SECONDS=60"
"""A busy machine takes its time, also to bring a control plane back that is asked for a name."""
EDGE, SHOP, RPC = "pay.example.test", "shop.example.test", "rpc.example.test"
FRAIL, LATE_EDGE, LATE_SHOP = "frail.example.test", "pay.late.test", "shop.late.test"
GATEWAY = "spiffe://cluster.local/ns/meshgate-system/sa/meshgate-gateway"
CALLER = "spiffe://cluster.local/ns/late/sa/checkout"
HOOKS = """
        lifecycle:
          postStart: {{exec: {{command: [sh, -c, 'echo start >> {file}']}}}}
          preStop: {{exec: {{command: [sh, -c, 'echo stop >> {file}']}}}}
"""


class Streams:
    """gRPC streams one after the other, while the `with` block runs."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", (("grpc.default_authority", RPC),))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]
        self.lengths: list[int] = []
        self.pods: set[str] = set()
        self.errors: list[str] = []

    def _run(self) -> None:
        count = self._channel.unary_stream("/rolling.Rolling/Count", bytes, bytes)
        while not self._over.is_set():
            try:
                answers = [message.decode() for message in count(b"", timeout=15)]
            except grpc.RpcError as error:
                self.errors.append(str(error))
                continue
            self.lengths.append(len(answers))
            self.pods.update(answer.partition(" ")[0] for answer in answers)

    def __enter__(self) -> Streams:
        for thread in self._threads:
            thread.start()
        until(lambda: self.lengths, "a stream")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=30)
        self._channel.close()


def manifests(hooks: Path) -> str:
    pay = deployment("payment", command=f"python3 {APP} http payment v1 8080")
    pay = several(3, pay).replace("        ports:", HOOKS.format(file=hooks).strip("\n") + "\n        ports:")
    rpc = deployment("rpc", command=f"python3 {APP} grpc rpc v1 8080").replace(
        "httpGet: {path: /healthz, port: http}", "tcpSocket: {port: http}"
    )
    return (
        mesh_namespace()
        + KONG_CLASS
        + service("payment")
        + pay
        + service("checkout")
        + deployment("checkout", command=f"{PATIENT} python3 {CHECKOUT} v1 8080")
        + service("rpc").replace("name: http, port: 80, targetPort", "name: grpc, port: 80, targetPort")
        + several(2, rpc)
        + ingress("pay", host=EDGE, backend="payment")
        + ingress("shop", host=SHOP, backend="checkout")
        + ingress("rpc", host=RPC, backend="rpc")
        + service("frail")
        + deployment("frail").replace(
            "{meshgate.dev", "{meshgate.dev/on-sidecar-failure: bypass, meshgate.dev"
        )
        + ingress("frail", host=FRAIL, backend="frail")
        + "apiVersion: v1\nkind: Namespace\nmetadata: {name: late}\n---\n"
        + service("payment", namespace="late")
        + several(2, deployment("payment", namespace="late"))
        + service("checkout", namespace="late")
        + deployment("checkout", namespace="late", command=f"{PATIENT} python3 {CHECKOUT} v1 8080")
        + ingress("pay", host=LATE_EDGE, backend="payment", namespace="late")
        + ingress("shop", host=LATE_SHOP, backend="checkout", namespace="late")
    )


def several(replicas: int, manifest: str) -> str:
    return manifest.replace("spec:\n  selector", f"spec:\n  replicas: {replicas}\n  selector", 1)


@pytest.fixture(scope="module")
def rolling(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Meshgate, Path]]:
    folder = tmp_path_factory.mktemp(f"rolling-{isolation}")
    (folder / "base.yaml").write_text(manifests(folder / "hooks"))
    with running(folder / "state", [folder / "base.yaml"], isolation) as meshgate:
        yield meshgate, folder / "hooks"


def mine(meshgate: Meshgate, kind: str) -> list[dict[str, Any]]:
    return [o for o in meshgate.objects(kind) if o["metadata"]["namespace"] == "default"]


def pods(meshgate: Meshgate, workload: str) -> set[str]:
    return {p["metadata"]["name"] for p in mine(meshgate, "pods") if owner(p) == workload}


def rolled_out(meshgate: Meshgate, name: str) -> bool:
    (status,) = [o["status"] for o in mine(meshgate, "deploy") if o["metadata"]["name"] == name]
    return bool(status["replicas"] == status["updatedReplicas"] == status["availableReplicas"])


def test_a_rolling_restart_fails_no_request(rolling: tuple[Meshgate, Path]) -> None:
    meshgate, hooks = rolling
    port = meshgate.http_port
    workloads = ("payment", "rpc", "checkout")
    before = {name: pods(meshgate, name) for name in workloads}
    loads = {
        "through the gateway": Load(port, EDGE, clients=2),
        "slow": Load(port, EDGE, path="/?seconds=0.4", clients=3),
        "through a sidecar": Load(port, SHOP, clients=2),
    }
    with Streams(port) as streams, loads["through the gateway"], loads["slow"], loads["through a sidecar"]:
        for name in workloads:
            said = meshgate.cli("rollout", "restart", f"deploy/{name}")
            assert said == f"deployment.apps/{name} restarted\n"
        said = meshgate.cli("rollout", "status", "deploy/payment", "--timeout", "60s")
        assert said.endswith('deployment "payment" successfully rolled out\n')
        for name in workloads:
            until(partial(rolled_out, meshgate, name), f"{name} is rolled out")
            assert pods(meshgate, name).isdisjoint(before[name])
            assert len(pods(meshgate, name)) == len(before[name])
        assert (
            meshgate.cli("scale", "deploy/payment", "--replicas", "1") == "deployment.apps/payment scaled\n"
        )
        until(lambda: len(pods(meshgate, "payment")) == 1, "one pod")
        meshgate.cli("scale", "deployment", "payment", "--replicas=2")
        until(lambda: len(pods(meshgate, "payment")) == 2, "two pods wanted")
        until(lambda: rolled_out(meshgate, "payment"), "two pods")
        until(lambda: streams.pods >= pods(meshgate, "rpc"), "streams from the new pods")
        for load in loads.values():
            load.more(5)
    for name, load in loads.items():
        assert load.failed() == [], name
    assert streams.errors == []
    assert set(streams.lengths) == {MESSAGES}
    assert len(streams.pods) == 4
    # Three pods, three in their place, two of them taken away, one more: each began and ended with its hook.
    until(lambda: sorted(hooks.read_text().split()) == ["start"] * 7 + ["stop"] * 5, "all hooks")


def test_a_label_moves_a_namespace_into_the_mesh_and_back(rolling: tuple[Meshgate, Path]) -> None:
    meshgate, _ = rolling
    port = meshgate.http_port

    def moved(meshed: bool) -> bool:
        pods = [pod for pod in meshgate.status()["pods"] if pod["namespace"] == "late"]
        return len(pods) == 3 and all(pod["meshed"] == meshed and pod["ready"] for pod in pods)

    def callers(edge: Load, inside: Load) -> set[tuple[str | None, str | None]]:
        return {
            (a.json()["caller"], b.json()["payment"]["caller"])
            for a, b in zip(edge.more(10)[-5:], inside.more(10)[-5:], strict=True)
        }

    until(lambda: moved(meshed=False), "pods without sidecars")
    with Load(port, LATE_EDGE, clients=2) as edge, Load(port, LATE_SHOP, clients=2) as inside:
        assert callers(edge, inside) == {(None, None)}
        for label, meshed, seen in (
            ("istio-injection=enabled", True, (GATEWAY, CALLER)),
            ("istio-injection-", False, (None, None)),
        ):
            meshgate.cli("label", "namespace", "late", label)
            until(partial(moved, meshed), f"{label}: all pods moved")
            until(lambda: callers(edge, inside) == {seen}, f"{label}: callers are {seen}")  # noqa: B023
    assert edge.failed() == []
    assert inside.failed() == []


def test_a_sidecar_that_is_down_is_bypassed_where_the_pod_asks_for_it(
    rolling: tuple[Meshgate, Path],
) -> None:
    meshgate, _ = rolling
    until(lambda: meshgate.ask(FRAIL).status == 200, "it serves")
    assert meshgate.ask(FRAIL).json()["caller"] == GATEWAY
    app = meshgate.pids()["frail/app"]
    for _ in range(4):
        # Each time it is started again later; the last time there is a second to look around.
        pid = until(lambda: meshgate.pids().get("frail/istio-proxy"), "its sidecar runs")
        meshgate.crash(pid)
        until(lambda: meshgate.pids().get("frail/istio-proxy") != pid, "it is gone")  # noqa: B023

    def direct() -> bool:
        answer = meshgate.ask(FRAIL)
        return answer.status == 200 and answer.json()["caller"] is None

    until(direct, "an answer of the program itself")
    until(lambda: meshgate.ask(FRAIL).json()["caller"] == GATEWAY, "mutual TLS again")
    assert meshgate.pids()["frail/app"] == app
