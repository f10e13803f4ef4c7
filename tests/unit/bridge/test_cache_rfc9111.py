"""RFC 9111 section by section, at the cache's own border."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshgate.bridge.cache.directives import (
    MOST_S,
    http_date,
    request_directives,
    response_directives,
    written_date,
)
from meshgate.bridge.cache.exchange import Go
from meshgate.model.policies.cached import ProxyCache
from tests.unit.bridge.cache_world import RFC, TEXT, Service, World, controlled, get


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("max-age=60", True),
        ('max-age="60"', True),
        ("MAX-AGE=60", True),
        ("s-maxage=60, max-age=0", True),
        ("max-age=60, s-maxage=0", False),
        ("max-age=0", False),
        ("max-age=-1", False),
        ("max-age=1.5", False),
        ("max-age=60 x", False),
        ("max-age=60, max-age=0", False),
        ("max-age", False),
        ("public", False),
        ("no-store, max-age=60", False),
        ("no-cache, max-age=60", False),
        ("private, max-age=60", False),
        ('private="x-a", max-age=60', False),
        ('ext="no-store", max-age=60', True),
        ('ext="a\\", no-store", max-age=60', True),
        ("must-understand, no-store, max-age=60", True),
        ("max-age=99999999999999999999", True),
        ("", False),
    ],
)
def test_what_is_kept(value: str, kept: bool) -> None:
    """Section 3, by the directives of section 5.2.2."""
    world = World()
    first = world.ask(get(), controlled(value))
    assert first.cache == ("Miss" if kept else "Bypass")
    assert len(world.store) == kept


def test_expires_counts_where_no_max_age_does() -> None:
    """Section 5.3: one that is no date has passed."""
    world = World()
    later, never = written_date(world.now + 60), "0"
    assert world.ask(get("/a"), Service(headers=(("expires", later),))).cache == "Miss"
    assert world.ask(get("/a")).cache == "Hit"
    assert world.ask(get("/b"), Service(headers=(("expires", never),))).cache == "Bypass"
    assert world.ask(get("/c"), Service(headers=(("expires", later), ("expires", later)))).cache == "Bypass"
    world.now += 60
    assert world.ask(get("/a"), Service()).cache == "Bypass"


def test_age() -> None:
    """Section 4.2.3: what is old when it comes is older later."""
    world = World()
    world.ask(get("/by-age"), controlled("max-age=100", ("age", "30")))
    world.ask(get("/by-date"), controlled("max-age=100", ("date", written_date(world.now - 50))))
    world.now += 20
    assert world.ask(get("/by-age"))["age"] == "50"
    assert world.ask(get("/by-date"))["age"] == "70"
    world.now += 30
    assert world.ask(get("/by-date"), controlled("max-age=1")).cache == "Miss"


@pytest.mark.parametrize(
    ("asked", "after", "cache"),
    [
        ("", 99, "Hit"),
        ("max-age=50", 50, "Hit"),
        ("max-age=50", 51, "Refresh"),
        ("min-fresh=10", 90, "Hit"),
        ("min-fresh=10", 91, "Refresh"),
        ("max-stale", 1000, "Hit"),
        ("max-stale=10", 110, "Hit"),
        ("max-stale=10", 111, "Refresh"),
        ("max-stale=10, max-age=50", 60, "Refresh"),
        ("no-cache", 1, "Refresh"),
        ("no-store", 1, "Bypass"),
        ("min-fresh=x", 1, "Refresh"),
        ("max-age=x", 1, "Refresh"),
    ],
)
def test_what_clients_ask(asked: str, after: float, cache: str) -> None:
    """Section 5.2.1."""
    world = World()
    service = controlled("max-age=100", etag='"1"')
    world.ask(get(), service)
    world.now += after
    assert world.ask(get("/", ("cache-control", asked)), service).cache == cache


def test_only_if_cached() -> None:
    """Section 5.2.1.7."""
    world = World()
    asked = get("/", ("cache-control", "only-if-cached"))
    assert world.ask(asked).status == 504
    world.ask(get(), controlled("max-age=100"))
    assert world.ask(asked).cache == "Hit"
    world.now += 100
    assert world.ask(asked).status == 504


@pytest.mark.parametrize("strict", ["must-revalidate", "proxy-revalidate", "s-maxage=100", 'no-cache="x"'])
def test_never_stale(strict: str) -> None:
    """Section 4.2.4: whatever the client would take."""
    world = World()
    service = controlled(f"max-age=100, stale-if-error=1000, {strict}", etag='"1"')
    world.ask(get(), service)
    world.now += 101
    asked = get("/", ("cache-control", "max-stale"))
    assert world.ask(asked, replace(service, status=503, etag="")).status == 503
    assert world.ask(asked, service).cache == "Refresh"


def test_revalidation() -> None:
    """Sections 4.3.1, 4.3.3, 4.3.4: a 304 gives the stored answer new headers and a new life."""
    world = World()
    world.ask(get(), controlled("max-age=10", ("x-a", "old"), ("x-b", "kept"), etag='"1"', body=b"one"))
    world.now += 11
    fresh = controlled("max-age=10", ("x-a", "new"), etag='"1"')
    got = world.ask(get(), fresh)
    assert got.asked is not None
    assert got.asked.header("if-none-match") == '"1"'
    assert (got.status, got.body, got.cache, got["x-a"], got["x-b"]) == (
        200,
        b"one",
        "Refresh",
        "new",
        "kept",
    )
    assert got["age"] == "0"
    world.now += 9
    assert world.ask(get())["x-a"] == "new"
    world.now += 2
    got = world.ask(get(), controlled("max-age=10", etag='"2"', body=b"two"))
    assert (got.cache, got.body) == ("Refresh", b"two")
    assert world.ask(get()).body == b"two"


def test_a_304_that_forbids_to_keep_ends_the_entry() -> None:
    world = World()
    world.ask(get(), controlled("max-age=10", etag='"1"'))
    world.now += 11
    assert world.ask(get(), controlled("no-store", etag='"1"')).body == b"body"
    assert len(world.store) == 0


def test_clients_conditions() -> None:
    """Section 4.3.2: who has the stored answer hears so; conditions of others do not reach the service."""
    world = World()
    modified = written_date(world.now - 100)
    service = controlled("max-age=10", ("last-modified", modified), etag='W/"1"')
    world.ask(get(), service)
    for has in ('"1"', 'W/"1"', '"0", "1"', "*"):
        got = world.ask(get("/", ("if-none-match", has)))
        assert (got.status, got.body, got["etag"], got["content-type"]) == (304, b"", 'W/"1"', None)
    assert world.ask(get("/", ("if-none-match", '"2"'), ("if-modified-since", modified))).status == 200
    assert world.ask(get("/", ("if-modified-since", modified))).status == 304
    assert world.ask(get("/", ("if-modified-since", written_date(world.now - 101)))).status == 200
    assert world.ask(get("/", ("if-modified-since", "yesterday"))).status == 200
    world.now += 11
    got = world.ask(get("/", ("if-none-match", '"other"')), service)
    assert got.asked is not None
    assert got.asked.header("if-none-match") == 'W/"1"'
    assert (got.status, got.body, got.cache) == (200, b"body", "Refresh")


def test_a_304_for_the_client_is_not_one_for_the_cache() -> None:
    world = World()
    world.ask(get(), controlled("max-age=10, stale-if-error=100"))
    world.now += 11
    got = world.ask(get("/", ("if-none-match", '"mine"')), Service(status=304, body=b""))
    assert (got.status, got.cache) == (304, "Bypass")


def test_vary() -> None:
    """Section 4.1: each language its own answer; lists are compared without their spaces."""
    world = World()
    for language in ("de", "en"):
        service = controlled("max-age=60", ("vary", "Accept-Language"), body=language.encode())
        assert world.ask(get("/", ("accept-language", language)), service).cache == "Miss"
    assert world.ask(get("/", ("accept-language", "de"))).body == b"de"
    assert world.ask(get("/", ("accept-language", "en"))).body == b"en"
    assert world.ask(get(), controlled("max-age=60")).cache == "Miss"
    world.ask(get("/l", ("accept", "a, b")), controlled("max-age=60", ("vary", "accept")))
    assert world.ask(get("/l", ("accept", "a"), ("accept", "b"))).cache == "Hit"
    assert world.ask(get("/s"), controlled("max-age=60", ("vary", "accept, *"))).cache == "Bypass"


def test_the_newest_answer_that_fits_counts() -> None:
    """Section 4.1, where a service changes its mind about Vary."""
    world = World()
    world.ask(get("/", ("a", "1")), controlled("max-age=60", ("vary", "a"), body=b"old"))
    world.now += 1
    world.ask(get("/", ("cache-control", "no-cache"), ("a", "1")), controlled("max-age=60", body=b"new"))
    assert world.ask(get("/", ("a", "1"))).body == b"new"


def test_authorization() -> None:
    """Section 3.5: only what is said to be for all is kept, and given to who shows credentials."""
    world = World()
    mine = ("authorization", "Bearer 1")
    assert world.ask(get("/a", mine), controlled("max-age=60")).cache == "Bypass"
    for open_to_all in ("public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"):
        path = f"/{open_to_all[:3]}"
        assert world.ask(get(path, mine), controlled(open_to_all)).cache == "Miss"
        assert world.ask(get(path)).cache == "Hit"
    world.ask(get("/b"), controlled("max-age=60"))
    assert world.ask(get("/b", mine), controlled("max-age=60")).cache == "Bypass"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_invalidation(method: str) -> None:
    """Section 4.4: by an answer that is no error; also what it names on the same host."""
    world = World()
    kept = controlled("max-age=60")
    for path in ("/a?b=1", "/c", "/d", "/e"):
        world.ask(get(path), kept)
    change = get("/a?b=1", method=method)
    assert world.ask(change, Service(status=500)).cache == "Bypass"
    assert world.ask(get("/a?b=1")).cache == "Hit"
    named = (("location", "/c"), ("content-location", "https://SHOP.example/d"), ("location", "http://x/e"))
    world.ask(change, Service(status=201, headers=named))
    for path, cache in (("/a?b=1", "Miss"), ("/c", "Miss"), ("/d", "Miss"), ("/e", "Hit")):
        assert world.ask(get(path), kept).cache == cache, path


def test_an_answer_from_before_a_change_is_not_kept() -> None:
    world = World()
    early = get("/a")
    exchange, said = world.begin(early)
    world.ask(get("/a", method="POST"), Service(status=204, body=b""))
    assert isinstance(said, Go)
    got = world.finish(exchange, said, early, controlled("max-age=60"))
    assert got.cache == "Miss"
    assert len(world.store) == 0


def test_head_from_get() -> None:
    """Section 4; what HEAD brought is never a body for GET."""
    world = World()
    world.ask(get("/a"), controlled("max-age=60"))
    assert world.ask(get("/a", method="HEAD")).cache == "Hit"
    assert world.ask(get("/b", method="HEAD"), controlled("max-age=60")).cache == "Miss"
    assert world.ask(get("/b", method="HEAD")).cache == "Hit"
    assert world.ask(get("/b"), controlled("max-age=60")).cache == "Miss"
    world.now += 61
    assert world.ask(get("/a", method="HEAD"), controlled("max-age=60")).cache in ("Miss", "Refresh")
    assert world.ask(get("/a"), controlled("max-age=60", body=b"again")).body == b"again"


def test_ranges() -> None:
    """RFC 9110, section 14, from a whole answer; a part is never kept (section 3.3)."""
    world = World()
    part = Service(status=206, headers=(("content-range", "bytes 0-0/9"), ("cache-control", "max-age=60")))
    assert world.ask(get("/", ("range", "bytes=0-0")), part).cache == "Bypass"
    world.ask(get(), controlled("max-age=60", etag='"1"', body=b"0123456789"))
    for asked, status, body, told in (
        ("bytes=0-2", 206, b"012", "bytes 0-2/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-20", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-3", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ):
        got = world.ask(get("/", ("range", asked)))
        assert (got.status, got.body, got["content-range"]) == (status, body, told), asked
    assert world.ask(get("/", ("range", "bytes=0-2"), ("if-range", '"1"'))).status == 206
    assert world.ask(get("/", ("range", "bytes=0-2"), ("if-range", '"2"'))).status == 200
    assert world.ask(get("/", ("range", "bytes=0-2"), ("if-range", 'W/"1"'))).status == 200


def test_stale_while_revalidate() -> None:
    """RFC 5861, section 3: one asks the service, the others need not wait for it."""
    world = World()
    service = controlled("max-age=10, stale-while-revalidate=20", etag='"1"')
    world.ask(get(), service)
    world.now += 11
    exchange, said = world.begin(get())
    assert world.ask(get()).cache == "Hit"
    assert isinstance(said, Go)
    got = world.finish(exchange, said, get(), service)
    assert got.cache == "Refresh"
    world.now += 31
    assert world.ask(get(), service).cache == "Refresh"


def test_stale_if_error() -> None:
    """RFC 5861, section 4."""
    world = World()
    world.ask(get(), controlled("max-age=10, stale-if-error=20"))
    world.now += 11
    got = world.ask(get(), Service(status=503))
    assert (got.status, got.body, got.cache, got["age"]) == (200, b"body", "Hit", "11")
    world.now += 20
    assert world.ask(get(), Service(status=503)).status == 503


def test_headers_of_the_connection_are_not_kept() -> None:
    """Section 3.1."""
    world = World()
    hop = (("connection", "x-hop"), ("x-hop", "1"), ("proxy-authenticate", "Basic"), ("x-stay", "1"))
    world.ask(get(), controlled("max-age=60", *hop))
    got = world.ask(get())
    assert {name for name, _ in got.headers} >= {"x-stay", "content-type", "date", "age"}
    assert not {"connection", "x-hop", "proxy-authenticate", ":status"} & {name for name, _ in got.headers}


def test_conditions_about_the_service_itself_go_to_it() -> None:
    world = World()
    world.ask(get(), controlled("max-age=60"))
    assert world.ask(get("/", ("if-match", '"1"')), Service(status=412)).status == 412


def test_directives_of_several_lines() -> None:
    found = request_directives(("max-age=5", "max-stale, only-if-cached"))
    assert (found.max_age, found.max_stale, found.only_if_cached) == (5, MOST_S, True)
    assert response_directives(("public,,", " , max-age=7")).max_age == 7


def test_dates() -> None:
    assert (
        http_date("Sun, 06 Nov 1994 08:49:37 GMT") == http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777
    )
    assert http_date("nonsense") is None
    assert written_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_statuses_and_types_are_those_of_the_policy() -> None:
    world = World(
        policy=ProxyCache(cache_control=True, content_types=("image/*", "text/plain; charset=utf-8"))
    )
    life = (("cache-control", "max-age=60"),)
    for kind, cache in (
        ("image/png", "Miss"),
        ("image/png; q=1", "Bypass"),
        ("text/plain", "Bypass"),
        ("Text/Plain;charset=UTF-8", "Miss"),
        ("text", "Bypass"),
    ):
        assert world.ask(get(f"/{kind}"), Service(headers=life, kind=kind)).cache == cache, kind
    assert World().ask(get(), Service(status=500, headers=life)).cache == "Bypass"
    assert World().ask(get(), Service(status=404, headers=life)).cache == "Miss"
    assert TEXT[1] in RFC.content_types
