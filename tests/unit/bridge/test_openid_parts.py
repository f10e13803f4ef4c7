"""The pure parts of `openid-connect`: claims, headers, credentials, logins."""

from __future__ import annotations

import asyncio
import json

import pytest

from meshgate.bridge.openid import credentials, passing
from meshgate.bridge.openid.code_flow import MOST_LOGINS, Answer, Logins, accept, begin, verify_answer
from meshgate.bridge.openid.credentials import Arguments
from meshgate.bridge.openid.endpoints import prove
from meshgate.bridge.openid.evidence import Evidence, Tokens, at, demand, words
from meshgate.bridge.openid.problems import ForbiddenError, RefusedError
from meshgate.bridge.openid.session import Held, Sessions
from meshgate.bridge.request import Request
from meshgate.bridge.session_cookie import Age, Times
from meshgate.core.secret import Secret
from meshgate.model.policies.openid import (
    CredentialPlace,
    CredentialSources,
    NeededClaim,
    OpenidClient,
    OpenidClientAuth,
    OpenidLogin,
    OpenidMethod,
    OpenidSession,
    PassedTokens,
    TokenDemands,
)

CLIENT = OpenidClient(id="shop", secret=Secret.of("a b:c"))
SECRET = Secret.of("seals")
NOW = 1_000_000.0


def request(path: str = "/a", *headers: tuple[str, str], body: bytes = b"", method: str = "GET") -> Request:
    return Request(method=method, scheme="https", host="shop.example", path=path, headers=headers, body=body)


def evidence(**claims: object) -> Evidence:
    return Evidence(method=OpenidMethod.BEARER, tokens=Tokens(access="t"), access_claims=claims)


def test_claims_are_found_in_objects_and_lists() -> None:
    claims = {"a": {"b": ["x", {"c": 1}]}}
    assert at(claims, ("a", "b", "1")) == "x"
    assert at(claims, ("a", "b", "2", "c")) == 1
    assert at(claims, ("a", "b", "0")) is None
    assert at(claims, ("a", "x", "y")) is None
    assert words("a  b") == ("a", "b")
    assert words(["a b", 1]) == ("a b", "1")
    assert (words(True), words(7), words(None), words({"a": 1})) == (("true",), ("7",), (), ())


@pytest.mark.parametrize(
    ("claim", "wanted", "good"),
    [
        ("read write", ("write",), True),
        ("read write", ("read write",), True),
        ("read", ("read write", "read"), True),
        ("read", ("read write",), False),
        (["read write"], ("read write",), True),
        ("reader", ("read",), False),
        ("", ("read",), False),
        (None, ("",), False),
    ],
)
def test_what_is_demanded(claim: object, wanted: tuple[str, ...], *, good: bool) -> None:
    demands = TokenDemands(needed=(NeededClaim(claim=("scope",), any_of=wanted),))
    if good:
        demand(demands, evidence(scope=claim))
    else:
        with pytest.raises(ForbiddenError):
            demand(demands, evidence(scope=claim))


def test_claims_that_could_break_a_header_are_not_sent() -> None:
    passed = PassedTokens(claims=(("x-a", ("a",)), ("x-b", ("b",))), id_token="x-id", access_token="t:bearer")
    found, empty = passing.headers(passed, evidence(a="x\r\nx-admin: yes", b={"c": [1, True]}))
    assert found == (("t", "Bearer t"), ("x-b", '{"c":[1,true]}'))
    assert empty == ("x-id", "x-a")
    assert passing.told_headers(passed) == ("t", "x-id", "x-a", "x-b")


def test_a_parameter_that_is_there_twice_is_refused() -> None:
    for path, body in (("/?code=a&code=b", b""), ("/", b"code=a&code=b")):
        kind = ("content-type", "application/x-www-form-urlencoded")
        arguments = Arguments(request(path, kind, body=body, method="POST"))
        with pytest.raises(RefusedError):
            (arguments.posted if body else arguments.query)("code")
    sources = CredentialSources(bearer=frozenset(CredentialPlace), bearer_cookie="t")
    twice = request("/?access_token=a", ("cookie", "t=b"))
    with pytest.raises(RefusedError):
        credentials.bearer(sources, Arguments(twice))
    found = credentials.bearer(sources, Arguments(request("/", ("authorization", "bearer x"))))
    assert found is not None
    assert (found.value, found.header) == ("x", "authorization")


def test_logins_are_sealed_bounded_and_for_one_provider() -> None:
    logins = Logins(OpenidLogin(), "https://login.example", SECRET)
    begun = [begin(request(f"/{i}"), CLIENT, pkce=True, keep_query=True, now=NOW) for i in range(6)]
    lines = logins.store(request(), begun)
    cookie = "; ".join(line.partition(";")[0] for line in lines)
    again = request("/a", ("cookie", cookie))
    assert logins.read(again, NOW) == tuple(begun[-MOST_LOGINS:])
    assert logins.read(again, NOW + 601) == ()
    assert logins.read(again, NOW - 1) == ()
    assert Logins(OpenidLogin(), "https://other.example", SECRET).read(again, NOW) == ()
    assert (
        len({one.state for one in begun} | {one.nonce for one in begun} | {one.verifier for one in begun})
        == 18
    )
    assert accept(Answer(state=begun[0].state), logins.read(again, NOW)) is None
    assert accept(Answer(state=begun[5].state), logins.read(again, NOW)) == begun[5]


def test_where_a_login_leads_is_this_host() -> None:
    for path in ("//evil.example/x", "/\\evil.example", "/?next=https://evil.example", "/@evil.example"):
        login = begin(request(path), CLIENT, pkce=True, keep_query=True, now=NOW)
        assert login.back.startswith("https://shop.example/")
    login = begin(request("/a?b=c&state=s&code=d"), CLIENT, pkce=True, keep_query=True, now=NOW)
    assert login.back == "https://shop.example/a?b=c"
    assert (
        begin(request("/a?b=c"), CLIENT, pkce=False, keep_query=False, now=NOW).back
        == "https://shop.example/a"
    )


def test_another_providers_answer_is_refused() -> None:
    verify_answer(Answer(state="s", code="c"), "https://a", says_issuer=False)
    verify_answer(Answer(state="s", code="c", issuer="https://a"), "https://a", says_issuer=True)
    for answer, says in (
        (Answer(state="s", code="c", issuer="https://b"), False),
        (Answer(state="s", code="c"), True),
        (Answer(state="s", error="access_denied"), False),
        (Answer(state="s"), False),
    ):
        with pytest.raises(RefusedError):
            verify_answer(answer, "https://a", says_issuer=says)


def test_a_session_is_bound_to_what_the_plugin_says() -> None:
    held = Held(
        method=OpenidMethod.AUTHORIZATION_CODE,
        client_id="shop",
        tokens=Tokens(access="a", id="i", refresh="r", expires_at=NOW + 60, scope="openid"),
        access_verified=True,
        times=Times.starting(NOW),
    )
    sessions = Sessions(OpenidSession(secret=SECRET, bind=("user-agent",)), "https://a", SECRET)
    line = asyncio.run(sessions.store(request("/", ("user-agent", "x")), held, NOW))[0]
    assert "; Secure" in line
    cookie = ("cookie", line.partition(";")[0])

    def read(one: Sessions, agent: str, now: float = NOW) -> tuple[Held, Age] | None:
        return asyncio.run(one.read(request("/", cookie, ("user-agent", agent)), now))

    found = read(sessions, "x")
    assert found is not None
    assert found[0] == held
    assert read(sessions, "y") is None
    assert read(sessions, "x", NOW + 86401) is None
    others = (
        Sessions(OpenidSession(secret=SECRET, bind=("user-agent",)), "https://b", SECRET),
        Sessions(OpenidSession(secret=SECRET, bind=("user-agent",), audience="b"), "https://a", SECRET),
        Sessions(OpenidSession(secret=Secret.of("x"), bind=("user-agent",)), "https://a", SECRET),
    )
    assert all(read(one, "x") is None for one in others)


def test_how_a_client_shows_who_it_is() -> None:
    form, headers = prove(CLIENT, OpenidClientAuth.BASIC, "https://a/token", NOW)
    assert (form, headers) == ((), {"authorization": "Basic c2hvcDphJTIwYiUzQWM="})
    form, headers = prove(CLIENT, OpenidClientAuth.POST, "https://a/token", NOW)
    assert (dict(form), headers) == ({"client_id": "shop", "client_secret": "a b:c"}, {})
    assert prove(CLIENT, OpenidClientAuth.NONE, "https://a/token", NOW) == ((("client_id", "shop"),), {})
    key = Secret.of(json.dumps({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": X, "d": D}))
    signed = OpenidClient(id="shop", jwk=key)
    form, _ = prove(signed, OpenidClientAuth.PRIVATE_KEY_JWT, "https://a/token", NOW)
    assert dict(form)["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert dict(form)["client_assertion"].count(".") == 2


X, D = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
"""The key of RFC 8037, appendix A.1."""
