"""The whole module, as Envoy calls it, with requests that are made to break it; AddressSanitizer looks on."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from meshgate.policies.native import items
from tests.native.sanitized import built, said

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")

NONE = (-1,) * 6
YEAR = (-1, -1, -1, -1, -1, 2)
Step = tuple[str, bytes]
Pairs = Iterable[tuple[str, str]]


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("requests", tmp_path_factory.mktemp("requests"))


def keys(**keys: str) -> Step:
    values: list[str | int] = ["", len(keys)]
    for who, key in keys.items():
        given = ["x-consumer-id", f"{who}-id", "x-consumer-username", who]
        values += [hashlib.sha256(key.encode()).hexdigest(), 2, *given]
    return "F", items(["keys", items(values).decode()])


def rule(name: str, by: str = "consumer", source: str = "", windows: Iterable[int] = YEAR) -> list[str | int]:
    return [name, by, source, 429, "Too many", 0, *windows, 0]


def route(
    *rules: list[str | int], names: Iterable[str] = ("ApiKey",), header: int = 1, query: int = 1
) -> Step:
    places: list[str | int] = [header, query, len(list(names)), *names]
    values: list[str | int] = [*places, len(rules), *(value for one in rules for value in one)]
    return "R", items(["keys", items(values).decode()])


def ask(number: int, headers: Pairs, path: str = "/", address: str = "10.0.0.1:80") -> Step:
    return "Q", items([number, address, ":path", path, *(text for pair in headers for text in pair)])


def answer(number: int, headers: Pairs = ()) -> Step:
    return "A", items([number, ":status", "200", *(text for pair in headers for text in pair)])


FILTER = keys(ada="ada-key", bob="bob-key")
ADA = ("apikey", "ada-key")


def test_who_comes_in_and_what_he_is_told(envoy: Path) -> None:
    forged = [ADA, ("x-consumer-id", "bob-id"), ("x-consumer-id", "eve"), ("x-consumer-username", "eve")]
    steps = [
        FILTER,
        route(rule("forged")),
        ask(1, forged),
        answer(1, [("ratelimit-limit", "99"), ("ratelimit-limit", "98"), ("x-own", "1")]),
        ask(1, [ADA]),
        answer(1),
        ask(1, [ADA]),
        ask(1, [("apikey", "bob-key")]),
    ]
    lines = said(envoy, steps)[2:]
    identity = "x-consumer-id=ada-id x-consumer-username=ada"
    assert lines[0] == f"on :path=/ apikey=ada-key {identity}", "his own words for himself are gone"
    assert lines[1].count(" ratelimit-limit=") == lines[1].count(" ratelimit-limit=2 ") == 1
    assert lines[1].startswith(
        "answer :status=200 x-own=1 x-ratelimit-limit-year=2 x-ratelimit-remaining-year=1 "
    )
    assert lines[2] == f"on :path=/ apikey=ada-key {identity}"
    assert lines[4].startswith(
        "429 meshgate_rate_limited x-ratelimit-limit-year=2 x-ratelimit-remaining-year=0 "
    )
    assert "retry-after=" in lines[4]
    assert lines[5] == "on :path=/ apikey=bob-key x-consumer-id=bob-id x-consumer-username=bob"


@pytest.mark.parametrize("filler", [0, 10, 120, 126, 127, 130, 300])
def test_any_number_of_headers(envoy: Path, filler: int) -> None:
    """Envoy's own bound is 100; filters before this one may add more."""
    more = [(f"x-{number}", "x") for number in range(filler)]
    steps = [FILTER, route(rule(f"filler-{filler}")), ask(1, [*more, ("x-consumer-id", "bob-id"), ADA])]
    told = said(envoy, [*steps, answer(1, [*more, ("ratelimit-limit", "7")])])
    assert told[2].count(" x-consumer-id=") == told[2].count(" x-consumer-id=ada-id") == 1
    assert told[3].count(" ratelimit-limit=") == told[3].count(" ratelimit-limit=2") == 1


@pytest.mark.parametrize(
    ("headers", "path", "reason"),
    [
        ([], "/", "missing_api_key"),
        ([("apikey", "")], "/?apikey=ada-key", "missing_api_key"),
        ([("apikey", "ada-key\0")], "/", "unknown_api_key"),
        ([("apikey", "ada-ke")], "/", "unknown_api_key"),
        ([("apikey", "ada-key" * 100_000)], "/", "unknown_api_key"),
        ([("apikey", "nobody")], "/?apikey=ada-key", "unknown_api_key"),
        ([ADA, ADA], "/", "matched_policy[duplicate-api-key]"),
        ([ADA, ("apikey", "")], "/", "matched_policy[duplicate-api-key]"),
        ([], "/?apikey=ada-key&apikey=ada-key", "matched_policy[duplicate-api-key]"),
        ([], "/?apikey=ada-key&%61pikey", "matched_policy[duplicate-api-key]"),
        ([], "/?apikey", "missing_api_key"),
        ([], "/?apikey=", "missing_api_key"),
        ([], "/?", "missing_api_key"),
        ([], "", "missing_api_key"),
        ([], "/?apikey=%", "unknown_api_key"),
        ([], "/?apikey=ada-key%00", "unknown_api_key"),
        ([], "/?apikey=" + "%61" * 100_000, "unknown_api_key"),
        ([], "/?" + "&" * 100_000, "missing_api_key"),
        ([], "/?ApiKey\0=ada-key", "missing_api_key"),
    ],
)
def test_who_stays_outside(envoy: Path, headers: Pairs, path: str, reason: str) -> None:
    steps = [FILTER, route(names=["apikey"]), ask(1, headers, path), answer(1)]
    assert said(envoy, steps)[2:] == [f"401 {reason}"]


def test_a_route_that_says_nothing_of_keys_lets_nobody_in(envoy: Path) -> None:
    assert said(envoy, [FILTER, ask(1, [ADA])])[1:] == ["401 missing_api_key"]


def test_grpc_is_told_in_its_own_words(envoy: Path) -> None:
    grpc = ("content-type", "application/grpc+proto")
    steps = [FILTER, route(rule("grpc", windows=(*NONE[:5], 0))), ask(1, [grpc]), ask(2, [grpc, ADA])]
    none, many = said(envoy, steps)[2:]
    start = "0 :status=200 content-type=application/grpc"
    assert none == f"{start} grpc-status=16 grpc-message=No API key found in request"
    assert many.startswith(f"{start} grpc-status=14 grpc-message=Too many x-ratelimit-limit-year=0 ")


def test_a_key_that_was_seen_is_not_known_to_another_table(envoy: Path) -> None:
    """Nor is what became of a table used once it is gone, while its requests are still under way."""
    steps = [FILTER, route(rule("reload", windows=(*NONE[:5], 100))), ask(1, [ADA])]
    for turn in range(50):
        steps += [keys(eve="ada-key") if turn % 2 else keys(bob="other"), ask(2, [ADA])]
        steps += [FILTER, route(rule("reload", windows=(*NONE[:5], 100))), ask(3, [ADA]), ("D", items([3]))]
    lines = said(envoy, [*steps, answer(1)])
    others = [line for line in lines if "401" in line or "x-consumer-username=eve" in line]
    assert ["eve" in line for line in others] == [False, True] * 25
    assert "x-ratelimit-limit-year=100" in lines[-1]


@pytest.mark.parametrize(
    ("by", "source", "apart", "together"),
    [
        (
            "header",
            "x-team",
            [[("x-team", "a")], [("x-team", "b")], []],
            [[("x-team", "a")], [("x-team", "a")]],
        ),
        ("header", "x-consumer-username", [[ADA], [("apikey", "bob-key")]], [[ADA], [ADA]]),
        ("ip", "", [], [[ADA], [("apikey", "bob-key")]]),
        ("service", "", [], [[ADA], [("apikey", "bob-key")]]),
    ],
)
def test_who_is_counted_together(
    envoy: Path, by: str, source: str, apart: list[Pairs], together: list[Pairs]
) -> None:
    def left(asked: list[Pairs]) -> list[str]:
        steps = [FILTER, route(rule(f"{by}-{source}", by, source))]
        for headers in asked:
            known = [*headers] if any(name == "apikey" for name, _ in headers) else [*headers, ADA]
            steps += [ask(1, known), answer(1)]
        found = [line for line in said(envoy, steps) if line.startswith("answer")]
        return [line.partition("x-ratelimit-remaining-year=")[2][0] for line in found]

    assert left(apart) == ["1"] * len(apart)
    assert left(together) == ["1", "0"]


def test_nothing_that_comes_does_harm(envoy: Path) -> None:
    """Requests put together by chance, many at once, while filters and routes are replaced."""
    chance = random.Random(20261129)
    words = ["apikey", "ApiKey", "ada-key", "bob-key", "", "\0", "%", "%6", "%61pikey", "a" * 5000, "é", ","]
    names = ["apikey", "x-consumer-id", "x-consumer-username", "x-team", "content-type", "ratelimit-limit"]
    sources = [("consumer", ""), ("credential", ""), ("header", "x-team"), ("ip", ""), ("path", "/a")]
    steps = [FILTER, route()]

    def pairs() -> list[tuple[str, str]]:
        values = [*words, "application/grpc"]
        return [
            (chance.choice(names), chance.choice(values)) for _ in range(chance.choice((0, 1, 3, 8, 140)))
        ]

    for _ in range(3000):
        number = chance.randrange(8)
        match chance.randrange(10):
            case 0:
                steps.append(keys(ada="ada-key", bob=chance.choice(words)))
            case 1:
                rules = []
                for i in range(chance.randrange(3)):
                    windows = [chance.choice((-1, 0, 3, 10**18)) for _ in range(6)]
                    rules.append(rule(f"any-{i}", *chance.choice(sources), windows))
                where = chance.choice([["apikey"], ["X-Team", "apikey"], [""], []])
                steps.append(
                    route(*rules, names=where, header=chance.randrange(2), query=chance.randrange(2))
                )
            case 2 | 3 | 4 | 5:
                query = "&".join("=".join(chance.choices(words, k=2)) for _ in range(chance.randrange(4)))
                address = chance.choice(["", ":", "10.0.0.1:80", "[::1]:8080", "/a/socket"])
                steps.append(ask(number, pairs(), f"/a?{query}", address))
            case 6 | 7:
                steps.append(answer(number, pairs()))
            case _:
                steps.append(("D", items([number])))
    lines = said(envoy, steps)
    assert {line.split(" ")[0] for line in lines} >= {"read", "on", "answer", "401", "429"}
    for line in lines:
        if line.startswith("on"):
            assert line.count(" x-consumer-id=") == 1
            assert "x-consumer-id=ada-id" in line or "x-consumer-id=bob-id" in line
