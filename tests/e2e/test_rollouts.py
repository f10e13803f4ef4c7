"""Pods are replaced under load, and no request fails: rollouts, scaling, hooks; in both isolations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from tests.e2e.harness import (
    KONG_CLASS,
    ROOT,
    Load,
    Meshgate,
    deployment,
    ingress,
    mesh_namespace,
    owner,
    running,
    service,
    until,
)
from tests.e2e.rolling_app import MESSAGES

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

APP = ROOT / "tests/e2e/rolling_app.py"
CHECKOUT = ROOT / "examples/shop/checkout.py"
EDGE, SHOP, RPC = "pay.example.test", "shop.example.test", "rpc.example.test"
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
    pay = pay.replace("spec:\n  selector", "spec:\n  replicas: 3\n  selector", 1).replace(
        "        ports:", HOOKS.format(file=hooks).strip("\n") + "\n        ports:"
    )
    rpc = deployment("rpc", command=f"python3 {APP} grpc rpc v1 8080").replace(
        "httpGet: {path: /healthz, port: http}", "tcpSocket: {port: http}"
    )
    return (
        mesh_namespace()
        + KONG_CLASS
        + service("payment")
        + pay
        + service("checkout")
        + deployment("checkout", command=f"python3 {CHECKOUT} v1 8080")
        + service("rpc").replace("name: http, port: 80, targetPort", "name: grpc, port: 80, targetPort")
        + rpc.replace("spec:\n  selector", "spec:\n  replicas: 2\n  selector", 1)
        + ingress("pay", host=EDGE, backend="payment")
        + ingress("shop", host=SHOP, backend="checkout")
        + ingress("rpc", host=RPC, backend="rpc")
    )


@pytest.fixture(scope="module")
def rolling(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Meshgate, Path]]:
    folder = tmp_path_factory.mktemp(f"rolling-{isolation}")
    (folder / "base.yaml").write_text(manifests(folder / "hooks"))
    with running(folder / "state", [folder / "base.yaml"], isolation) as meshgate:
        yield meshgate, folder / "hooks"


def pods(meshgate: Meshgate, workload: str) -> set[str]:
    return {p["metadata"]["name"] for p in meshgate.objects("pods") if owner(p) == workload}


def rolled_out(meshgate: Meshgate, name: str) -> bool:
    (status,) = [o["status"] for o in meshgate.objects("deploy") if o["metadata"]["name"] == name]
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
