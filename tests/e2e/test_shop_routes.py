"""The published examples at work: shares, header canaries, and what a missing subset does."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.clients import ask_many, assert_split, statuses, versions
from tests.e2e.harness import SHOP, Meshgate, running

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
TOTAL = 4000


def test_the_published_examples_load_without_an_error(shop: Meshgate) -> None:
    published = sorted((SHOP / "seed").glob("*.yaml"))
    assert len(published) == 5
    found = shop.status()
    errors = [line for line in found["diagnostics"] if line["severity"] == "error"]
    assert errors == []
    assert all(proxy["synced"] for proxy in found["proxies"])
    kinds = {o["kind"] for kind in ("vs", "dr", "ingress", "kongplugin") for o in shop.objects(kind)}
    assert kinds == {"VirtualService", "DestinationRule", "Ingress", "KongPlugin"}


def test_the_edge_shares_traffic_90_to_10_as_the_mesh_says(shop: Meshgate) -> None:
    answers = ask_many(TOTAL, lambda _: shop.client(), "/api/users/7")
    assert statuses(answers) == {200: TOTAL}
    assert {answer.json()["path"] for answer in answers} == {"/7"}, "strip-path"
    assert_split(versions(answers), {"v1": 90, "v2": 10}, TOTAL)
    # One proxy pass: the gateway itself calls the pod, by its own identity.
    assert {answer.json()["caller"] for answer in answers} == {
        "spiffe://cluster.local/ns/meshgate-system/sa/meshgate-gateway"
    }


def test_checkout_inside_the_mesh_is_shared_90_to_10(shop: Meshgate) -> None:
    parts = 4

    def call(_: int) -> dict[str, dict[str, int]]:
        answer = shop.ask("shop.example.com", f"/call/payment?times={TOTAL // parts}")
        found: dict[str, dict[str, int]] = answer.json()
        return found

    with ThreadPoolExecutor(parts) as pool:
        reports = list(pool.map(call, range(parts)))
    counted = {v: sum(r["versions"].get(v, 0) for r in reports) for v in ("v1", "v2")}
    assert_split(counted, {"v1": 90, "v2": 10}, TOTAL)
    callers = {caller for report in reports for caller in report["seen_by_target_as"]}
    assert callers == {"spiffe://cluster.local/ns/default/sa/checkout"}


ASK_AS_CHECKOUT = """
import collections, json, urllib.error, urllib.request
def ask(url, **headers):
    request = urllib.request.Request(url, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return {"version": f"{error.code}"}
def count(times, url, **headers):
    return collections.Counter(ask(url, **headers)["version"] for _ in range(times))
"""


def test_exec_stands_in_the_workloads_place(shop: Meshgate) -> None:
    seen = json.loads(
        shop.inside("checkout", f"{ASK_AS_CHECKOUT}\nprint(json.dumps(ask('http://payment/x')))")
    )
    assert seen["caller"] == "spiffe://cluster.local/ns/default/sa/checkout"
    assert (seen["service"], seen["path"]) == ("payment", "/x")


def test_the_header_canary_reaches_v2_and_only_v2(shop: Meshgate) -> None:
    code = f"""{ASK_AS_CHECKOUT}
url = "http://backend-service/"
print(json.dumps([count(200, url, x_canary="true"), count(200, url), count(20, url, x_canary="TRUE")]))"""
    with_header, without, other_value = json.loads(shop.inside("checkout", code))
    assert with_header == {"v2": 200}
    assert without == {"v1": 200}
    assert other_value == {"v1": 20}, "exact means exact"


def test_rules_without_their_subsets_answer_503_and_say_why(isolation: str, tmp_path: Path) -> None:
    manifests = tmp_path / "shop/manifests"
    shutil.copytree(SHOP.parent, tmp_path / "shop")
    # Example 03 alone, without the shop's second DestinationRule.
    for name in ("mesh", "my-service", "user-service", "payment", "edge", "consumers", "redis"):
        (manifests / f"{name}.yaml").unlink()
    for file in (manifests / "seed").glob("*.yaml"):
        if not file.name.startswith("03"):
            file.unlink()
    with running(tmp_path / "state", [manifests], isolation) as meshgate:
        code = f"""{ASK_AS_CHECKOUT}
url = "http://backend-service/"
print(json.dumps([count(10, url, x_canary="true"), count(10, url)]))"""
        assert json.loads(meshgate.inside("checkout", code)) == [{"503": 10}, {"503": 10}]
        warned = [line for line in meshgate.status()["diagnostics"] if line["severity"] == "warning"]
        named = {subset for subset in ("v1", "v2") for line in warned if subset in line["message"]}
        assert named == {"v1", "v2"}
        assert all("subset" in line["message"] for line in warned), warned
        assert all(line["file"].endswith("03-header-canary-and-outliers.yaml") for line in warned)
        assert all(line["line"] > 1 for line in warned)
