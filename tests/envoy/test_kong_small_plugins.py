"""Kong's `request-size-limiting`, `bot-detection`, `redirect` and `grpc-web` on a real Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, asked, plugin, route

SIZE = "request-size-limiting"
KEEP = "https://new.example:8443/x"
MANIFESTS = (
    plugin("size", SIZE, "{allowed_payload_size: 1, size_unit: kilobytes}")
    + plugin("length", SIZE, "{allowed_payload_size: 5, size_unit: bytes, require_content_length: true}")
    + plugin("large", SIZE, "{allowed_payload_size: 200, size_unit: kilobytes}")
    + route("large", "large")
    + plugin("bots", "bot-detection", "{}")
    + plugin("own", "bot-detection", "{allow: ['^good', 'Friend'], deny: [curl, '^bad$']}")
    + plugin("move", "redirect", "{location: 'https://new.example/home?a=b'}")
    + plugin("keep", "redirect", f"{{status_code: 308, location: '{KEEP}', keep_incoming_path: true}}")
    + plugin("web", "grpc-web", "{}")
    + plugin("web2", "grpc-web", "{allow_origin_header: 'https://shop.example'}")
    + plugin("key", "key-auth", "{}")
    + "".join(route(name, name) for name in ("size", "length", "bots", "own", "move", "keep", "web", "web2"))
    + route("guarded", "move", "key")
)
CHUNKED = (("Transfer-Encoding", "chunked"),)


def _chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in (*sizes, 0))


@pytest.mark.envoy
def test_sizes(tmp_path: Path) -> None:
    requests = [
        Ask("/size", "POST", body=b"x" * 1024),
        Ask("/size", "POST", headers=CHUNKED, body=_chunks(1000, 24)),
        Ask("/size"),
        Ask("/length", "POST", body=b"12345"),
        Ask("/size", "POST", body=b"x" * 1025),
        Ask("/size", "POST", headers=CHUNKED, body=_chunks(1000, 25)),
        Ask("/size", "POST", headers=(("Content-Length", "999999999999999999"),)),
        Ask("/length", "POST", body=b"123456"),
        Ask("/length", "POST", headers=CHUNKED, body=_chunks(5)),
        Ask("/length"),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    assert [len(a.seen.body) for a in answers[:4]] == [1024, 1024, 0, 5]
    for answer in answers[4:8]:
        assert (answer.status, answer.message) == (413, "Request size limit exceeded")
    for answer in answers[8:]:  # chunked ones too, which Kong lets pass
        assert (answer.status, answer.message) == (411, "A valid Content-Length header is required")


@pytest.mark.envoy
def test_limits_beyond_what_a_connection_buffers(tmp_path: Path) -> None:
    requests = [
        Ask("/large", "POST", headers=CHUNKED, body=_chunks(*[10_000] * 20)),
        Ask("/large", "POST", headers=CHUNKED, body=_chunks(*[10_000] * 21)),
        Ask("/large", "POST", body=b"x" * 200_000),
    ]
    passes, too_long, declared = asked(MANIFESTS, requests, tmp_path)
    assert len(passes.seen.body) == 200_000
    assert (too_long.status, too_long.message) == (413, "Request size limit exceeded")
    assert len(declared.seen.body) == 200_000


@pytest.mark.envoy
def test_robots(tmp_path: Path) -> None:
    people = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    robots = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    named = ("python-bot/1.0", "Twitterbot/1.0", "Go-http-client/1.1", "Scrapy", robots)
    own = ("curl/8.5", "bad", robots)
    cases = {
        "/bots": dict.fromkeys((people, "curl/8.5", "", "CUBOT X18"), True) | dict.fromkeys(named, False),
        "/own": dict.fromkeys((people, "good Googlebot/2.1", "x Friend curl", "badly"), True)
        | dict.fromkeys(own, False),
    }
    requests = [
        Ask(path, headers=(("User-Agent", agent),)) for path, agents in cases.items() for agent in agents
    ]
    answers = asked(MANIFESTS, [*requests, Ask("/bots")], tmp_path)
    wanted = [(agent, passes) for agents in cases.values() for agent, passes in agents.items()]
    assert [(w[0], a.reached) for w, a in zip(wanted, answers, strict=False)] == wanted
    for answer in answers:
        if not answer.reached:
            assert (answer.status, answer.message) == (403, "Forbidden")
    assert answers[-1].reached


@pytest.mark.envoy
def test_redirects(tmp_path: Path) -> None:
    requests = [Ask("/move/on", "POST", body=b"x"), Ask("/keep/a%20b?c=d"), Ask("/guarded")]
    moved, kept, guarded = asked(MANIFESTS, requests, tmp_path)
    assert (moved.status, moved.body) == (301, "redirecting")
    assert moved.header("location") == "https://new.example/home?a=b"
    assert moved.header("content-type") == "text/plain; charset=utf-8"
    assert (kept.status, kept.header("location")) == (308, "https://new.example:8443/keep/a%20b?c=d")
    assert (guarded.status, guarded.header("location")) == (401, None)


@pytest.mark.envoy
def test_grpc_web(tmp_path: Path) -> None:
    frame = bytes((0, 0, 0, 0, 2)) + b"hi"
    web = (("Content-Type", "application/grpc-web+proto"), ("X-Grpc-Web", "1"))
    requests = [
        Ask("/web/shop.Shop/Buy", "POST", headers=web, body=frame),
        Ask("/web2/shop.Shop/Buy", "OPTIONS"),
        Ask("/web2/plain"),
    ]
    called, preflight, plain = asked(MANIFESTS, requests, tmp_path)
    assert called.status == 200
    assert called.header("access-control-allow-origin") == "*"
    assert (preflight.status, preflight.body) == (200, "OK")
    assert preflight.header("content-type") == "application/grpc-web-text+proto"
    assert preflight.header("access-control-allow-origin") == "https://shop.example"
    assert preflight.header("access-control-allow-methods") == "POST"
    assert preflight.header("access-control-allow-headers") == "content-type,x-grpc-web,x-user-agent"
    assert plain.reached
    assert plain.header("access-control-allow-origin") == "https://shop.example"
