"""Kong's `request-termination` on a real Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import JSON, Answer, Ask, asked, plugin, route

NAME = "request-termination"
MANIFESTS = (
    plugin("default", NAME, "{}")
    + plugin("message", NAME, '{status_code: 403, message: "So long, \\"friend\\" 100%"}')
    + plugin("body", NAME, "{status_code: 200, content_type: text/html, body: '<p>%REQ(:path)% {}</p>'}")
    + plugin("plain", NAME, "{status_code: 418}")
    + plugin("json", NAME, "{status_code: 404, body: '{\"a\": 1}'}")
    + plugin("trigger", NAME, "{trigger: X-Stop}")
    + plugin("limit", "rate-limiting", "{minute: 1}")
    + plugin("key", "key-auth", "{}")
    + route("default", "default")
    + route("message", "message")
    + route("body", "body")
    + route("plain", "plain")
    + route("json", "json")
    + route("trigger", "trigger")
    + route("limited", "default", "limit")
    + route("guarded", "default", "key")
)


@pytest.mark.envoy
def test_answers(tmp_path: Path) -> None:
    requests = [
        Ask("/default", "POST", body=b"x"),
        Ask("/message"),
        Ask("/body"),
        Ask("/plain"),
        Ask("/json"),
        Ask("/trigger?X-Stopped=1"),
        Ask("/trigger?x-stop=1"),  # parameters have a case
        Ask("/trigger", headers=(("x-stop", "1"),)),
        Ask("/trigger?a=b&X-Stop"),
        Ask("/trigger?X-Stop=1&a=b"),
        Ask("/limited"),
        Ask("/limited"),
        Ask("/guarded"),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    unavailable = (503, JSON, '{"message":"Service unavailable"}')
    assert _of(answers[0]) == unavailable
    assert _of(answers[1]) == (403, JSON, '{"message":"So long, \\"friend\\" 100%"}')
    assert _of(answers[2]) == (200, "text/html", "<p>%REQ(:path)% {}</p>")
    assert _of(answers[3]) == (418, None, "")
    assert _of(answers[4]) == (404, JSON, '{"a": 1}')
    assert [a.reached for a in answers[5:7]] == [True, True]
    assert [_of(a) for a in answers[7:10]] == [unavailable] * 3
    assert _of(answers[10]) == unavailable
    assert (answers[11].status, answers[11].message) == (429, "API rate limit exceeded")
    assert (answers[12].status, answers[12].header("www-authenticate")) == (401, "Key")


def _of(answer: Answer) -> tuple[int, str | None, str]:
    return answer.status, answer.header("content-type"), answer.body
