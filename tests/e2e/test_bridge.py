"""The bridge in a running meshgate: begun when a plugin needs it, told where services are, brought back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.e2e.clients import Answer
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, service
from tests.e2e.waiting import until
from tests.unit.bridge.hmac_signing import authorization

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

HERE = Path(__file__).parent
PLUGINS = """
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: signed}
plugin: hmac-auth
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: agent}
plugin: opa
config: {opa_host: agent, opa_port: 80, opa_path: /v1/data/shop}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: ann, annotations: {kubernetes.io/ingress.class: kong}}
username: ann
credentials: [ann-signs]
---
apiVersion: v1
kind: Secret
metadata: {name: ann-signs, labels: {konghq.com/credential: hmac-auth}}
stringData: {username: ann, secret: hush}
---
"""

LOG = "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: log}\nplugin: file-log\n"
TRACED = (
    """---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: traced}
plugin: opentelemetry
config: {traces_endpoint: "http://collector/v1/traces", sampling_rate: 1}
---
"""
    + service("collector")
    + deployment(
        "collector",
        command=f"{sys.executable} {HERE / 'collector.py'} 8080",
        labels="sidecar.istio.io/inject: 'false'",
    )
)


def _manifests(plugins: str) -> str:
    pods = "".join(
        service(name) + deployment(name, command=f"python3 {HERE / program} 8080", probe="/")
        for name, program in (("mirror", "mirror.py"), ("agent", "policy_agent.py"))
    )
    shop = ingress("shop", host="shop.example", backend="mirror", plugins=plugins)
    return KONG_CLASS + pods + PLUGINS + shop + ingress("open", host="open.example", backend="mirror")


def _bridges(meshgate: Meshgate) -> list[int]:
    """Process ids."""
    wanted, found = str(meshgate.state / "bridge.json").encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def _signed(meshgate: Meshgate, path: str) -> Answer:
    date = formatdate(usegmt=True)
    text = f"x-date: {date}\n@request-target: get {path}"
    signed = authorization("ann", "hush", text, "x-date @request-target")
    return meshgate.ask("shop.example", path, (("x-date", date), ("authorization", signed)))


def test_a_bridge_that_begins_when_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(_manifests(""))
    with running(tmp_path / "state", [file], "ports") as meshgate:
        assert meshgate.ask("shop.example").status == 200
        assert _bridges(meshgate) == []

        file.write_text(_manifests("signed, agent"))
        until(lambda: meshgate.ask("shop.example").status == 401, "the plugins hold")
        (bridge,) = _bridges(meshgate)
        assert (meshgate.state / "bridge.json").stat().st_mode & 0o777 == 0o600

        # The agent is a service of ours: the bridge knows where its pod is.
        allowed = _signed(meshgate, "/a?pass=yes")
        assert (allowed.status, dict(allowed.json()["headers"])["x-consumer-username"]) == (200, "ann")
        assert _signed(meshgate, "/a?pass=no").status == 403

        os.kill(bridge, signal.SIGKILL)
        until(lambda: _signed(meshgate, "/a?pass=yes").status == 200, "a new bridge answers")
        assert _bridges(meshgate) not in ([], [bridge])
        assert meshgate.ask("open.example").status == 200

        # What is written down goes through another process, which begins when it is needed too.
        written = tmp_path / "requests.log"
        log = f"---\n{LOG}config: {{path: {written}}}\n{TRACED}"
        file.write_text(_manifests("signed, agent, log, traced") + log)
        until(lambda: meshgate.ask("shop.example").status == 401 and written.exists(), "it is written down")
        assert json.loads(written.read_text().splitlines()[0])["response"]["status"] == 401
        assert "hush" not in (meshgate.state / "logs.json").read_text()

        # Spans go to a service of ours, as soon as it has a pod.
        def spans() -> list[dict[str, str]]:
            meshgate.ask("shop.example")
            said = meshgate.cli("logs", "collector").splitlines()
            return [json.loads(line) for line in said if line.startswith("{")]

        assert {(one["kind"], one["service"]) for one in until(spans, "spans")} == {("otlp", "kong")}

        file.write_text(_manifests(""))
        until(lambda: meshgate.ask("shop.example").status == 200, "the plugins are gone")
