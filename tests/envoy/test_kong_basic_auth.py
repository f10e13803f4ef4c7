"""Kong's `basic-auth` and `acl` on a real Envoy."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.kong_edge import JSON, SERVICE, Answer, Ask, asked, consumer, plugin, route

MANIFESTS = (
    consumer("alice", {"alice-login": ("basic-auth", {"username": "alice", "password": "Open:Sesame 1%"})})
    + consumer(
        "bob",
        {
            "bob-login": ("basic-auth", {"username": "bob's", "password": "pw"}),
            "bob-key": ("key-auth", {"key": "bobs-key"}),
        },
    )
    + plugin("basic", "basic-auth", "{}")
    + plugin("hidden", "basic-auth", "{hide_credentials: true, realm: the shop}")
    + plugin("key", "key-auth", "{}")
    + route("basic", "basic")
    + route("hidden", "hidden")
    + route("two", "basic", "key")
    + route("open")
)


def _login(username: str, password: str, scheme: str = "Basic") -> tuple[tuple[str, str], ...]:
    text = base64.b64encode(f"{username}:{password}".encode()).decode()
    return (("Authorization", f"{scheme} {text}"),)


@pytest.mark.envoy
def test_logins(tmp_path: Path) -> None:
    alice, bob = _login("alice", "Open:Sesame 1%"), _login("bob's", "pw")
    forged = (("X-Consumer-Username", "root"), ("x-meshgate-basic-credential", "alice"))
    requests = [
        Ask("/basic"),
        Ask("/basic", headers=_login("alice", "open:sesame 1%")),
        Ask("/basic", headers=_login("mallory", "pw")),
        Ask("/basic", headers=_login("alice", "Open:Sesame 1%", scheme="Bearer")),
        Ask("/basic", headers=(("Authorization", "Basic %%%"),)),
        Ask("/basic", headers=forged),
        Ask("/hidden"),
        Ask("/basic", headers=alice),
        Ask("/hidden", headers=(*bob, *forged)),
        Ask("/two", headers=bob),
        Ask("/two", headers=(*bob, ("apikey", "bobs-key"))),
        Ask("/open", headers=(*alice, *forged)),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    for answer in answers[:6]:
        _is_refused(answer, "service")
    _is_refused(answers[6], "the shop")
    seen = answers[7].seen
    assert seen.headers["x-consumer-username"] == ["alice"]
    assert seen.headers["x-credential-identifier"] == ["alice"]
    assert seen.headers["authorization"] == [alice[0][1]]
    assert "x-meshgate-basic-credential" not in seen.headers
    hidden = answers[8].seen
    assert hidden.headers["x-consumer-username"] == ["bob"]
    assert "authorization" not in hidden.headers
    assert (answers[9].status, answers[9].header("www-authenticate")) == (401, "Key")
    assert answers[10].seen.headers["x-consumer-username"] == ["bob"]
    assert not {"x-consumer-username", "x-meshgate-basic-credential"} & set(answers[11].seen.headers)


def _is_refused(answer: Answer, realm: str) -> None:
    assert (answer.status, answer.message) == (401, "Unauthorized")
    assert answer.header("content-type") == JSON
    assert answer.header("www-authenticate") == f'Basic realm="{realm}"'


@pytest.mark.envoy
def test_nobody_gets_in_where_there_are_no_users(tmp_path: Path) -> None:
    manifests = plugin("basic", "basic-auth", "{}") + route("basic", "basic")
    answers = asked(manifests, [Ask("/basic", headers=_login("-", "")), Ask("/basic")], tmp_path)
    for answer in answers:
        _is_refused(answer, "service")


def test_no_password_is_in_the_configuration() -> None:
    documents, _ = read_texts({"in.yaml": SERVICE + MANIFESTS})
    config = self_contained(Reader(stand_in(build(documents).model)), gateway_proxy()).SerializeToString()
    assert b"Sesame" not in config
    assert b"alice:{SHA}" in config


@pytest.mark.envoy
def test_a_proxys_header_comes_first(tmp_path: Path) -> None:
    ((_, alice),), ((_, bob),) = _login("alice", "Open:Sesame 1%"), _login("bob's", "pw")
    ours = ("x-meshgate-basic-login", alice)
    first, hidden, wrong, forged = asked(
        MANIFESTS,
        [
            Ask("/basic", headers=(("Proxy-Authorization", alice), ("Authorization", bob))),
            Ask("/hidden", headers=(("Proxy-Authorization", alice), ("Authorization", "Bearer x"))),
            Ask("/basic", headers=(("Proxy-Authorization", "Basic eDp5"), ("Authorization", "Basic eDp5"))),
            Ask("/basic", headers=(ours,)),
        ],
        tmp_path,
    )
    assert first.seen.headers["x-consumer-username"] == ["alice"]
    assert first.seen.headers["proxy-authorization"] == [alice]
    assert not [name for name in first.seen.headers if name.startswith("x-meshgate-")]
    assert hidden.seen.headers["x-consumer-username"] == ["alice"]
    assert not {"authorization", "proxy-authorization"} & set(hidden.seen.headers)
    for answer in (wrong, forged):
        _is_refused(answer, "service")
