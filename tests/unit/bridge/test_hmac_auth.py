"""Kong's `hmac-auth`: what is signed, whose signature it is, and the four refusals."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from meshgate.bridge.hmac_auth import NO_DATE, NOT_THE_SAME, NOT_VERIFIABLE, HmacCheck, signing_string
from meshgate.bridge.request import Allow, Deny, Request, Verdict
from meshgate.core.secret import Secret
from meshgate.model.consumer import Consumer, HmacCredential
from meshgate.model.policies.bridged import HmacAuth
from tests.unit.bridge.hmac_signing import authorization, digest
from tests.unit.bridge.tools import NOW, tools

ANN = Consumer(id="1", username="ann", hmac=(HmacCredential(username="ann-1", secret=Secret.of("hush")),))
DATE = format_datetime(NOW, usegmt=True)
REQUEST = Request(
    method="POST",
    scheme="http",
    host="shop.example:8080",
    path="/cart?item=1",
    headers=(("x-date", DATE), ("x-twice", "1"), ("x-twice", "2"), ("x-empty", ""), ("x-request-id", "r1")),
)
SIGNED = f"x-date: {DATE}\n@request-target: post /cart?item=1"
NAMES = "x-date @request-target"


def asked(header: str | None, policy: HmacAuth | None = None, request: Request = REQUEST) -> Verdict:
    """What the check says to the request with that Authorization."""
    headers = request.headers if header is None else (*request.headers, ("authorization", header))
    check = HmacCheck(policy or HmacAuth(), tools(ANN))
    return asyncio.run(check.ask(replace(request, headers=headers), None))


def refusal(verdict: Verdict) -> str:
    """The message of a refusal that another way in could make good."""
    assert isinstance(verdict, Deny)
    assert (verdict.status, verdict.stranger) == (401, True)
    said = json.loads(verdict.body)
    assert set(said) == {"message", "request_id"}
    assert said["request_id"] == "r1"
    return str(said["message"])


def test_whoever_signs_is_known() -> None:
    verdict = asked(authorization("ann-1", "hush", SIGNED, NAMES))
    assert isinstance(verdict, Allow)
    assert verdict.identity is not None
    assert (verdict.identity.consumer, verdict.identity.credential) == (ANN, "ann-1")
    assert verdict.remove_headers == ()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_algorithms(algorithm: str) -> None:
    header = authorization("ann-1", "hush", SIGNED, NAMES, algorithm)
    assert isinstance(asked(header), Allow)
    others = tuple(a for a in HmacAuth().algorithms if a != f"hmac-{algorithm}")
    assert refusal(asked(header, HmacAuth(algorithms=others))) == NOT_VERIFIABLE


def test_sha224_must_be_asked_for() -> None:
    header = authorization("ann-1", "hush", SIGNED, NAMES, "sha224")
    assert refusal(asked(header)) == NOT_VERIFIABLE
    assert isinstance(asked(header, HmacAuth(algorithms=("hmac-sha224",))), Allow)


def test_what_is_signed() -> None:
    names = ("Host", "x-twice", "x-empty", "x-missing", "(request-target)", "request-line")
    assert signing_string(REQUEST, names).split("\n") == [
        "Host: shop.example:8080",
        "x-twice: 1, 2",
        "x-empty: ",
        "x-missing:",
        "(request-target): post /cart?item=1",
        "POST /cart?item=1 HTTP/1.1",
    ]
    assert signing_string(replace(REQUEST, protocol="HTTP/2"), ("request-line",)).endswith(" HTTP/2.0")


GOOD = authorization("ann-1", "hush", SIGNED, NAMES)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "Unauthorized"),
        ("", NOT_VERIFIABLE),
        ("Basic YTpi", NOT_VERIFIABLE),
        ("hmac " + "username=" * 1000, NOT_VERIFIABLE),
        (GOOD.replace("ann-1", "ann-2"), NOT_VERIFIABLE),
        (GOOD.replace("hmac-sha256", "hmac-md5"), NOT_VERIFIABLE),
        (GOOD.replace("hmac-sha256", "none"), NOT_VERIFIABLE),
        (GOOD.replace("hmac-sha256", "hmac-sha1"), NOT_THE_SAME),
        (GOOD.replace(" @request-target", ""), NOT_THE_SAME),
        (GOOD[:-6] + '===="', NOT_THE_SAME),
        (authorization("ann-1", "hush!", SIGNED, NAMES), NOT_THE_SAME),
        (authorization("ann-1", "", SIGNED, NAMES), NOT_THE_SAME),
    ],
)
def test_refusals(header: str | None, message: str) -> None:
    assert refusal(asked(header)) == message


@pytest.mark.parametrize(
    ("date", "good"),
    [
        (NOW - timedelta(seconds=299), True),
        (NOW + timedelta(seconds=299), True),
        (NOW - timedelta(seconds=301), False),
        (NOW + timedelta(seconds=301), False),
    ],
)
def test_dates(date: datetime, good: bool) -> None:
    text = format_datetime(date, usegmt=True)
    header = authorization("ann-1", "hush", f"date: {text}", "date")
    verdict = asked(header, request=replace(REQUEST, headers=(("date", text), ("x-request-id", "r1"))))
    if good:
        assert isinstance(verdict, Allow)
    else:
        assert refusal(verdict) == NO_DATE


@pytest.mark.parametrize("date", ["", "yesterday", "2026-11-28T12:00:00Z", "Mon, 99 Foo 2026 99:99:99 GMT"])
def test_what_is_no_date(date: str) -> None:
    request = replace(REQUEST, headers=(("x-date", date), ("x-request-id", "r1")))
    assert refusal(asked(GOOD, request=request)) == NO_DATE


def test_enforced_headers_must_be_signed_whatever_their_case() -> None:
    policy = HmacAuth(enforce_headers=("x-date", "host"))
    assert refusal(asked(GOOD, policy)) == NOT_VERIFIABLE
    signed = f"X-Date: {DATE}\nHost: shop.example:8080"
    assert isinstance(asked(authorization("ann-1", "hush", signed, "X-Date Host"), policy), Allow)


def test_bodies() -> None:
    policy = HmacAuth(validate_request_body=True)

    def with_body(body: bytes, *more: tuple[str, str]) -> Verdict:
        request = replace(REQUEST, body=body, headers=(*REQUEST.headers, *more))
        return asked(GOOD, policy, request)

    assert isinstance(with_body(b"{}", ("digest", digest(b"{}"))), Allow)
    assert isinstance(with_body(b""), Allow)
    assert refusal(with_body(b"{}")) == NOT_THE_SAME
    assert refusal(with_body(b"{ }", ("digest", digest(b"{}")))) == NOT_THE_SAME
    assert refusal(with_body(b"{}", ("digest", "ü"))) == NOT_THE_SAME


def test_credentials_are_hidden_where_they_were_found() -> None:
    policy = HmacAuth(hide_credentials=True)
    verdict = asked(GOOD, policy)
    assert isinstance(verdict, Allow)
    assert verdict.remove_headers == ("authorization",)
    proxied = replace(REQUEST, headers=(*REQUEST.headers, ("proxy-authorization", GOOD)))
    verdict = asked("Basic YTpi", policy, proxied)
    assert isinstance(verdict, Allow)
    assert verdict.remove_headers == ("proxy-authorization",)


def test_the_challenge_names_the_realm() -> None:
    for policy, challenge in ((HmacAuth(), "hmac"), (HmacAuth(realm="shop"), 'hmac realm="shop"')):
        verdict = asked(None, policy)
        assert isinstance(verdict, Deny)
        assert dict(verdict.headers)["www-authenticate"] == challenge
