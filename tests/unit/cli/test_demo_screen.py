"""The live view, drawn from counted answers."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rich.console import Console

from meshgate.cli.demo_certificates import Certificate
from meshgate.cli.demo_http import Answer, Ask
from meshgate.cli.demo_screen import Shown, line, screen
from meshgate.cli.demo_steps import API, SHOP
from meshgate.cli.demo_traffic import Mix, Stats
from meshgate.sources.backend import PodLine, ProxyLine, StatusReport

CHECKOUT = "spiffe://cluster.local/ns/default/sa/checkout"
REPORT = StatusReport(
    version="1",
    pid=7,
    isolation="ports",
    started="2026-01-01T00:00:00Z",
    gateway_ready=True,
    pods=(
        PodLine(
            namespace="default",
            name="web-1",
            workload="web",
            phase="Running",
            ready=True,
            restarts=2,
            ip="127.0.0.1",
            meshed=True,
        ),
    ),
    proxies=(ProxyLine(id="sidecar~web-1.default~abc", synced=True),),
)


def answer(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    now = time.monotonic()
    return Answer(
        status=status, began=now - 0.002, ended=now, body=json.dumps(body).encode(), headers=headers or {}
    )


def some_stats() -> Stats:
    stats = Stats()
    users = {"service": "user-service", "version": "v2", "caller": "spiffe://cluster.local/ns/a/sa/b"}
    stats.take(Ask(path="/api/users"), answer(200, users))
    called = {"target": "payment", "versions": {"v1": 1}, "seen_by_target_as": {CHECKOUT: 1}}
    stats.take(Ask(path="/call/payment?times=1", host=SHOP), answer(200, called))
    left = {"x-ratelimit-limit-minute": "100", "x-ratelimit-remaining-minute": "0"}
    stats.take(Ask(path="/api/v1", host=API), answer(429, {"message": "API rate limit exceeded"}, left))
    stats.take(Ask(path="/api/v1", host=API), answer(401))
    return stats


def test_answers_are_counted_by_what_they_say() -> None:
    stats = some_stats()
    window = stats.window()
    assert window.versions == {"payment": {"v1": 1}, "user-service": {"v2": 1}}
    assert window.statuses == {200: 2, 429: 1, 401: 1}
    assert window.failed == 0
    assert stats.callers["payment", CHECKOUT] == 1
    limit = stats.limits["/api/v1"]
    assert (limit.passed, limit.refused, limit.remaining, limit.per_minute) == (0, 1, "0", "100")
    stats.take(Ask(path="/"), answer(503))
    stats.take(Ask(path="/"), answer(0))
    assert stats.window().failed == 2


def drawn(shown: Shown) -> str:
    text = io.StringIO()
    Console(file=text, width=140).print(screen(shown))
    return text.getvalue()


def test_the_screen_shows_all_of_it() -> None:
    soon = Certificate(spiffe_id="", until=datetime.now(UTC) + timedelta(hours=3, seconds=30))
    shown = Shown(
        url="http://x:1",
        stats=some_stats(),
        report=REPORT,
        certificates={"web": soon},
        notes=("[boom]",),
        keys={"q": "end"},
    )
    text = drawn(shown)
    for said in (
        "http://x:1",
        "user-service",
        "0/100",
        "ns/default/sa/checkout",
        "in step",
        "3 h 00 min",
        "[boom]",
        "q end",
    ):
        assert said in text


def test_without_a_control_plane_it_says_so() -> None:
    assert "control plane is away" in drawn(Shown(url="http://x:1", stats=Stats(), report=None))
    assert line(Shown(url="", stats=Stats(), report=None)).endswith("control plane away")


def test_the_line_has_the_same() -> None:
    text = line(Shown(url="", stats=some_stats(), report=REPORT))
    for said in ("4 sent", "200 2, 401 1, 429 1", "payment v1 100%", "pods 1/1"):
        assert said in text


def test_the_mix_asks_for_everything_in_a_hundred_requests() -> None:
    mix = Mix()
    asked = [mix.choose() for _ in range(100)]
    assert {ask.path.partition("?")[0] for ask in asked} == {
        "/api/users",
        "/call/payment",
        "/call/backend-service",
        "/anything",
        "/api/v1",
        "/api/partners",
    }
    with_token = [ask for ask in asked if "Authorization" in ask.headers]
    assert {ask.path for ask in with_token} == {"/api/v1"}
