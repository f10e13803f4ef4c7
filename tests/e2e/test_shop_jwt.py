"""Kong's jwt and key-auth at the gateway: who gets in, what the others are told, what services see.

The answers that differ from Kong's are listed in docs/jwt.md; this file measures that table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e import tokens
from tests.e2e.clients import Answer, Headers
from tests.e2e.edge_manifests import ALICE_KEY, BOB_KEY, CAROL_KEY
from tests.e2e.harness import Meshgate
from tests.e2e.tokens import alice, bob, by_hand, claims, tampered

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

INVALID = 'Bearer error="invalid_token"'
INVALID_AT_SHOP = 'Bearer realm="shop", error="invalid_token"'
SECRET = tokens.ALICE_SECRET.encode()


def message(text: str) -> dict[str, str]:
    return {"message": text}


REFUSED: dict[str, tuple[Callable[[], str], dict[str, str]]] = {
    # name: (the token, Kong's body word for word)
    "expired": (lambda: alice(exp=int(time.time()) - 60), {"exp": "token expired"}),
    "exp is a word": (
        lambda: by_hand({"alg": "HS256"}, claims(tokens.ALICE_ISSUER, exp="soon"), SECRET),
        {"exp": "must be a number"},
    ),
    "tampered HS256": (lambda: tampered(alice()), message("Invalid signature")),
    "tampered RS256": (lambda: tampered(bob()), message("Invalid signature")),
    "HS256 signed with bob's RSA public key": (
        lambda: by_hand({"alg": "HS256", "typ": "JWT"}, claims(tokens.BOB_ISSUER), tokens.BOB_PUBLIC_PEM),
        message("Invalid algorithm"),
    ),
    "the same without the line end": (
        lambda: by_hand({"alg": "HS256"}, claims(tokens.BOB_ISSUER), tokens.BOB_PUBLIC_PEM.strip()),
        message("Invalid algorithm"),
    ),
    "alice signs as bob": (
        lambda: jwt.encode(claims(tokens.BOB_ISSUER), tokens.ALICE_SECRET, "HS256"),
        message("Invalid algorithm"),
    ),
    "alice with HS512": (
        lambda: jwt.encode(claims(tokens.ALICE_ISSUER), tokens.ALICE_SECRET * 2, "HS512"),
        message("Invalid algorithm"),
    ),
    "an algorithm of nobody's": (
        lambda: by_hand({"alg": "XX1"}, claims(tokens.ALICE_ISSUER), SECRET),
        message("Bad token; invalid alg"),
    ),
    "no alg": (
        lambda: by_hand({"typ": "JWT"}, claims(tokens.ALICE_ISSUER), SECRET),
        message("Bad token; invalid alg"),
    ),
    "unknown issuer": (lambda: alice(iss="mallory"), message("No credentials found for given 'iss'")),
    "not a JWT": (lambda: "hello", message("Bad token; invalid JSON")),
    "three words": (lambda: "a.b.c", message("Bad token; invalid JSON")),
    "claims that are no JSON": (
        lambda: by_hand({"alg": "HS256"}, b"nope", SECRET),
        message("Bad token; invalid JSON"),
    ),
    "signature that is no base64": (
        lambda: alice().rpartition(".")[0] + ".###",
        message("Bad token; invalid signature"),
    ),
    "alg none": (
        lambda: by_hand({"alg": "none", "typ": "JWT"}, claims(tokens.ALICE_ISSUER)),
        message("Bad token; invalid alg"),
    ),
    "alg none for bob": (
        lambda: by_hand({"alg": "none"}, claims(tokens.BOB_ISSUER)),
        message("Bad token; invalid alg"),
    ),
    "alg none with a signature": (
        lambda: by_hand({"alg": "none"}, claims(tokens.ALICE_ISSUER), SECRET),
        message("Bad token; invalid alg"),
    ),
    "no exp": (lambda: alice(exp=None), {"exp": "must be a number"}),
    "no iss": (lambda: alice(iss=None), message("No mandatory 'iss' in claims")),
    "empty iss": (lambda: alice(iss=""), message("Invalid 'iss' in claims")),
}


def refused(answer: Answer, body: dict[str, str], challenge: str) -> None:
    said = answer.json()
    if challenge.startswith("Key"):
        assert said.pop("request_id")
    assert (answer.status, said, answer.header("www-authenticate")) == (401, body, challenge)
    assert (answer.header("content-type") or "").startswith("application/json")


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_token_is_refused(edge: Meshgate, case: str) -> None:
    make, body = REFUSED[case]
    token = make()
    refused(edge.ask("jwt.example.test", headers=[("Authorization", f"Bearer {token}")]), body, INVALID)
    if "#" not in token:  # which would end the query
        refused(edge.ask("jwt.example.test", f"/?jwt={token}"), body, INVALID)


OWN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SELF_MADE: dict[str, Callable[[], str]] = {
    "kid that is a path, signed with nothing": lambda: by_hand(
        {"alg": "HS256", "kid": "../../../../dev/null"}, claims(tokens.ALICE_ISSUER)
    ),
    "kid that is SQL": lambda: by_hand(
        {"alg": "HS256", "kid": "x' UNION SELECT 'k'--"}, claims(tokens.ALICE_ISSUER), b"k"
    ),
    "kid of alice's, claims of bob's": lambda: by_hand(
        {"alg": "HS256", "kid": tokens.ALICE_ISSUER}, claims(tokens.BOB_ISSUER), SECRET
    ),
    "a key of its own": lambda: jwt.encode(
        claims(tokens.BOB_ISSUER), OWN_KEY, "RS256", headers={"jwk": _jwk(), "kid": "own"}
    ),
    "a place of its own": lambda: jwt.encode(
        claims(tokens.BOB_ISSUER), OWN_KEY, "RS256", headers={"jku": "http://127.0.0.1:1/", "x5u": "file:///"}
    ),
    "none in other letters": lambda: by_hand({"alg": "nOnE"}, claims(tokens.ALICE_ISSUER)),
    "30 KB, and tampered": lambda: tampered(alice(pad="x" * 30_000)),
}


def _jwk() -> dict[str, object]:
    return dict(json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OWN_KEY.public_key())))


@pytest.mark.parametrize("case", SELF_MADE)
def test_what_a_token_says_of_its_key_is_not_believed(edge: Meshgate, case: str) -> None:
    answer = edge.ask("jwt.example.test", headers=[("Authorization", f"Bearer {SELF_MADE[case]()}")])
    assert (answer.status, answer.header("www-authenticate")) == (401, INVALID)


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "Basic YWxhZGRpbjpvcGVu", "raw"])
def test_without_a_token_kong_says_unauthorized(edge: Meshgate, value: str | None) -> None:
    value = alice() if value == "raw" else value
    headers = [] if value is None else [("Authorization", value)]
    refused(edge.ask("jwt.example.test", headers=headers), message("Unauthorized"), "Bearer")


def test_the_realm_is_named(edge: Meshgate) -> None:
    host = "jwt-realm.example.test"
    refused(edge.ask(host), message("Unauthorized"), 'Bearer realm="shop"')
    wrong = [("Authorization", f"Bearer {tampered(alice())}")]
    refused(edge.ask(host, headers=wrong), message("Invalid signature"), INVALID_AT_SHOP)
    unknown = [("Authorization", f"Bearer {alice(iss='mallory')}")]
    refused(edge.ask(host, headers=unknown), message("No credentials found for given 'iss'"), INVALID_AT_SHOP)


def seen(answer: Answer, name: str) -> list[str]:
    """A header's values as they reached the service."""
    assert answer.status == 200, (answer.status, answer.body)
    return [value for key, value in answer.json()["headers"] if key.lower().replace("_", "-") == name]


def test_a_good_token_is_taken_wherever_kong_takes_it(edge: Meshgate) -> None:
    for name in ("Authorization", "authorization"):
        for scheme in ("Bearer", "bearer"):
            answer = edge.ask("jwt.example.test", headers=[(name, f"{scheme} {alice()}")])
            assert seen(answer, "x-consumer-username") == ["alice"]
    assert seen(edge.ask("jwt.example.test", f"/?a=1&jwt={alice()}"), "x-consumer-username") == ["alice"]
    answer = edge.ask("jwt.example.test", headers=[("Authorization", f"Bearer {bob()}")])
    assert seen(answer, "x-consumer-username") == ["bob"]
    assert seen(answer, "x-credential-identifier") == [tokens.BOB_ISSUER]
    host = "jwt-realm.example.test"
    assert seen(edge.ask(host, f"/?token={alice()}"), "x-consumer-username") == ["alice"]
    cookie = [("Cookie", f"a=b; session={bob()}")]
    assert seen(edge.ask(host, headers=cookie), "x-consumer-username") == ["bob"]
    # Without claims_to_verify a token may live for ever.
    for_ever = [("Authorization", f"Bearer {alice(exp=None)}")]
    assert seen(edge.ask(host, headers=for_ever), "x-consumer-username") == ["alice"]


def test_claims_are_looked_at_where_the_plugin_says_so(edge: Meshgate) -> None:
    nbf, realm = "jwt-nbf.example.test", "jwt-realm.example.test"
    future = [("Authorization", f"Bearer {alice(nbf=int(time.time()) + 600)}")]
    # Not looked at where claims_to_verify does not name it.
    assert seen(edge.ask(realm, headers=future), "x-consumer-username") == ["alice"]
    without = [("Authorization", f"Bearer {alice()}")]
    refused(edge.ask(nbf, headers=without), {"nbf": "must be a number"}, INVALID)
    refused(edge.ask(nbf, headers=future), {"nbf": "token not valid yet"}, INVALID)
    two = edge.ask("jwt.example.test", f"/?jwt={alice()}", [("Authorization", f"Bearer {alice(jti='2')}")])
    refused(two, message("Multiple tokens provided"), INVALID)
    two = edge.ask("jwt.example.test", f"/?jwt={alice()}&jwt={bob()}")
    refused(two, message("Multiple tokens provided"), INVALID)
    two = edge.ask("key.example.test", headers=[("apikey", BOB_KEY), ("apikey", ALICE_KEY)])
    assert (two.status, two.json()["message"]) == (401, "Duplicate API key found")


def test_a_token_in_several_places_counts_once(edge: Meshgate) -> None:
    token = alice()
    header = ("Authorization", f"Bearer {token}")
    answer = edge.ask("jwt.example.test", f"/?jwt={token}", [header])
    assert seen(answer, "x-consumer-username") == ["alice"]
    cookie = ("Cookie", f"session={token}")
    answer = edge.ask("jwt-realm.example.test", f"/?token={token}", [header, cookie])
    assert seen(answer, "x-consumer-username") == ["alice"]
    twice = ("Authorization", f"Bearer {token} bearer {token}")
    refused(edge.ask("jwt.example.test", headers=[twice]), message("Bad token; invalid signature"), INVALID)
    both = edge.ask("jwt.example.test", headers=[header, ("Authorization", f"bearer {token}")])
    assert seen(both, "x-consumer-username") == ["alice"]
    answer = edge.ask("jwt.example.test", f"/?jwt={bob()}", [header])
    refused(answer, message("Multiple tokens provided"), INVALID)
    answer = edge.ask("jwt.example.test", f"/?jwt={tampered(token)}", [header])
    refused(answer, message("Multiple tokens provided"), INVALID)
    cookie = ("Cookie", f"session={bob()}")
    answer = edge.ask("jwt-realm.example.test", f"/?token={token}", [header, cookie])
    refused(answer, message("Multiple tokens provided"), INVALID_AT_SHOP)


FORGED: Headers = (
    ("X-Consumer-Username", "eve"),
    ("x-consumer-username", "eve"),
    ("X-CONSUMER-USERNAME", "eve"),
    ("X_Consumer_Username", "eve"),
    ("x-consumer_username", "eve"),
    ("X-Consumer-ID", "eve"),
    ("X-Consumer-Id", "eve"),
    ("x_consumer_id", "eve"),
    ("X-Consumer-Custom-ID", "eve"),
    ("X-Consumer-Groups", "eve"),
    ("X-Authenticated-Groups", "eve"),
    ("X-Credential-Identifier", "eve"),
    ("x-credential_identifier", "eve"),
    ("X-Anonymous-Consumer", "eve"),
    ("X-Meshgate-Jwt-Credential", tokens.BOB_ISSUER),
    ("x-meshgate-key-credential", "eve"),
    ("x_meshgate_jwt_credential", tokens.BOB_ISSUER),
)


@pytest.mark.parametrize(
    ("host", "username"),
    [("open", None), ("jwt", "alice"), ("key", "carol"), ("key-shown", "carol")],
)
def test_what_clients_claim_to_be_never_reaches_a_service(
    edge: Meshgate, host: str, username: str | None
) -> None:
    own = [("Authorization", f"Bearer {alice()}"), ("apikey", CAROL_KEY)]
    answer = edge.ask(f"{host}.example.test", headers=[*FORGED, *own])
    assert "eve" not in answer.body.decode()
    assert seen(answer, "x-consumer-username") == ([username] if username else [])
    assert seen(answer, "x-anonymous-consumer") == []
    assert not [key for key, _ in answer.json()["headers"] if "meshgate" in key.lower()]


def test_a_claimed_credential_opens_nothing(edge: Meshgate) -> None:
    refused(edge.ask("jwt.example.test", headers=FORGED), message("Unauthorized"), "Bearer")
    refused(edge.ask("key.example.test", headers=FORGED), message("No API key found in request"), "Key")


def test_key_auth_takes_the_key_from_header_and_query(edge: Meshgate) -> None:
    host = "key.example.test"
    refused(edge.ask(host), message("No API key found in request"), "Key")
    refused(edge.ask(host, headers=[("apikey", "wrong")]), message("Unauthorized"), "Key")
    refused(edge.ask(host, "/?apikey=wrong"), message("Unauthorized"), "Key")
    for name in ("apikey", "X-Key"):
        answer = edge.ask(host, headers=[(name, ALICE_KEY)])
        assert seen(answer, "x-consumer-username") == ["alice"]
        assert seen(answer, "x-consumer-custom-id") == ["0815"]
    answer = edge.ask(host, f"/path?a=1&apikey={BOB_KEY}&b=2")
    assert seen(answer, "x-consumer-username") == ["bob"]


def test_hide_credentials_decides_whether_the_service_sees_the_key(edge: Meshgate) -> None:
    hidden = edge.ask("key.example.test", headers=[("apikey", ALICE_KEY)])
    assert ALICE_KEY not in hidden.body.decode()
    hidden = edge.ask("key.example.test", f"/path?a=1&apikey={ALICE_KEY}&b=2")
    assert hidden.json()["target"] == "/path?a=1&b=2"
    assert ALICE_KEY not in hidden.body.decode()
    shown = edge.ask("key-shown.example.test", headers=[("apikey", BOB_KEY)])
    assert seen(shown, "apikey") == [BOB_KEY]
    shown = edge.ask("key-shown.example.test", f"/path?apikey={BOB_KEY}")
    assert shown.json()["target"] == f"/path?apikey={BOB_KEY}"
    refused(edge.ask("key-shown.example.test"), message("No API key found in request"), 'Key realm="shop"')
