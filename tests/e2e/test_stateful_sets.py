"""StatefulSets and DaemonSets run as Deployments do, under names that stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Meshgate, owner, running
from tests.e2e.manifests import deployment, ingress, mesh_namespace, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
HOST = "log.example.test"


def _set(version: str) -> str:
    text = deployment("log", version).replace("kind: Deployment", "kind: StatefulSet")
    return text.replace("\nspec:\n", "\nspec:\n  replicas: 2\n", 1)


def _pods(meshgate: Meshgate, workload: str) -> dict[str, dict[str, Any]]:
    return {p["metadata"]["name"]: p for p in meshgate.objects("pods") if owner(p) == workload}


def test_names_stay_when_the_template_changes(isolation: str, tmp_path: Path) -> None:
    agent = deployment("agent").replace("kind: Deployment", "kind: DaemonSet")
    rest = (
        mesh_namespace()
        + service("log")
        + service("agent")
        + agent
        + ingress("log", host=HOST, backend="log")
    )
    (tmp_path / "rest.yaml").write_text(rest)
    changing = tmp_path / "log.yaml"
    changing.write_text(_set("v1"))
    with running(tmp_path / "state", [tmp_path / "rest.yaml", changing], isolation) as meshgate:
        assert meshgate.ask(HOST).version == "v1"
        before = _pods(meshgate, "log")
        assert sorted(before) == ["log-0", "log-1"]
        assert before["log-1"]["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "log-1"
        assert before["log-1"]["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
        assert meshgate.inside("log-1", "import os; print(os.environ['POD_NAME'])") == "log-1\n"
        assert len(_pods(meshgate, "agent")) == 1
        assert meshgate.cli("get", "sts,ds", "--no-headers").split()[:2] == ["statefulset.apps/log", "2/2"]

        changing.write_text(_set("v2"))

        def replaced() -> bool:
            status = meshgate.objects("statefulsets")[0]["status"]
            now = _pods(meshgate, "log")
            versions = {p["metadata"]["labels"]["version"] for p in now.values()}
            return versions == {"v2"} and status["updatedReplicas"] == status["readyReplicas"] == 2

        until(replaced, "two pods of the new template")
        assert sorted(_pods(meshgate, "log")) == ["log-0", "log-1"]
        meshgate.wait_ready()
        assert {meshgate.ask(HOST).version for _ in range(6)} == {"v2"}
