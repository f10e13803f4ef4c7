"""Kong's `anonymous`: strangers go on as one consumer, and several ways in of which one is enough."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest

from tests.envoy.kong_edge import Ask, asked, consumer, plugin, route

SECRET = "a secret that is long enough for HS256"
MANIFESTS = (
    consumer("alice", {"alice-jwt": ("jwt", {"key": "alice-iss", "secret": SECRET})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bobs"})})
    + consumer("carol", {"carol-login": ("basic-auth", {"username": "carol", "password": "s3cret"})})
    + consumer("guest", {"guest-group": ("acl", {"group": "guests"})})
    + plugin("token", "jwt", "{anonymous: guest}")
    + plugin("key", "key-auth", "{}")
    + plugin("guests", "acl", "{allow: [guests]}")
    + plugin("limit", "rate-limiting", "{minute: 1}")
    + plugin("any-key", "key-auth", "{anonymous: guest, key_names: [apikey, x-key], hide_credentials: true}")
    + plugin("any-login", "basic-auth", "{anonymous: guest, hide_credentials: true}")
    + plugin("keep-login", "basic-auth", "{anonymous: guest}")
    + route("key", "any-key")
    + route("login", "any-login")
    + route("kept", "keep-login")
    + route("any", "token", "any-key", "any-login")
    + route("any-member", "any-key", "any-login", "guests")
    + route("key-and-login", "key", "any-login")
    + route("token", "token")
    + route("both", "token", "key")
    + route("guests", "token", "guests")
    + route("limited", "token", "limit")
)


def _bearer(issuer: str, secret: str = SECRET) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {jwt.encode({'iss': issuer}, secret, 'HS256')}"),)


@pytest.mark.envoy
def test_strangers(tmp_path: Path) -> None:
    forged = (
        ("x-meshgate-anonymous", "alice"),
        ("x-consumer-username", "alice"),
        ("x-meshgate-jwt-credential", "alice-iss"),
        ("x-anonymous-consumer", "false"),
    )
    wrong = _bearer("alice-iss", "another secret that is long enough")
    requests = [
        Ask("/token", headers=_bearer("alice-iss")),
        Ask("/token"),
        Ask("/token", headers=forged),
        Ask("/token", headers=(*wrong, *forged)),
        Ask("/token", headers=_bearer("nobody")),
        Ask("/both"),
        Ask("/both", headers=(("apikey", "bobs"),)),
        Ask("/guests"),
        Ask("/guests", headers=_bearer("alice-iss")),
        Ask("/limited"),
        Ask("/limited"),
        Ask("/limited", headers=_bearer("alice-iss")),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    alice = answers[0].seen.headers
    assert alice["x-consumer-username"] == ["alice"]
    assert "x-anonymous-consumer" not in alice
    for answer in answers[1:5]:
        guest = answer.seen.headers
        assert guest["x-consumer-username"] == ["guest"]
        assert guest["x-anonymous-consumer"] == ["true"]
        assert "x-credential-identifier" not in guest
        assert not [name for name in guest if name.startswith("x-meshgate")]
    assert answers[5].status == 401
    bob = answers[6].seen.headers
    assert (bob["x-consumer-username"], "x-anonymous-consumer" in bob) == (["bob"], False)
    assert answers[7].seen.headers["x-consumer-groups"] == ["guests"]
    assert answers[8].status == 403
    assert [a.status for a in answers[9:]] == [200, 429, 200]


def _login(username: str, password: str, scheme: str = "Basic") -> tuple[str, str]:
    return ("authorization", f"{scheme} {base64.b64encode(f'{username}:{password}'.encode()).decode()}")


KEY, LOGIN = ("apikey", "bobs"), _login("carol", "s3cret")
WAYS: Mapping[str, tuple[Ask, str]] = {
    "a key in a header": (Ask("/key", headers=(KEY,)), "bob"),
    "a key in the query": (Ask("/key?apikey=bobs"), "bob"),
    "an escaped key in the query": (Ask("/key?apikey=b%6Fbs"), "bob"),
    "a key of the second name": (Ask("/key", headers=(("x-key", "bobs"),)), "bob"),
    "no key": (Ask("/key"), "guest"),
    "nobody's key": (Ask("/key", headers=(("apikey", "nobody's"),)), "guest"),
    "an empty key": (Ask("/key", headers=(("apikey", ""),)), "guest"),
    "nobody's key before a good one": (
        Ask("/key?apikey=bobs", headers=(("apikey", "nobody's"),)), "guest",
    ),
    "a key, and a claim to be somebody": (
        Ask("/key", headers=(("x-consumer-id", "x"), ("x-consumer-username", "alice"))), "guest",
    ),
    "a password": (Ask("/login", headers=(LOGIN,)), "carol"),
    "a password with a small b": (Ask("/login", headers=(_login("carol", "s3cret", "basic"),)), "carol"),
    "a wrong password": (Ask("/login", headers=(_login("carol", "s3crets"),)), "guest"),
    "any: nothing": (Ask("/any"), "guest"),
    "any: a token": (Ask("/any", headers=_bearer("alice-iss")), "alice"),
    "any: a key": (Ask("/any", headers=(KEY,)), "bob"),
    "any: a password": (Ask("/any", headers=(LOGIN,)), "carol"),
    "any: a token before a key": (Ask("/any", headers=(*_bearer("alice-iss"), KEY)), "alice"),
    "any: a key before a password": (Ask("/any", headers=(KEY, LOGIN)), "bob"),
    "any: nobody's key and a password": (Ask("/any", headers=(("apikey", "x"), LOGIN)), "carol"),
    "a key is needed, a password is not": (Ask("/key-and-login", headers=(KEY,)), "bob"),
    "the first counts, as in Kong": (Ask("/key-and-login", headers=(KEY, LOGIN)), "bob"),
}  # fmt: skip
"""Requests, and who they are taken for."""


@pytest.mark.envoy
def test_one_of_several_ways_in_is_enough(tmp_path: Path) -> None:
    kept, refused, member, no_member = (
        Ask("/kept", headers=(LOGIN,)),
        Ask("/key-and-login", headers=(LOGIN,)),
        Ask("/any-member"),
        Ask("/any-member", headers=(LOGIN,)),
    )
    asks = [ask for ask, _ in WAYS.values()]
    answers = asked(MANIFESTS, [*asks, kept, refused, member, no_member], tmp_path)
    seen = [answer.seen for answer in answers[: len(asks)]]
    found = {name: s.headers["x-consumer-username"] for name, s in zip(WAYS, seen, strict=True)}
    assert found == {name: [who] for name, (_, who) in WAYS.items()}
    strangers = [n for n, s in zip(WAYS, seen, strict=True) if s.headers.get("x-anonymous-consumer")]
    assert strangers == [name for name, (_, who) in WAYS.items() if who == "guest"]
    by_name = dict(zip(WAYS, seen, strict=True))
    assert "apikey" not in by_name["a key in a header"].headers
    assert by_name["a key in the query"].path == "/key"
    assert "authorization" not in by_name["a password"].headers
    assert not [h for s in seen for h in s.headers if h.startswith("x-meshgate")]
    assert answers[-4].seen.headers["authorization"] == [LOGIN[1]]
    assert [a.status for a in answers[-3:]] == [401, 200, 403]
