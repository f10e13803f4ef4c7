"""Rate limits: one bucket per consumer at one gateway, and exactly one count for two with a Redis."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest

from tests.e2e.clients import Answer, Client, ask_many, statuses
from tests.e2e.edge_manifests import ALICE_KEY, BOB_KEY, CAROL_KEY, consumer, key_secret
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, service
from tests.e2e.waiting import until
from tests.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
LIMIT, CLIENTS, ASKED, CONSUMERS = 100, 50, 300, 12


def fresh_minute() -> None:
    """Returns when the minute has a while to go: windows are the calendar's."""
    until(lambda: time.time() % 60 < 55, "the next minute")


def limit_headers(answer: Answer) -> dict[str, str]:
    return {k.lower(): v for k, v in answer.headers if "ratelimit" in k.lower()}


def test_a_local_limit_counts_each_consumer(edge: Meshgate) -> None:
    fresh_minute()
    with closing(edge.client("five.example.test")) as client:
        answers = [client.ask(headers=[("apikey", ALICE_KEY)]) for _ in range(6)]
        bob = client.ask(headers=[("apikey", BOB_KEY)])
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    for number, answer in enumerate(answers):
        found = limit_headers(answer)
        assert found["x-ratelimit-limit-minute"] == found["ratelimit-limit"] == "5"
        left = str(max(4 - number, 0))
        assert found["x-ratelimit-remaining-minute"] == found["ratelimit-remaining"] == left
        assert found["x-ratelimit-limit-hour"] == "50"
    refused = answers[-1]
    assert refused.json()["message"] == "API rate limit exceeded"
    assert re.fullmatch(r"[0-9a-f-]{36}", refused.json()["request_id"])
    assert 1 <= int(refused.header("retry-after") or 0) <= 60
    assert refused.header("retry-after") == refused.header("ratelimit-reset")
    assert (bob.status, bob.header("x-ratelimit-remaining-minute")) == (200, "4")


def test_a_local_limit_without_a_consumer_counts_addresses(edge: Meshgate) -> None:
    fresh_minute()
    # A key that no plugin of this route reads makes nobody a consumer.
    with closing(edge.client("five-by-ip.example.test")) as client:
        answers = [client.ask(headers=[("apikey", key)]) for key in (ALICE_KEY, BOB_KEY, CAROL_KEY) * 2]
    assert [answer.status for answer in answers] == [200] * 5 + [429]


def test_the_refusals_status_words_and_headers_can_be_chosen(edge: Meshgate) -> None:
    with closing(edge.client("two-hidden.example.test")) as client:
        answers = [client.ask(headers=[("apikey", CAROL_KEY)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 403]
    assert answers[-1].json()["message"] == "slow down"
    for answer in answers:
        assert limit_headers(answer) == {}
        assert answer.header("retry-after") is None


@dataclass(slots=True, kw_only=True)
class Pair:
    """Two gateways with the same manifests and one Redis."""

    gateways: tuple[Meshgate, Meshgate]
    redis: RedisServer
    fresh: Iterator[str]
    """Keys of consumers that have not called yet."""

    def clients(self, host: str) -> Callable[[int], Client]:
        """The n-th client: the gateways take turns."""
        return lambda n: self.gateways[n % 2].client(f"{host}.example.test")

    def burst(self, host: str = "tolerant") -> list[Answer]:
        """All answers to one consumer's 300 questions within one minute of the calendar.

        Where the minute turned meanwhile, another consumer asks anew.
        """
        while True:
            key, minute = next(self.fresh), int(time.time() // 60)
            answers = ask_many(ASKED, self.clients(host), "/", [("apikey", key)], clients=CLIENTS)
            if int(time.time() // 60) == minute:
                return answers

    def ask(self, host: str) -> list[Answer]:
        """One question to each gateway by a consumer who asks nothing else."""
        key = [("apikey", "key-of-consumer-0000")]
        return [gateway.ask(f"{host}.example.test", headers=key) for gateway in self.gateways]


def shared_manifests(port: int) -> str:
    def limit(name: str, fault_tolerant: str) -> str:
        return f"""
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: {name}}}
plugin: rate-limiting
config:
  minute: {LIMIT}
  policy: redis
  fault_tolerant: {fault_tolerant}
  redis: {{host: 127.0.0.1, port: {port}}}
---
"""

    keys = "".join(
        consumer(f"c{n}", f"c{n}-key") + key_secret(f"c{n}-key", f"key-of-consumer-{n:04}")
        for n in range(CONSUMERS)
    )
    return (
        mesh_namespace()
        + KONG_CLASS
        + service("echo")
        + deployment("echo")
        + "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: key}\n"
        + "plugin: key-auth\n---\n"
        + limit("tolerant", "true")
        + limit("strict", "false")
        + ingress("tolerant", host="tolerant.example.test", backend="echo", plugins="key,tolerant")
        + ingress("strict", host="strict.example.test", backend="echo", plugins="key,strict")
        + keys
    )


@pytest.fixture(scope="module")
def pair(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp(f"limits-{isolation}")
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder))
        manifests = folder / "limits.yaml"
        manifests.write_text(shared_manifests(redis.port))
        one, two = (
            stack.enter_context(running(folder / name, [manifests], isolation)) for name in ("one", "two")
        )
        yield Pair(
            gateways=(one, two),
            redis=redis,
            fresh=iter([f"key-of-consumer-{n:04}" for n in range(1, CONSUMERS)]),
        )


def assert_exact(answers: list[Answer]) -> None:
    """100 of 300 passed, and no two of them were the same one of the hundred."""
    assert statuses(answers) == {200: LIMIT, 429: ASKED - LIMIT}
    left = sorted(int(a.header("x-ratelimit-remaining-minute") or -1) for a in answers if a.status == 200)
    assert left == list(range(LIMIT))
    for answer in answers:
        if answer.status == 429:
            assert answer.json()["message"] == "API rate limit exceeded"
            assert answer.header("x-ratelimit-remaining-minute") == "0"
            assert 1 <= int(answer.header("retry-after") or 0) <= 60


@pytest.mark.redis
def test_two_gateways_share_one_exact_count_also_after_redis_was_away(pair: Pair) -> None:
    assert_exact(pair.burst())
    pair.redis.kill()
    tolerant = ask_many(2 * LIMIT, pair.clients("tolerant"), "/", [("apikey", next(pair.fresh))], clients=10)
    assert statuses(tolerant) == {200: 2 * LIMIT}
    assert limit_headers(tolerant[-1]) == {}
    for answer in pair.ask("strict"):
        assert answer.status == 500
        assert answer.json()["message"] == "An unexpected error occurred"
    pair.redis.start()
    until(lambda: all(limit_headers(answer) for answer in pair.ask("tolerant")), "both gateways count again")
    assert_exact(pair.burst())
    assert_exact(pair.burst("strict"))
