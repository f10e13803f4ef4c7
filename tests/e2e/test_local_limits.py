"""Our own filters in a running meshgate, under load: what must outlive a change, and what must not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from meshgate.native import LIBRARY
from tests.e2e.clients import Answer, Load
from tests.e2e.harness import running
from tests.e2e.waiting import until

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


KEYS = """---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: key}
plugin: key-auth
---
apiVersion: v1
kind: Secret
metadata: {name: ada-key, labels: {konghq.com/credential: key-auth}}
stringData: {key: KEY}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: ada, annotations: {kubernetes.io/ingress.class: kong}}
username: ada
credentials: [ada-key]
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


def test_a_key_that_is_taken_away_is_forgotten_at_once(tmp_path: Path) -> None:
    """Workers remember whose keys they have seen lately; never beyond a change of consumers."""
    manifests = tmp_path / "shop.yaml"
    text = MANIFESTS.replace("FEW", "5") + KEYS + edge("key")
    manifests.write_text(text.replace("KEY", "first"))
    with running(tmp_path / "state", [manifests], "ports") as meshgate:
        clients = [meshgate.client("key.example") for _ in range(8)]
        for known, other in (("first", "second"), ("second", "third"), ("third", "first")):
            for client in clients * 3:
                assert client.ask(headers=[("apikey", known)]).status == 200
            manifests.write_text(text.replace("KEY", other))
            for client in clients:
                until(lambda: client.ask(headers=[("apikey", other)]).status == 200, "the new key")  # noqa: B023
            assert {client.ask(headers=[("apikey", known)]).status for client in clients * 3} == {401}
        for client in clients:
            client.close()
