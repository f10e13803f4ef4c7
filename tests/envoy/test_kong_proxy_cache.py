"""Kong's `proxy-cache` in a real Envoy with the real cache beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshgate.model.policies.cached import CACHE_LIMITS, CacheLimits
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.policies.proxy_cache import CLUSTER
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.bridge_process import bridging
from tests.envoy.kong_edge import SERVICE, Ask, consumer, plugin, route
from tests.simulate.live import Serving, running

MANIFESTS = (
    SERVICE
    + consumer("ann", {"ann-key": ("key-auth", {"key": "ann-key"})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bob-key"})})
    + plugin("kong", "proxy-cache", "{strategy: memory, request_method: [GET, HEAD, POST]}")
    + plugin(
        "rfc", "proxy-cache", "{strategy: memory, cache_control: true, content_type: ['*/*'], cache_ttl: 1}"
    )
    + plugin(
        "quiet",
        "proxy-cache",
        "{strategy: memory, response_headers: {age: false, X-Cache-Status: false, X-Cache-Key: false}}",
    )
    + consumer("cat", {"cat-key": ("key-auth", {"key": "cat-key"})}).replace(
        "class: kong", "class: kong, konghq.com/plugins: cats"
    )
    + plugin("cats", "proxy-cache", "{strategy: memory}")
    + plugin("key", "key-auth", "{}")
    + plugin("say", "response-transformer", "{add: {headers: ['x-said:yes']}}")
    + plugin("once", "rate-limiting", "{minute: 2, policy: local}")
    + route("kong", "kong")
    + route("rfc", "rfc")
    + route("quiet", "quiet")
    + route("mine", "kong", "key")
    + route("all", "kong", "say", "once")
    + route("plain")
    + route("own", "key")
)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer, byte by byte."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        values = self.headers.get(name, ())
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def cache(self) -> tuple[str | None, bool]:
        """X-Cache-Status, and whether the service was asked."""
        return self["x-cache-status"], "x-asked" in self.headers


MISS, HIT = ("Miss", True), ("Hit", False)
BYPASS = ("Bypass", True)


def say(path: str, *headers: tuple[str, str], **answer: object) -> Ask:
    """A request that tells the service what to answer, in a header that no key holds."""
    method, body = str(answer.pop("method", "GET")), answer.pop("sent", b"")
    assert isinstance(body, bytes)
    told = ("x-answer", json.dumps(answer))
    return Ask(path, method=method, headers=(*headers, told), body=body)


def telling(_: str) -> Serving:
    """A service that answers as it is told, and says so in `x-asked`, which is for one connection only."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = {n.lower(): v for n, _, v in (ln.partition(": ") for ln in head.split("\r\n")[1:])}
                await reader.readexactly(int(lines.get("content-length", "0")))
                writer.write(_told(head.split(" ", 1)[0], lines))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return answer


def _told(method: str, lines: Mapping[str, str]) -> bytes:
    told = json.loads(lines.get("x-answer", "{}"))
    headers = {"content-type": "text/plain", **told.get("headers", {})}
    status, body = told.get("status", 200), told.get("body", "body").encode("latin-1") * told.get("times", 1)
    if "etag" in headers and headers["etag"] in lines.get("if-none-match", ""):
        status, body = 304, b""
    length = {} if status in (204, 304) else {"content-length": str(len(body))}
    fields = {
        **headers,
        **length,
        "x-asked": lines.get("if-none-match", "yes"),
        "connection": "keep-alive, x-asked",
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Told\r\n{text}\r\n".encode("latin-1") + (b"" if method == "HEAD" else body)


def served(
    requests: Iterable[Ask], folder: Path, *, away: bool = False, limits: CacheLimits = CACHE_LIMITS
) -> list[Got]:
    """The answers, in order. `away`: the cache is not there."""
    documents, _ = read_texts({"in.yaml": MANIFESTS})
    model = build(documents).model
    config = self_contained(Reader(stand_in(model)), gateway_proxy())

    async def answers() -> list[Got]:
        async with AsyncExitStack() as stack:
            sockets = await stack.enter_async_context(bridging(model, folder, cache_limits=limits))
            if away:
                sockets = {CLUSTER: folder / "nobody.sock"}
            port = await stack.enter_async_context(running(config, "http", folder, telling, sockets))
            return [await _send(port, request) for request in requests]

    return asyncio.run(answers())


async def _send(port: int, request: Ask) -> Got:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        fields = (("host", "shop.example"), ("connection", "close"), *request.headers)
        length = f"content-length: {len(request.body)}\r\n" if request.body else ""
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields) + length
        writer.write(f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n".encode() + request.body)
        reply = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers: dict[str, tuple[str, ...]] = {}
        for line in filter(None, reply[1:]):
            name, _, value = line.partition(": ")
            headers[name] = (*headers.get(name, ()), value)
        status = int(reply[0].split(" ")[1])
        empty = request.method == "HEAD" or status in (204, 304)
        body = b"" if empty else await reader.readexactly(int(headers["content-length"][0]))
    finally:
        writer.close()
    return Got(status, headers, body)


@pytest.mark.envoy
def test_as_in_kong(tmp_path: Path) -> None:
    binary = "".join(map(chr, range(256)))
    got = served(
        [
            say("/kong/a", headers={"cache-control": "no-store"}, body="one"),
            say("/kong/a", ("cache-control", "no-cache, no-store"), body="two"),
            say("/kong/a", method="HEAD"),
            say("/kong/a?x=1", body="three"),
            say("/kong/b", body=binary, headers={"content-encoding": "x-any", "link": "<a>"}),
            say("/kong/b"),
            say("/kong/long", body="x", times=300_000),
            say("/kong/long"),
            say("/kong/moved", status=301, headers={"location": "/there"}, body=""),
            say("/kong/moved"),
            say("/kong/wrong", status=500),
            say("/kong/html", headers={"content-type": "text/html"}),
            say("/kong/cookie", headers={"set-cookie": "a=1"}),
            say("/kong/a", method="DELETE"),
            say("/kong/post", method="POST", sent=b"a", body="for a"),
            say("/kong/post", method="POST", sent=b"a"),
            say("/kong/post", method="POST", sent=b"b", body="for b"),
            say("/kong/a", sent=b"body of a GET"),
            say("/kong/head", method="HEAD", body="12345"),
            say("/kong/head", method="HEAD"),
            say("/plain"),
            say("/quiet/a"),
            say("/quiet/a"),
        ],
        tmp_path,
    )
    miss, hit, head, other, whole, part, big, big_hit, moved, moved_hit = got[:10]
    assert (miss.cache, miss.body, miss["age"]) == (MISS, b"one", None)
    key = miss["x-cache-key"] or ""
    assert len(key) == 64
    assert (hit.cache, hit.body, hit["age"], hit["x-cache-key"]) == (HIT, b"one", "0", key)
    assert (hit.status, hit["content-type"], hit["content-length"]) == (200, "text/plain", "3")
    assert (hit["cache-control"], hit["date"]) == ("no-store", miss["date"])
    assert (head.cache, head.body, head["content-length"]) == (HIT, b"", "3")
    assert (other.cache, other.body) == (MISS, b"three")
    assert (whole.cache, whole.body) == (MISS, binary.encode("latin-1"))
    assert (part.cache, part.body, part["content-encoding"]) == (HIT, binary.encode("latin-1"), "x-any")
    assert (big.cache, big_hit.cache, big_hit.body) == (MISS, HIT, b"x" * 300_000)
    assert (moved.cache, moved["location"]) == (MISS, "/there")
    assert (moved_hit.cache, moved_hit.status, moved_hit["location"], moved_hit.body) == (
        HIT,
        301,
        "/there",
        b"",
    )
    assert [g.cache for g in got[10:14]] == [BYPASS] * 4
    assert [g.cache for g in got[14:18]] == [MISS, HIT, MISS, BYPASS]
    assert (got[15].body, got[16].body) == (b"for a", b"for b")
    assert [(g.cache, g["content-length"]) for g in got[18:20]] == [(MISS, "5"), (HIT, None)]
    assert got[20].cache == (None, True)
    assert [g.cache for g in got[21:]] == [(None, True), (None, False)]
    assert not {"age", "x-cache-key"} & set(got[22].headers)


@pytest.mark.envoy
def test_by_rfc_9111(tmp_path: Path) -> None:
    life = {"cache-control": "max-age=60", "etag": '"1"'}
    old = {"cache-control": "max-age=60, stale-if-error=60", "etag": '"1"', "age": "60"}
    got = served(
        [
            say("/rfc/a", headers=life, body="0123456789"),
            say("/rfc/a"),
            say("/rfc/a", ("if-none-match", '"1"')),
            say("/rfc/a", ("range", "bytes=2-4")),
            say("/rfc/a", ("range", "bytes=99-")),
            say("/rfc/a", ("cache-control", "no-cache"), headers=life),
            say("/rfc/none", ("cache-control", "only-if-cached")),
            say("/rfc/private", headers={"cache-control": "private, max-age=60"}),
            say("/rfc/auth", ("authorization", "Bearer x"), headers=life),
            say("/rfc/a", method="PUT", sent=b"new", status=204),
            say("/rfc/a", headers=life, body="new"),
            say("/rfc/old", headers=old, body="old"),
            say("/rfc/old", headers={**old, "x-new": "1"}, body="other"),
            say("/rfc/old", status=503),
            say("/rfc/old", headers={"cache-control": "no-store"}, body="gone"),
        ],
        tmp_path,
    )
    assert [g.cache for g in got[:2]] == [MISS, HIT]
    not_modified, part, beyond, forced = got[2:6]
    assert (not_modified.status, not_modified.body, not_modified["etag"]) == (304, b"", '"1"')
    assert (not_modified.cache, not_modified["content-type"]) == (HIT, None)
    assert (part.status, part.body, part["content-range"], part.cache) == (206, b"234", "bytes 2-4/10", HIT)
    assert (beyond.status, beyond.body, beyond["content-range"]) == (416, b"", "bytes */10")
    assert (forced.cache[0], forced.status, forced.body) == ("Refresh", 200, b"0123456789")
    assert (got[6].status, got[6].body, got[6].cache) == (504, b"", (None, False))
    assert [g.cache for g in got[7:9]] == [BYPASS] * 2
    assert got[9].cache == BYPASS
    assert (got[10].cache, got[10].body) == (MISS, b"new")
    assert got[11].cache == MISS
    fresh, kept, gone = got[12:]
    assert (fresh.status, fresh.body, fresh["x-new"]) == (200, b"old", "1")
    assert (fresh.cache, fresh["age"]) == (("Refresh", False), "60")
    assert (kept.status, kept.body, kept.cache, kept["age"]) == (200, b"old", HIT, "60")
    assert (gone.body, gone.cache) == (b"gone", BYPASS)


@pytest.mark.envoy
def test_with_other_plugins(tmp_path: Path) -> None:
    ann, bob = ("apikey", "ann-key"), ("apikey", "bob-key")
    got = served(
        [
            say("/mine", ann, body="ann's"),
            say("/mine", bob, body="bob's"),
            say("/mine", ann),
            say("/mine", bob),
            say("/mine"),
            say("/mine", ("x-consumer-id", "ann")),
            say("/all"),
            say("/all"),
            say("/all"),
            say("/own", ann),
            say("/own", ("apikey", "cat-key"), body="the cat's"),
            say("/own", ("apikey", "cat-key")),
            say("/own", ann),
        ],
        tmp_path,
    )
    assert [(g.cache, g.body) for g in got[:4]] == [
        (MISS, b"ann's"),
        (MISS, b"bob's"),
        (HIT, b"ann's"),
        (HIT, b"bob's"),
    ]
    assert [g.status for g in got[4:6]] == [401, 401]
    assert [(g.status, g["x-said"]) for g in got[6:8]] == [(200, "yes"), (200, "yes")]
    assert [g["x-ratelimit-remaining-minute"] for g in got[6:8]] == ["1", "0"]
    assert got[7].cache == HIT
    assert got[8].status == 429
    assert [g.cache for g in got[9:]] == [(None, True), MISS, HIT, (None, True)]
    assert got[11].body == b"the cat's"


@pytest.mark.envoy
def test_without_the_cache_requests_pass(tmp_path: Path) -> None:
    got = served([say("/kong/a", body="one"), say("/kong/a", body="two")], tmp_path, away=True)
    assert [(g.status, g.body, g.cache) for g in got] == [
        (200, b"one", (None, True)),
        (200, b"two", (None, True)),
    ]


@pytest.mark.envoy
def test_longer_answers_where_they_may_be(tmp_path: Path) -> None:
    mib = 1 << 20
    asked = [say("/kong/a", body="abcdefgh", times=mib // 2), say("/kong/a")]
    asked += [say("/kong/b", body="abcdefghi", times=mib // 2), say("/kong/b")]
    got = served(asked, tmp_path, limits=CacheLimits(memory_bytes=32 * mib, answer_bytes=4 * mib))
    assert [g.cache for g in got] == [MISS, HIT, BYPASS, MISS]
    assert got[0].body == got[1].body == b"abcdefgh" * (mib // 2)
