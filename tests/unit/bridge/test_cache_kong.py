"""What Kong's plugin does without `cache_control`, and what keeps others' answers apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshgate.bridge.cache.exchange import Go, Then
from meshgate.bridge.cache.store import Selector, Store
from meshgate.bridge.request import Request
from meshgate.model.policies.cached import CacheLimits, ProxyCache
from tests.unit.bridge.cache_world import KONG, Service, World, controlled, get


def test_cache_ttl_alone_counts() -> None:
    world = World(policy=KONG)
    assert world.ask(get(), controlled("no-store, private, max-age=0")).cache == "Miss"
    world.now += 299
    got = world.ask(get("/", ("cache-control", "no-cache, no-store, only-if-cached, max-age=0")))
    assert (got.cache, got["age"], got.body) == ("Hit", "299", b"body")
    world.now += 1
    assert world.ask(get(), Service()).cache == "Miss"


def test_storage_ttl_keeps_what_is_stale() -> None:
    world = World(policy=replace(KONG, ttl_s=10, storage_ttl_s=100))
    world.ask(get(), Service(etag='"1"', body=b"1"))
    world.now += 11
    got = world.ask(get(), Service(etag='"1"'))
    assert (got.cache, got.body, got["age"]) == ("Refresh", b"1", "0")
    world.now += 101
    assert world.ask(get(), Service()).cache == "Miss"


def test_what_is_shown() -> None:
    world = World(policy=replace(KONG, show_age=False, show_status=False, show_key=False))
    first = world.ask(get(), Service())
    second = world.ask(get())
    assert not {"age", "x-cache-status", "x-cache-key"} & {n for n, _ in (*first.headers, *second.headers)}
    world = World(policy=KONG)
    key = world.ask(get(), Service())["x-cache-key"]
    assert key is not None
    assert len(key) == 64
    assert world.ask(get())["x-cache-key"] == key


def _same(first: Request, second: Request, policy: ProxyCache = KONG) -> bool:
    world = World(policy=policy)
    world.ask(first, Service())
    return world.ask(second, Service()).cache == "Hit"


def test_what_tells_answers_apart() -> None:
    a = get("/a?x=1&y=2")
    assert _same(a, get("/a?y=2&x=1"))
    assert _same(a, get("/a?x=1&y=2", host="SHOP.example"))
    assert not _same(a, get("/a?x=1&y=3"))
    assert not _same(get("/a?x=1&x=2"), get("/a?x=2&x=1"))
    assert not _same(get("/a?x"), get("/a?x="))
    assert not _same(a, get("/A?x=1&y=2"))
    assert not _same(a, get("/a?x=1&y=2", host="other.example"))
    assert not _same(a, replace(a, scheme="http"))
    assert not _same(get("/a?x=1%26y=2"), get("/a?x=1&y=2"))
    for header in (
        ("authorization", "Basic YTpi"),
        ("x-consumer-id", "1"),
        ("x-credential-identifier", "user 7"),
        ("x-forwarded-host", "evil.example"),
        ("x-original-url", "/admin"),
        ("x-http-method-override", "DELETE"),
    ):
        assert not _same(get("/a", header), get("/a")), header
        assert not _same(get("/a"), get("/a", header)), header
        assert _same(get("/a", header), get("/a", header)), header
    assert _same(get("/a", ("x-other", "1")), get("/a"))


def test_chosen_parameters_and_headers() -> None:
    chosen = replace(KONG, vary_parameters=("q",), vary_headers=("x-lang",), ignore_path_case=True)
    assert _same(get("/A?q=1&t=1"), get("/a?t=2&q=1"), chosen)
    assert not _same(get("/a?q=1"), get("/a?q=2"), chosen)
    assert not _same(get("/a?%71=1"), get("/a?%71=2"), chosen)
    assert not _same(get("/a?t=1"), get("/a?t=1;q=2"), chosen)
    assert not _same(get("/a", ("x-lang", "de")), get("/a", ("x-lang", "en")), chosen)


def test_bodies_of_requests() -> None:
    world = World(policy=replace(KONG, methods=("GET", "POST")))
    post = get("/q", method="POST")
    assert world.ask(post, Service(body=b"1"), body=b"a").cache == "Miss"
    assert world.ask(post, body=b"a").body == b"1"
    assert world.ask(post, Service(body=b"2"), body=b"b").cache == "Miss"
    assert world.ask(get("/q"), Service(), body=b"unseen").cache == "Bypass"
    exchange, _ = world.begin(get("/long", method="POST"), b"x")
    assert exchange.request_body(b"x", whole=False) == Go(then=Then.RESPONSE)


@pytest.mark.parametrize(
    "header",
    [
        ("upgrade", "websocket"),
        ("content-type", "application/grpc"),
        ("content-type", "application/grpc-web"),
    ],
)
def test_what_is_no_plain_request_is_not_looked_at(header: tuple[str, str]) -> None:
    exchange, said = World(policy=KONG).begin(get("/", header))
    assert said == Go()
    exchange.end()


def test_cookies_are_nobody_elses() -> None:
    world = World(policy=KONG)
    assert world.ask(get(), Service(headers=(("set-cookie", "s=1"),))).cache == "Bypass"
    assert len(world.store) == 0


def test_long_and_broken_bodies_are_not_kept() -> None:
    world = World(policy=KONG)
    most = b"x" * CacheLimits().answer_bytes
    assert world.ask(get("/most"), Service(body=most)).cache == "Miss"
    assert world.ask(get("/most")).body == most
    assert world.ask(get("/more"), Service(body=most + b"x")).cache == "Miss"
    assert world.ask(get("/more"), Service(body=most + b"x")).cache == "Miss"
    long = Service(headers=(("content-length", str(CacheLimits().answer_bytes + 1)),))
    assert world.ask(get("/said"), long).cache == "Bypass"
    assert world.ask(get("/cut"), Service(headers=(("content-length", "5"),))).cache == "Miss"
    assert world.ask(get("/cut"), Service()).cache == "Miss"
    exchange, said = world.begin(get("/left"))
    assert isinstance(said, Go)
    exchange.response(200, (("content-type", "text/plain"),), ended=False)
    exchange.response_body(b"half", ended=False)
    assert world.store.in_flight == 4
    exchange.end()
    assert world.store.in_flight == 0
    assert world.ask(get("/left"), Service()).cache == "Miss"


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    world = World(policy=KONG, store=Store(limits=CacheLimits(memory_bytes=50_000)))
    for number in range(4):
        world.ask(get(f"/{number}"), Service(body=b"x" * 10_000))
    assert len(world.store) == 4 - world.store.counts.evicted
    world.ask(get("/0"), Service(body=b"x" * 10_000))
    for number in range(100):
        assert world.ask(get("/0"), Service(body=b"x" * 10_000)).cache == "Hit"
        world.ask(get(f"/other/{number}"), Service(body=b"y" * 10_000))
        assert world.store.bytes <= 50_000
    assert world.store.counts.evicted > 90
    world.ask(get("/large"), Service(body=b"z" * 60_000))
    assert world.store.bytes <= 50_000


def test_bodies_on_their_way_are_bounded_too() -> None:
    world = World(policy=KONG, store=Store(limits=CacheLimits(memory_bytes=40_000)))
    held = []
    for number in range(3):
        exchange, _ = world.begin(get(f"/{number}"))
        exchange.response(200, (("content-type", "text/plain"),), ended=False)
        held.append(exchange.response_body(b"x" * 4_000, ended=False).then)
    assert held == [Then.RESPONSE_BODY, Then.RESPONSE_BODY, Then.NOTHING]


def test_purge() -> None:
    world = World(policy=replace(KONG, route="default.shop.web..80", service="default.web.80"))
    for path in ("/a/1", "/a/2?q=1", "/b"):
        world.ask(get(path), Service())
    world.ask(get("/a/1", host="other.example:8080"), Service())
    for selector, gone in (
        (Selector(route="other"), 0),
        (Selector(route="default/sho"), 0),
        (Selector(route="default/shop", key="none"), 0),
        (Selector(service="default/web", path="/a/2"), 1),
        (Selector(path="/a/1", host="other.example"), 1),
        (Selector(path="/a/*"), 1),
        (Selector(), 1),
    ):
        assert world.store.purge(selector.meets) == gone
    assert (len(world.store), world.store.bytes) == (0, 0)
    early = get("/late")
    exchange, said = world.begin(early)
    world.store.purge(Selector(path="/b").meets)
    assert isinstance(said, Go)
    world.finish(exchange, said, early, Service())
    assert len(world.store) == 0


def test_other_settings_do_not_find_it() -> None:
    world = World(policy=KONG)
    key = world.ask(get(), Service())["x-cache-key"]
    world.policy = replace(KONG, route="other")
    assert world.ask(get(), Service())["x-cache-key"] != key


def test_less_memory_than_before_makes_room_at_once() -> None:
    store = Store()
    world = World(policy=KONG, store=store)
    for number in range(20):
        world.ask(get(f"/{number}"), Service())
    assert (len(store), store.counts.evicted) == (20, 0)
    store.limit(CacheLimits(memory_bytes=store.bytes // 2))
    assert len(store) <= 10
    assert store.bytes <= store.max_bytes
