"""kubectl's verbs, as a user types them."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.conftest import Meshgate
from tests.unit.sources.control import service

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, command: [sleep, "1"]}]}
"""


@pytest.fixture
def web(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text(service() + "---\n" + DEPLOYMENT)
    return path


def test_apply_get_delete(meshgate: Meshgate, state: Path, web: Path) -> None:
    first = meshgate("apply", "-f", web, "--state", state)
    assert (first.code, first.out) == (0, "service/web created\ndeployment.apps/web created\n")
    again = meshgate("apply", "-f", web, "--state", state)
    assert again.out == "service/web unchanged\ndeployment.apps/web unchanged\n"
    web.write_text(service(port=81) + "---\n" + DEPLOYMENT)
    assert "service/web configured\n" in meshgate("apply", "-f", web, "--state", state).out
    gone = meshgate("delete", "svc", "web", "--state", state)
    assert (gone.code, gone.out) == (0, 'service "web" deleted\n')
    missing = meshgate("delete", "svc", "web", "--state", state)
    assert (missing.code, missing.err) == (1, 'Error from server: services "web" not found\n')
    assert meshgate("delete", "svc", "web", "--ignore-not-found", "--state", state).code == 0
    by_file = meshgate("delete", "-f", web, "--ignore-not-found", "--state", state)
    assert by_file.out == 'deployment.apps "web" deleted\n'


def test_apply_reads_standard_input(meshgate: Meshgate, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(service().encode())))
    assert meshgate("apply", "-f", "-", "--state", state).out == "service/web created\n"


def test_apply_says_where_an_error_is(meshgate: Meshgate, state: Path, web: Path) -> None:
    web.write_text(service().replace("port: 80", "port: 70000"))
    ran = meshgate("apply", "-f", web, "--state", state)
    assert (ran.code, ran.out) == (1, "")
    assert f"{web}:9:11: error MG2002 Service default/web spec.ports[0].port" in ran.err


def test_tables_are_kubectls(meshgate: Meshgate, state: Path, web: Path) -> None:
    meshgate("apply", "-f", web, "--state", state)
    pods = meshgate("get", "po", "--state", state).out.splitlines()
    assert pods[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[:4] for line in pods[1:]] == [
        ["web-1", "1/1", "Running", "2"],
        ["web-2", "0/1", "Running", "2"],
    ]
    wide = meshgate("get", "pods", "web-1", "-o", "wide", "--state", state).out.splitlines()
    assert wide[0].split()[-2:] == ["IP", "NODE"]
    assert wide[1].split()[-2:] == ["10.0.0.1", "<none>"]
    services = meshgate("get", "service", "--state", state).out.splitlines()
    assert services[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert services[1].split()[:5] == ["web", "ClusterIP", "10.96.0.7", "<none>", "80/TCP"]
    deployments = meshgate("get", "deploy", "--state", state).out.splitlines()
    assert deployments[1].split()[:4] == ["web", "1/2", "2", "1"]


def test_get_all_names_kinds(meshgate: Meshgate, state: Path, web: Path) -> None:
    meshgate("apply", "-f", web, "--state", state)
    tables = meshgate("get", "all", "-A", "--state", state).out.split("\n\n")
    assert [table.splitlines()[1].split()[:2] for table in tables] == [
        ["default", "pod/web-1"],
        ["default", "service/web"],
        ["default", "deployment.apps/web"],
    ]
    names = meshgate("get", "all", "-o", "name", "--state", state).out.splitlines()
    assert names == ["pod/web-1", "pod/web-2", "service/web", "deployment.apps/web"]


def test_structured_output(meshgate: Meshgate, state: Path, web: Path) -> None:
    meshgate("apply", "-f", web, "--state", state)
    one = yaml.safe_load(meshgate("get", "deploy", "web", "-o", "yaml", "--state", state).out)
    assert one["status"]["readyReplicas"] == 1
    assert one["metadata"]["generation"] == 1
    assert one["metadata"]["namespace"] == "default"
    several = json.loads(meshgate("get", "svc,deploy", "-o", "json", "--state", state).out)
    assert several["kind"] == "List"
    assert [item["kind"] for item in several["items"]] == ["Service", "Deployment"]
    both = yaml.safe_load(meshgate("get", "svc,deploy", "web", "-o", "yaml", "--state", state).out)
    assert [item["kind"] for item in both["items"]] == ["Service", "Deployment"]
    empty = json.loads(meshgate("get", "vs", "-o", "json", "--state", state).out)
    assert empty["items"] == []


def test_what_is_not_there(meshgate: Meshgate, state: Path) -> None:
    nothing = meshgate("get", "vs", "--state", state)
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == "No resources found in default namespace.\n"
    missing = meshgate("get", "pods", "web-1", "nope", "--state", state)
    assert missing.code == 1
    assert missing.out.splitlines()[1].startswith("web-1 ")
    assert missing.err == 'Error from server (NotFound): pods "nope" not found\n'
    unknown = meshgate("get", "podz", "--state", state)
    assert unknown.code == 1
    assert "resource type" in unknown.err
    assert "Traceback" not in unknown.err


def test_secrets_are_in_yaml_only(meshgate: Meshgate, state: Path, web: Path) -> None:
    web.write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: topsecret}\n")
    assert "topsecret" not in meshgate("apply", "-f", web, "--state", state).out
    table = meshgate("get", "secret", "--state", state).out
    assert table.splitlines()[1].split()[:3] == ["s", "Opaque", "1"]
    assert yaml.safe_load(meshgate("get", "secret", "s", "-o", "yaml", "--state", state).out)["data"] == {
        "k": "dG9wc2VjcmV0"
    }


def test_label_and_patch(meshgate: Meshgate, state: Path, web: Path) -> None:
    meshgate("apply", "-f", web, "--state", state)
    assert meshgate("label", "ns", "default", "istio-injection=enabled", "--state", state).out == (
        "namespace/default labeled\n"
    )
    refused = meshgate("label", "ns/default", "istio-injection=x", "--state", state)
    assert (refused.code, "--overwrite" in refused.err) == (1, True)
    assert meshgate("label", "ns", "default", "istio-injection-", "--state", state).out == (
        "namespace/default unlabeled\n"
    )
    patch = '{"spec": {"replicas": 3}}'
    patched = meshgate("patch", "deploy", "web", "--type", "merge", "-p", patch, "--state", state)
    assert patched.out == "deployment.apps/web patched\n"
    again = meshgate("patch", "deploy/web", "-p", patch, "--state", state)
    assert again.out == "deployment.apps/web patched (no change)\n"
    bad = meshgate("patch", "deploy", "web", "-p", "{", "--state", state)
    assert (bad.code, "neither JSON nor YAML" in bad.err) == (1, True)
    broken = meshgate("patch", "deploy", "web", "-p", '{"spec": {"replicas": -1}}', "--state", state)
    assert (broken.code, "spec.replicas" in broken.err) == (1, True)


def test_status_logs_and_exec(
    meshgate: Meshgate, state: Path, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = meshgate("status", "--state", state)
    assert shown.code == 0
    assert "http://127.0.0.1:8080" in shown.out
    assert json.loads(meshgate("status", "-o", "json", "--state", state).out)["pods"][0]["name"] == "web-1"
    state.mkdir(exist_ok=True)
    (state / "web.log").write_text("hello\n")
    assert meshgate("logs", "web", "--state", state).out == "hello\n"
    assert meshgate("logs", "nobody", "--state", state).code == 1
    ran: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr("os.execvpe", lambda *given: ran.append(given))
    meshgate("exec", "web.shop", "--state", state, "--", "env", "-u", "X")
    [(program, argv, env)] = ran
    assert (program, argv) == ("env", ["env", "-u", "X"])
    assert env["PLACE"] == "web.shop"


def test_a_bug_shows_no_traceback(meshgate: Meshgate, state: Path) -> None:
    ran = meshgate("exec", "bug", "--state", state, "--", "ls")
    assert ran.code == 1
    assert "Traceback" not in ran.out + ran.err
    assert "KeyError" in ran.err
