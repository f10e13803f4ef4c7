"""`policy: local` of rate-limiting against a real Envoy: what clients are told, and what others are not.

Once with our own filter, where windows are the calendar's, and once with Envoy's token buckets.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from meshgate.native import LIBRARY
from tests.envoy.kong_edge import NATIVE, Answer, Ask, asked, consumer, gateway, plugin, route, send
from tests.simulate.live import Serving

pytestmark = pytest.mark.envoy

MANIFESTS = (
    plugin("key", "key-auth", "{}")
    + plugin("two", "rate-limiting", "{day: 2, year: 5}")
    + plugin("hidden", "rate-limiting", "{day: 1, limit_by: ip, hide_client_headers: true}")
    + plugin("by-header", "rate-limiting", "{day: 1, limit_by: header, header_name: X-Team}")
    + plugin("by-path", "rate-limiting", "{day: 1, limit_by: path, path: /by-path/all}")
    + plugin("by-service", "rate-limiting", "{day: 1, limit_by: service}")
    + plugin("by-credential", "rate-limiting", "{day: 1, limit_by: credential}")
    + plugin("worded", "rate-limiting", "{day: 1, limit_by: ip, error_code: 503, error_message: Come back}")
    + route("two", "key", "two")
    + route("hidden", "hidden")
    + route("by-header", "by-header")
    + route("by-path", "by-path")
    + route("by-service", "by-service")
    + route("by-credential", "key", "by-credential")
    + route("worded", "worded")
    + route("known", "key")
    + route("free")
    + consumer(
        "ada", {"ada-key": ("key-auth", {"key": "ada-key"}), "ada-other": ("key-auth", {"key": "ada-other"})}
    )
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bob-key"})}).replace(
        "username: bob", "username: 100%bob"
    )
)
ADA = (("apikey", "ada-key"), ("x-consumer-username", "eve"))
BOB = (("apikey", "bob-key"),)


def told(answer: Answer) -> dict[str, str]:
    """What the answer says of limits."""
    names = ("limit", "retry", "remaining", "reset")
    return {name: ", ".join(v) for name, v in sorted(answer.headers.items()) if any(n in name for n in names)}


def test_our_filters_are_built_where_there_is_a_compiler() -> None:
    assert LIBRARY.is_file() or not shutil.which("cc"), "make install should have built it: see its output"


@NATIVE
def test_headers_of_limits(native: bool, tmp_path: Path) -> None:
    requests = [
        Ask("/two", headers=ADA),
        Ask("/two", headers=ADA),
        Ask("/two", headers=ADA),
        Ask("/hidden"),
        Ask("/hidden"),
        Ask("/free", headers=ADA),
        Ask("/nowhere"),
        Ask("/known", headers=ADA),
        Ask("/two"),
        Ask("/two", headers=BOB),
    ]
    first, _, refused, hidden, hidden_refusal, free, nowhere, known, unknown, bob = asked(
        MANIFESTS, requests, tmp_path, native=native
    )
    assert told(first).keys() == {
        "x-ratelimit-limit-day",
        "x-ratelimit-remaining-day",
        "x-ratelimit-limit-year",
        "x-ratelimit-remaining-year",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
    }
    assert first.header("x-ratelimit-remaining-day") == "1"
    assert first.header("x-ratelimit-remaining-year") == "4"
    assert first.header("ratelimit-limit") == "2", "the window's with the least left"
    assert first.seen.headers["x-consumer-username"] == ["ada"]
    assert (refused.status, refused.message) == (429, "API rate limit exceeded")
    assert refused.header("retry-after") == refused.header("ratelimit-reset")
    assert refused.header("x-ratelimit-remaining-day") == "0"
    assert hidden.reached
    assert hidden_refusal.status == 429
    for silent in (hidden, hidden_refusal, free, nowhere, known):
        assert told(silent) == {}
    assert "x-consumer-username" not in free.seen.headers
    assert known.seen.headers["x-consumer-username"] == ["ada"]
    assert unknown.status == 401
    assert bob.header("x-ratelimit-remaining-day") == "1", "each consumer has a count of his own"
    assert bob.seen.headers["x-consumer-username"] == ["100%bob"]


@NATIVE
def test_who_is_counted(native: bool, tmp_path: Path) -> None:
    def by(path: str, *headers: tuple[str, str], source: str = "127.0.0.1") -> Ask:
        return Ask(path, headers=headers, source=source)

    expected = [
        (by("/by-header", ("x-team", "red")), 200),
        (by("/by-header", ("x-team", "red"), source="127.0.0.2"), 429),
        (by("/by-header", ("x-team", "blue")), 200),
        (by("/by-header"), 200),
        (by("/by-header"), 429),
        (by("/by-header", ("x-forwarded-for", "1.2.3.4")), 429),
        (by("/by-header", source="127.0.0.2"), 200),
        (by("/by-path/all"), 200),
        (by("/by-path/all?x=1", source="127.0.0.2"), 429),
        (by("/by-path/other"), 200),
        (by("/by-path/another"), 429),
        (by("/by-path/other", source="127.0.0.2"), 200),
        (by("/by-service"), 200),
        (by("/by-service", source="127.0.0.2"), 429),
        (by("/by-credential", ("apikey", "ada-key")), 200),
        (by("/by-credential", ("apikey", "ada-key")), 429),
        (by("/by-credential", ("apikey", "ada-other")), 200),
        (by("/worded"), 200),
        (by("/worded"), 503),
    ]
    answers = asked(MANIFESTS, [ask for ask, _ in expected], tmp_path, native=native)
    assert [a.status for a in answers] == [status for _, status in expected]
    assert answers[-1].message == "Come back"


@pytest.mark.skipif(not LIBRARY.is_file(), reason="no C compiler built it")
def test_a_service_cannot_speak_for_the_gateway(tmp_path: Path) -> None:
    """Headers of the same names that the service sends are replaced."""

    def boasting(_: str) -> Serving:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            lines = (f"{name}: 9999\r\n" for name in ("X-RateLimit-Limit-Day", "RateLimit-Reset"))
            writer.write(f"HTTP/1.1 200 OK\r\n{''.join(lines)}content-length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        return answer

    async def answers() -> Answer:
        async with gateway(MANIFESTS, tmp_path, native=True, answering=boasting) as port:
            return await send(port, Ask("/two", headers=ADA))

    answer = asyncio.run(answers())
    assert answer.header("x-ratelimit-limit-day") == "2"
    assert int(answer.header("ratelimit-reset") or 9999) <= 366 * 86400
    assert answer.header("ratelimit-reset") != "9999"
