"""Whatever clients and services say, a shared cache keeps its promises (RFC 9111)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.bridge.cache.directives import request_directives, response_directives
from meshgate.bridge.cache.exchange import Exchange, Go, Then
from meshgate.bridge.cache.freshness import Times, Use, use
from meshgate.bridge.cache.given import Given, give
from meshgate.bridge.cache.keys import cache_key
from meshgate.bridge.cache.store import Store
from meshgate.bridge.cache.stored import Received, make
from meshgate.bridge.request import Request
from meshgate.model.policies.cached import CacheLimits, ProxyCache

NOW = 1_800_000_000.0
RFC = ProxyCache(cache_control=True, ttl_s=60)
TEXT = st.text(st.characters(codec="latin-1"), max_size=40)
DIRECTIVES = st.lists(
    st.sampled_from(
        (
            *("no-store", "no-cache", "private", "public", "must-revalidate", "only-if-cached", "ext=y"),
            *("max-age=5", "max-age=0", "s-maxage=9", 'max-age="7"', "max-age=x", "max-age"),
            *("stale-if-error=9", "stale-while-revalidate=9", "max-stale", "max-stale=3", "min-fresh=2"),
        )
    ),
    max_size=5,
).map(", ".join)
HEADER = st.tuples(st.sampled_from(["accept", "x-a", "authorization", "x-consumer-id", "cookie"]), TEXT)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(["a.example", "A.example", "b.example"]),
    path=st.sampled_from(["/", "/a", "/A", "/a?x=1", "/a?x=1&y=2", "/a?y=2&x=1", "/a?x=1%26y=2"]) | TEXT,
    headers=st.lists(HEADER | st.tuples(st.just("cache-control"), DIRECTIVES), max_size=4).map(tuple),
)


@given(TEXT | DIRECTIVES)
def test_any_text_can_be_read(text: str) -> None:
    request_directives((text, text))
    response_directives((text,))


@given(DIRECTIVES, DIRECTIVES)
def test_one_more_line_never_makes_an_answer_more_open(first: str, second: str) -> None:
    """What forbids still forbids, and times only become shorter."""
    one, both = response_directives((first,)), response_directives((first, second))
    assert one.no_store <= both.no_store
    assert one.private <= both.private
    assert one.no_cache <= both.no_cache
    if one.max_age is not None:
        assert both.max_age is not None
        assert both.max_age <= one.max_age


@given(DIRECTIVES, DIRECTIVES, st.floats(0, 100), st.floats(0, 50), st.floats(0, 200))
def test_stale_answers_need_somebodys_leave(
    said: str, asked: str, lifetime: float, age: float, later: float
) -> None:
    times = Times(received=NOW, initial_age_s=age, lifetime_s=lifetime)
    service, client = response_directives((said,)), request_directives((asked,))
    found = use(times, service, client, NOW + later)
    left = times.left_s(NOW + later)
    if found is Use.FRESH:
        assert left > 0
    if left <= 0 and found is not Use.REVALIDATE:
        assert not service.never_stale
        assert client.max_stale is not None or service.stale_while_revalidate
    if client.max_age is not None and found is not Use.REVALIDATE:
        assert times.age_s(NOW + later) <= client.max_age
    if service.no_cache or client.no_cache:
        assert found is Use.REVALIDATE


@given(REQUESTS, REQUESTS, st.booleans(), st.booleans())
def test_equal_keys_mean_equal_targets(one: Request, other: Request, rfc: bool, fold: bool) -> None:
    policy = ProxyCache(cache_control=rfc, ignore_path_case=fold)
    if cache_key("r", policy, one) != cache_key("r", policy, other):
        return
    assert one.method == other.method
    assert one.scheme == other.scheme
    assert one.host.lower() == other.host.lower()
    assert one.values("x-consumer-id") == other.values("x-consumer-id")
    assert rfc or one.values("authorization") == other.values("authorization")
    first, second = (r.path_only.lower() if fold else r.path_only for r in (one, other))
    assert first == second
    assert sorted(one.path.partition("?")[2].split("&")) == sorted(other.path.partition("?")[2].split("&"))


@given(st.binary(max_size=40), st.text("0123456789-=bytes, ", max_size=20) | st.just("bytes=1-3"))
def test_a_part_is_a_part_of_the_whole(body: bytes, asked: str) -> None:
    request = Request(method="GET", scheme="http", host="a", path="/", headers=(("range", asked),))
    head = Received(status=200, headers=(("content-type", "text/plain"),), asked=NOW, received=NOW)
    got = give(request, make(ProxyCache(), "k", request, head, body))
    if got.status == 206:
        told = dict(got.headers)["content-range"].removeprefix("bytes ")
        span, _, length = told.partition("/")
        first, last = map(int, span.split("-"))
        assert (got.body, int(length)) == (body[first : last + 1], len(body))
        assert got.body
    else:
        assert got.body == (b"" if got.status == 416 else body)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request, and what the service would answer."""

    request: Request
    status: int
    control: str
    vary: str
    cookie: bool
    later: float


TURNS = st.builds(
    Turn,
    request=REQUESTS,
    status=st.sampled_from([200, 200, 200, 404, 500, 204]),
    control=DIRECTIVES | st.just("max-age=30") | st.just("public, max-age=30"),
    vary=st.sampled_from(["", "", "accept", "x-a, accept", "*"]),
    cookie=st.booleans(),
    later=st.floats(0, 20),
)


@settings(max_examples=200)
@given(st.lists(TURNS, max_size=12), st.booleans())
def test_nobody_gets_what_is_anothers(turns: list[Turn], rfc: bool) -> None:
    """Each answer's body says for whom it was made, and whoever gets it might have asked for it."""
    policy = replace(RFC, cache_control=rfc, methods=("GET", "HEAD"))
    store, now, made = Store(limits=CacheLimits(memory_bytes=12_000)), NOW, list[Turn]()
    for turn in turns:
        now += turn.later
        exchange = Exchange("rule", policy, store, lambda at=now: at)  # type: ignore[misc]
        said = exchange.request(turn.request, ended=True)
        if isinstance(said, Given):
            if said.status != 504:
                _check(made[int(said.body or b"-1")] if said.body else None, turn, policy)
        elif said.then is Then.RESPONSE:
            headers = (
                ("content-type", "text/plain"),
                ("cache-control", turn.control),
                *((("vary", turn.vary),) if turn.vary else ()),
                *((("set-cookie", "a=1"),) if turn.cookie else ()),
            )
            made.append(turn)
            answer = exchange.response(turn.status, headers, ended=False)
            if isinstance(answer, Go) and answer.then is Then.RESPONSE_BODY:
                exchange.response_body(str(len(made) - 1).encode(), ended=True)
        exchange.end()
        assert 0 <= store.bytes <= store.max_bytes
        assert store.in_flight == 0


def _check(source: Turn | None, got: Turn, policy: ProxyCache) -> None:
    if source is None:
        return
    one, other = source.request, got.request
    assert not source.cookie
    assert one.host.lower() == other.host.lower()
    assert one.path_only == other.path_only
    assert one.values("x-consumer-id") == other.values("x-consumer-id")
    for name in filter(None, source.vary.split(", ")):
        assert [v.strip() for v in ",".join(one.values(name)).split(",")] == [
            v.strip() for v in ",".join(other.values(name)).split(",")
        ]
    said = response_directives((source.control,))
    if policy.cache_control:
        assert not said.no_store
        assert not said.private
        assert not request_directives(one.values("cache-control")).no_store
        credentials = one.values("authorization") + other.values("authorization")
        assert not credentials or said.public or said.must_revalidate or said.s_maxage is not None
    else:
        assert one.values("authorization") == other.values("authorization")
