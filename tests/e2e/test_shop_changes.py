"""Changes while it runs: files, and the command line. Traffic follows, and no request fails on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import Load, assert_split, versions
from tests.e2e.harness import ROOT, Meshgate, owner, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

CHECKOUT = ROOT / "examples/shop/checkout.py"
EDGE, SHOP = "pay.example.test", "shop.example.test"
TOTAL = 2000


def routes(v1: int | str, v2: int | str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: payment}}
spec:
  hosts: [payment]
  http:
  - route:
    - destination: {{host: payment, subset: v1}}
      weight: {v1}
    - destination: {{host: payment, subset: v2}}
      weight: {v2}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: payment}}
spec:
  host: payment
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""


def manifests() -> str:
    return (
        mesh_namespace()
        + KONG_CLASS
        + service("payment")
        + deployment("payment-v1", "v1", app="payment")
        + deployment("payment-v2", "v2", app="payment")
        + service("checkout")
        + deployment("checkout", command=f"python3 {CHECKOUT} v1 8080")
        + ingress("pay", host=EDGE, backend="payment")
        + ingress("shop", host=SHOP, backend="checkout")
        + "apiVersion: v1\nkind: Namespace\nmetadata: {name: late}\n---\n"
        + service("late", namespace="late")
        + deployment("late", namespace="late")
        + ingress("late", host="late.example.test", backend="late", namespace="late")
    )


@dataclass(slots=True, kw_only=True)
class Running:
    """A meshgate and the file whose weights the tests change."""

    meshgate: Meshgate
    file: Path

    def save(self, text: str) -> float:
        """Writes the file in one piece; the time, on the monotonic clock, when it was saved."""
        fresh = self.file.with_suffix(".tmp")
        fresh.write_text(text)
        fresh.replace(self.file)
        return time.monotonic()

    def settle(self, v1: int, v2: int) -> None:
        """The weights of the tests' beginning, in force: one version takes all."""
        self.save(routes(v1, v2))
        wanted = "v1" if v1 else "v2"
        until(lambda: {self.meshgate.ask(EDGE).version for _ in range(10)} == {wanted}, f"only {wanted}")


@pytest.fixture(scope="module")
def changing(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(f"changes-{isolation}")
    paths = [folder / "manifests"]
    paths[0].mkdir()
    (paths[0] / "base.yaml").write_text(manifests())
    file = paths[0] / "routes.yaml"
    file.write_text(routes(100, 0))
    with running(folder / "state", paths, isolation) as meshgate:
        yield Running(meshgate=meshgate, file=file)


def paid_by(load: Load, start: int) -> list[tuple[float, str]]:
    """(when, version of payment) of the answers since `start`, at the edge or behind checkout."""
    found = []
    for answer in load.answers[start:]:
        body = answer.json()
        found.append((answer.at, str(body.get("payment", body)["version"])))
    return found


def a_second_later(load: Load, saved: float) -> None:
    """Waits until an answer has come that is more than a second younger."""
    until(lambda: load.answers[-1].at > saved + 1, "a second of answers")


def test_a_saved_weight_is_in_force_within_a_second_and_no_request_fails(
    changing: Running, record_property: Callable[[str, object], None]
) -> None:
    changing.settle(100, 0)
    port = changing.meshgate.http_port
    with Load(port, EDGE, clients=2) as edge, Load(port, SHOP, clients=2) as inside:
        loads = {"edge": edge, "inside": inside}
        for v1, v2, new in ((0, 100, "v2"), (100, 0, "v1"), (0, 100, "v2")):
            starts = {name: len(load.answers) for name, load in loads.items()}
            saved = changing.save(routes(v1, v2))
            for name, load in loads.items():
                a_second_later(load, saved)
                old = [at - saved for at, version in paid_by(load, starts[name]) if version != new]
                took = max(old, default=0.0)
                assert took <= 1, f"{name}: all to {new} only after {took:.3f} s"
                record_property(f"{name}: to {new}, seconds after the save", round(took, 3))
                print(f"{name}: the last old answer came {took * 1000:.0f} ms after the save")
        changing.save(routes(70, 30))
        until(lambda: {v for _, v in paid_by(edge, len(edge.answers) - 20)} == {"v1", "v2"}, "both versions")
        counted = versions(edge.more(TOTAL))
        assert_split(counted, {"v1": 70, "v2": 30}, TOTAL)
    for load in loads.values():
        assert load.failed() == []


def served(meshgate: Meshgate, host: str) -> None:
    """Waits until the gateway knows the host."""
    until(lambda: meshgate.ask(host).status == 200, f"{host} is served")


def test_a_broken_edit_keeps_the_last_good_and_everything_else_goes_on(changing: Running) -> None:
    changing.settle(0, 100)
    meshgate = changing.meshgate
    other = changing.file.with_name("other.yaml")
    with Load(meshgate.http_port, EDGE, clients=2) as load:
        for number, broken in enumerate((routes("many", 0), "kind: [unclosed\n")):
            changing.save(broken)

            def told() -> list[dict[str, object]]:
                lines = meshgate.status()["diagnostics"]
                return [d for d in lines if d["severity"] == "error" and d["file"] == str(changing.file)]

            found = until(told, "status names the file")
            assert all(int(str(line["line"])) > 0 and line["message"] for line in found), found
            assert "routes.yaml" in meshgate.cli("status")
            # Another file is read as ever.
            host = f"other{number}.example.test"
            other.write_text(ingress("other", host=host, backend="payment"))
            served(meshgate, host)
            assert versions(load.answers).keys() == {"v2"}, broken
        changing.save(routes(100, 0))
        until(lambda: {a.version for a in load.more(20)} == {"v1"}, "the mended file is in force")
        until(lambda: not told(), "nothing is wrong any more")
        other.unlink()
        until(lambda: meshgate.ask(host).status == 404, "a file that is gone takes its objects along")
    assert load.failed() == []


def test_a_label_moves_pods_into_the_mesh_and_out_again(changing: Running) -> None:
    meshgate = changing.meshgate
    host = "late.example.test"

    def moved(meshed: bool) -> bool:
        pods = [pod for pod in meshgate.status()["pods"] if pod["namespace"] == "late"]
        return len(pods) == 1 and pods[0]["meshed"] == meshed and bool(pods[0]["ready"])

    assert moved(meshed=False)
    with Load(meshgate.http_port, host, clients=2) as load:
        assert load.answers[-1].json()["caller"] is None
        said = meshgate.cli("label", "namespace", "late", "istio-injection=enabled")
        assert said == "namespace/late labeled\n"
        until(lambda: moved(meshed=True), "a pod with a sidecar")
        gateway = "spiffe://cluster.local/ns/meshgate-system/sa/meshgate-gateway"
        until(lambda: load.more(1)[0].json()["caller"] == gateway, "mTLS to the new pod")
        load.more(50)
    assert load.failed() == []
    assert meshgate.cli("label", "namespace", "late", "istio-injection-") == "namespace/late unlabeled\n"
    until(lambda: moved(meshed=False), "a pod without a sidecar")
    until(lambda: plain_call(meshgate, host), "plaintext to the new pod")


def plain_call(meshgate: Meshgate, host: str) -> bool:
    answer = meshgate.ask(host)
    return answer.status == 200 and answer.json()["caller"] is None


def test_apply_patch_and_delete_change_traffic(changing: Running, tmp_path: Path) -> None:
    meshgate = changing.meshgate
    changing.settle(100, 0)
    file = tmp_path / "more.yaml"
    file.write_text(
        service("more") + deployment("more") + ingress("more", host="more.example.test", backend="more")
    )
    assert meshgate.ask("more.example.test").status == 404
    said = meshgate.cli("apply", "-f", str(file))
    assert "ingress.networking.k8s.io/more created" in said
    assert "deployment.apps/more created" in said
    until(lambda: meshgate.ask("more.example.test").status == 200, "what was applied is served")
    assert owner(meshgate.pod("more")) == "more"

    weights = [
        {"destination": {"host": "payment", "subset": f"v{n}"}, "weight": 100 * (n - 1)} for n in (1, 2)
    ]
    patch = json.dumps({"spec": {"http": [{"route": weights}]}})
    assert "payment patched" in meshgate.cli("patch", "vs", "payment", "-p", patch)
    until(lambda: {meshgate.ask(EDGE).version for _ in range(10)} == {"v2"}, "the patch is in force")

    host = json.dumps([{"host": "moved.example.test", "http": ingress_paths("more")}])
    meshgate.cli("patch", "ingress", "more", "-p", f'{{"spec": {{"rules": {host}}}}}')
    until(lambda: meshgate.ask("moved.example.test").status == 200, "the new host is served")
    until(lambda: meshgate.ask("more.example.test").status == 404, "the old one no more")

    assert "deleted" in meshgate.cli("delete", "-f", str(file))
    until(lambda: meshgate.ask("moved.example.test").status == 404, "what was deleted is gone")
    until(lambda: "more" not in {owner(pod) for pod in meshgate.objects("pods")}, "its pod too")
    meshgate.cli("delete", "ingress", "more", fails=True)


def ingress_paths(backend: str) -> dict[str, object]:
    target = {"service": {"name": backend, "port": {"number": 80}}}
    return {"paths": [{"path": "/", "pathType": "Prefix", "backend": target}]}
