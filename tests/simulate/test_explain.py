"""`meshgate explain` on files: text for people, JSON for programs, errors without tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from meshgate.cli import explain as command
from tests.simulate.shop import MANIFESTS


def explain(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    command.register(app)
    result = CliRunner().invoke(app, [*arguments, "-f", str(MANIFESTS)])
    return result.exit_code, result.output


def test_each_line_says_where_it_was_written() -> None:
    code, text = explain("get", "http://api.example.com/api/v1/x", "-H", "x-canary: true")
    assert code == 0
    for part in ("02-kong-jwt-and-rate-limit.yaml:", "03-header-canary-and-outliers.yaml:9:5", "mesh.yaml:"):
        assert part in text
    assert "refused with 401" in text
    assert "100 per minute for each consumer" in text


def test_from_a_workload() -> None:
    code, text = explain("GET", "payment/orders?x=1", "--from", "checkout.default")
    assert code == 0
    assert "90%  payment.default.svc.cluster.local:80 subset v1" in text
    assert "mTLS with spiffe://cluster.local/ns/default/sa/payment" in text


def test_json_is_the_whole_verdict() -> None:
    code, text = explain("GET", "http://x/api/users/1", "-o", "json")
    assert code == 0
    found = json.loads(text)
    assert found["outcome"] == "forward"
    assert [d["percent"] for d in found["destinations"]] == [90, 10]
    assert found["destinations"][0]["labels"] == {"version": "v1"}
    assert found["rule"]["edge_origin"]["line"] == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("GET", "http://payment/", "--from", "nobody"), "there is no Deployment default/nobody"),
        (("GET", "http://payment/", "-H", "nonsense"), "has no colon"),
        (("GET", "http:///x"), "names no host"),
        (("GET", "http://[::1/x"), "is no URL"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "from meshgate.cli import main; main()", "explain", *arguments]
    done = subprocess.run(
        [*argv, "-f", str(MANIFESTS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
