"""Local limits in a running meshgate: what was counted stays counted when rules change, under load."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from meshgate.native import LIBRARY
from tests.e2e.harness import Answer, Load, running, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.envoy,
    pytest.mark.skipif(not LIBRARY.is_file(), reason="no C compiler built our filters"),
]

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: answer}
plugin: request-termination
config: {status_code: 200, message: served}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: few}
plugin: rate-limiting
config: {year: FEW, limit_by: service}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: many}
plugin: rate-limiting
config: {year: 100000000, limit_by: ip}
"""


def edge(name: str) -> str:
    return f"""---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{konghq.com/plugins: "{name},answer"}}}}
spec:
  ingressClassName: kong
  rules:
  - host: {name}.example
    http:
      paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: shop, port: {{number: 80}}}}}}}}]
"""


def _passed(answer: Answer) -> Answer | None:
    return answer if answer.status == 200 else None


def test_counts_survive_changes_of_the_rules_under_load(tmp_path: Path) -> None:
    manifests = tmp_path / "shop.yaml"
    text = MANIFESTS + edge("few") + edge("many")
    manifests.write_text(text.replace("FEW", "5"))
    with running(tmp_path / "state", [manifests], "ports") as meshgate:
        with Load(meshgate.http_port, "many.example", clients=2) as load:
            with closing(meshgate.client("few.example")) as client:
                answers = [client.ask() for _ in range(7)]
                assert [a.status for a in answers] == [200] * 5 + [429] * 2
                for limit in range(6, 26):
                    manifests.write_text(text.replace("FEW", str(limit)))
                    # Each change lets one more pass: the others are still counted.
                    answer = until(lambda: _passed(client.ask()), f"a limit of {limit}")
                    assert answer.header("x-ratelimit-limit-year") == str(limit)
                    assert answer.header("x-ratelimit-remaining-year") == "0"
                    assert client.ask().status == 429
            load.more(100)
        assert load.failed() == []
        assert len({a.header("x-ratelimit-remaining-year") for a in load.answers}) == len(load.answers)
