"""`policy: local` of rate-limiting against a real Envoy: what clients are told, and what others are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, consumer, plugin, route

pytestmark = pytest.mark.envoy

MANIFESTS = (
    plugin("key", "key-auth", "{}")
    + plugin("two", "rate-limiting", "{minute: 2, hour: 5}")
    + plugin("hidden", "rate-limiting", "{minute: 1, limit_by: ip, hide_client_headers: true}")
    + route("two", "key", "two")
    + route("hidden", "hidden")
    + route("known", "key")
    + route("free")
    + consumer("ada", {"ada-key": ("key-auth", {"key": "ada-key"})})
)
ADA = (("apikey", "ada-key"), ("x-consumer-username", "eve"))


def told(answer: Answer) -> dict[str, str]:
    """What the answer says of limits."""
    names = ("limit", "retry", "remaining", "reset")
    return {name: ", ".join(v) for name, v in sorted(answer.headers.items()) if any(n in name for n in names)}


def test_headers_of_limits(tmp_path: Path) -> None:
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
    ]
    first, _, refused, hidden, hidden_refusal, free, nowhere, known, unknown = asked(
        MANIFESTS, requests, tmp_path
    )
    assert told(first).keys() == {
        "x-ratelimit-limit-minute",
        "x-ratelimit-remaining-minute",
        "x-ratelimit-limit-hour",
        "x-ratelimit-remaining-hour",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
    }
    assert first.header("x-ratelimit-remaining-minute") == "1"
    assert first.header("x-ratelimit-remaining-hour") == "4"
    assert first.header("ratelimit-limit") == "2", "the shortest window's"
    assert first.seen.headers["x-consumer-username"] == ["ada"]
    assert (refused.status, refused.message) == (429, "API rate limit exceeded")
    assert refused.header("retry-after") == refused.header("ratelimit-reset")
    assert refused.header("x-ratelimit-remaining-minute") == "0"
    assert hidden.reached
    assert hidden_refusal.status == 429
    for silent in (hidden, hidden_refusal, free, nowhere, known):
        assert told(silent) == {}
    assert "x-consumer-username" not in free.seen.headers
    assert known.seen.headers["x-consumer-username"] == ["ada"]
    assert unknown.status == 401
