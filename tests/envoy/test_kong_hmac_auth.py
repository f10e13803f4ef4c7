"""Kong's `hmac-auth` on a real Envoy with a real bridge, by itself and with other ways in."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, consumer, plugin, route
from tests.unit.bridge.hmac_signing import authorization, digest

MANIFESTS = (
    consumer(
        "alice",
        {
            "alice-signs": ("hmac-auth", {"username": "alice-1", "secret": "hush"}),
            "alice-key": ("key-auth", {"key": "alices-key"}),
        },
    )
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bobs-key"})})
    + consumer("carol", {"carol-login": ("basic-auth", {"username": "carol", "password": "pw"})})
    + consumer("guest", {})
    + plugin("signed", "hmac-auth", "{realm: the shop, enforce_headers: [x-date, '@request-target']}")
    + plugin("body", "hmac-auth", "{validate_request_body: true, hide_credentials: true}")
    + plugin("perhaps", "hmac-auth", "{anonymous: guest}")
    + plugin("key", "key-auth", "{}")
    + plugin("perhaps-key", "key-auth", "{anonymous: guest}")
    + plugin("perhaps-login", "basic-auth", "{anonymous: guest}")
    + route("signed", "signed")
    + route("body", "body")
    + route("perhaps", "perhaps")
    + route("either", "perhaps", "perhaps-key", "perhaps-login")
    + route("both", "signed", "key")
    + route("key-or-signed", "key", "perhaps")
)
NO_DATE = (
    "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"
)


def _now(seconds: int = 0) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def _signed(
    path: str, secret: str = "hush", *, method: str = "GET", date: str = "", place: str = "authorization"
) -> tuple[tuple[str, str], ...]:
    """Headers of a request that is signed with its date and its target."""
    date = date or _now()
    text = f"x-date: {date}\n@request-target: {method.lower()} {path}"
    return (("x-date", date), (place, authorization("alice-1", secret, text, "x-date @request-target")))


def _refusals() -> Mapping[str, tuple[Ask, str]]:
    """Requests and the message that each is refused with."""
    date = _now()
    unsigned_target = authorization("alice-1", "hush", f"x-date: {date}", "x-date")
    return {
        "nothing": (Ask("/signed"), "Unauthorized"),
        "no date": (Ask("/signed", headers=_signed("/signed")[1:]), NO_DATE),
        "an old date": (Ask("/signed", headers=_signed("/signed", date=_now(-301))), NO_DATE),
        "a date to come": (Ask("/signed", headers=_signed("/signed", date=_now(310))), NO_DATE),
        "no signature": (
            Ask("/signed", headers=(("date", _now()), ("authorization", "hmac alice-1"))),
            "HMAC signature cannot be verified",
        ),
        "the target is not signed": (
            Ask("/signed", headers=(("x-date", date), ("authorization", unsigned_target))),
            "HMAC signature cannot be verified",
        ),
        "another secret": (
            Ask("/signed", headers=_signed("/signed", "hush!")),
            "HMAC signature does not match",
        ),
        "another path": (
            Ask("/signed?all=1", headers=_signed("/signed?all=0")),
            "HMAC signature does not match",
        ),
        "another method": (
            Ask("/signed", method="DELETE", headers=_signed("/signed")),
            "HMAC signature does not match",
        ),
    }  # fmt: skip


@pytest.mark.envoy
def test_who_does_not_sign_well_is_refused(tmp_path: Path) -> None:
    cases = _refusals()
    answers = asked(MANIFESTS, [ask for ask, _ in cases.values()], tmp_path)
    said = dict(zip(cases, answers, strict=True))
    assert {name: a.message for name, a in said.items()} == {n: m for n, (_, m) in cases.items()}
    for answer in answers:
        assert answer.status == 401
        assert answer.header("www-authenticate") == 'hmac realm="the shop"'
        assert answer.header("content-type") == "application/json; charset=utf-8"


@pytest.mark.envoy
def test_who_signs_is_known(tmp_path: Path) -> None:
    forged = (("X-Consumer-Username", "root"), ("X-Credential-Identifier", "root"))
    line, host = f"date: {(date := _now())}\nGET /perhaps HTTP/1.1", f"host: shop.example\nx-date: {date}"
    requests = [
        Ask("/signed?a=%20b", headers=(*_signed("/signed?a=%20b"), *forged)),
        Ask("/signed", headers=(*_signed("/signed", place="proxy-authorization"), ("authorization", "x"))),
        Ask("/perhaps", headers=(("date", date), _authorization(line, "date request-line"))),
        Ask("/perhaps", headers=(("x-date", date), _authorization(host, "host x-date"))),
        Ask("/perhaps", headers=(*_signed("/perhaps", "wrong"), *forged)),
    ]  # fmt: skip
    alice, by_proxy, by_line, by_host, guest = asked(MANIFESTS, requests, tmp_path)
    for answer in (alice, by_proxy, by_line, by_host):
        seen = answer.seen.headers
        assert seen["x-consumer-username"] == ["alice"]
        assert seen["x-credential-identifier"] == ["alice-1"]
        assert "x-anonymous-consumer" not in seen
        assert "x-consumer-id" in seen
    assert alice.seen.headers["authorization"] == [requests[0].headers[1][1]]
    seen = guest.seen.headers
    assert (seen["x-consumer-username"], seen["x-anonymous-consumer"]) == (["guest"], ["true"])
    assert "x-credential-identifier" not in seen


def _authorization(text: str, names: str) -> tuple[str, str]:
    return "authorization", authorization("alice-1", "hush", text, names)


@pytest.mark.envoy
def test_bodies(tmp_path: Path) -> None:
    def post(body: bytes, *more: tuple[str, str]) -> Ask:
        return Ask("/body", "POST", (*_signed("/body", method="POST"), *more), body)

    requests = [
        post(b'{"a":1}', ("digest", digest(b'{"a":1}'))),
        post(b'{"a":2}', ("digest", digest(b'{"a":1}'))),
        post(b'{"a":1}'),
        post(b""),
        post(b"x" * (1024 * 1024 + 1)),
    ]
    good, changed, without, empty, long = asked(MANIFESTS, requests, tmp_path)
    assert good.seen.body == '{"a":1}'
    assert "authorization" not in good.seen.headers
    for answer in (changed, without):
        assert (answer.status, answer.message) == (401, "HMAC signature does not match")
        assert answer.header("www-authenticate") == "hmac"
    assert empty.seen.headers["x-consumer-username"] == ["alice"]
    assert long.status == 413


KEY, OTHER_KEY = ("apikey", "alices-key"), ("apikey", "bobs-key")
LOGIN = ("authorization", "Basic " + base64.b64encode(b"carol:pw").decode())


def _ways() -> Mapping[str, tuple[Ask, str]]:
    """Requests, and who they are taken for or why they are refused."""
    return {
        "either: nothing": (Ask("/either"), "guest"),
        "either: a key": (Ask("/either", headers=(OTHER_KEY,)), "bob"),
        "either: a password": (Ask("/either", headers=(LOGIN,)), "carol"),
        "either: a signature": (Ask("/either", headers=_signed("/either")), "alice"),
        "either: nobody's key and a signature": (
            Ask("/either", headers=(("apikey", "x"), *_signed("/either"))), "alice",
        ),
        "either: a key before a signature": (Ask("/either", headers=(OTHER_KEY, *_signed("/either"))), "bob"),
        "either: a key and a bad signature": (
            Ask("/either", headers=(OTHER_KEY, *_signed("/either", "wrong"))), "bob",
        ),
        "both": (Ask("/both", headers=(KEY, *_signed("/both"))), "alice"),
        "both, of two: the last": (Ask("/both", headers=(OTHER_KEY, *_signed("/both"))), "alice"),
        "both: a key alone": (Ask("/both", headers=(KEY,)), "401 Unauthorized"),
        "both: a signature": (Ask("/both", headers=_signed("/both")), "401 No API key found in request"),
        "both: a bad signature": (
            Ask("/both", headers=(KEY, *_signed("/both", "wrong"))), "401 HMAC signature does not match",
        ),
        "a key is needed, a signature is not": (Ask("/key-or-signed", headers=(OTHER_KEY,)), "bob"),
        "a signature does not do for a key": (
            Ask("/key-or-signed", headers=_signed("/key-or-signed")), "401 No API key found in request",
        ),
    }  # fmt: skip


@pytest.mark.envoy
def test_with_other_ways_in(tmp_path: Path) -> None:
    ways = _ways()
    answers = asked(MANIFESTS, [ask for ask, _ in ways.values()], tmp_path)
    found = dict(zip(ways, map(_outcome, answers), strict=True))
    assert found == {name: outcome for name, (_, outcome) in ways.items()}


def _outcome(answer: Answer) -> str:
    if answer.reached:
        return answer.seen.headers["x-consumer-username"][0]
    return f"{answer.status} {answer.body.split(chr(34))[3]}"
