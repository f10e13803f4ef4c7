"""Kong's `key_in_body` and `echo` on a real Envoy: nobody gets in without a key that is somebody's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, asked, consumer, plugin, route

JSON, FORM = ("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded")
MANIFESTS = (
    plugin("key", "key-auth", "{key_in_body: true, key_names: [token, other], realm: shop}")
    + plugin("hidden", "key-auth", "{key_in_body: true, hide_credentials: true}")
    + plugin("only", "key-auth", "{key_in_body: true, key_in_header: false, key_in_query: false}")
    + plugin("either", "key-auth", "{key_in_body: true, anonymous: guest}")
    + plugin("echo", "request-termination", "{echo: true, status_code: 200, message: seen}")
    + plugin("called", "request-termination", "{echo: true, status_code: 404, trigger: X-Echo}")
    + "".join(route(n, n) for n in ("key", "hidden", "only", "either", "echo", "called"))
    + consumer("alice", {"a": ("key-auth", {"key": "secret-of-alice"})})
    + consumer("bob", {"b": ("key-auth", {"key": 'b&b=\u00e9 "x"'})})
    + consumer("guest", {})
)
KEY = b"secret-of-alice"
MULTIPART = ("content-type", "multipart/form-data; boundary=x")


def _part(name: str, value: bytes) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)


@pytest.mark.envoy
def test_a_key_in_the_body_says_who_it_is(tmp_path: Path) -> None:
    bodies = (
        ("/key", FORM, b"a=1&token=" + KEY),
        ("/key", FORM, b"other=" + KEY),
        ("/key", JSON, b'{"x":{"token":"no"},"\\u0074oken":"secret-of-\\u0061lice"}'),
        ("/key", MULTIPART, _part("a", b"1") + _part("token", KEY) + b"--x--\r\n"),
        ("/only", FORM, b"apikey=" + KEY),
    )
    plain = [Ask(path, "POST", headers=(kind,), body=body) for path, kind, body in bodies]
    answers = asked(
        MANIFESTS,
        [*plain, Ask("/key", headers=(("token", KEY.decode()),)), Ask("/key?other=secret-of-alice")],
        tmp_path,
    )
    for answer, (_, _, body) in zip(answers, (*bodies, (0, 0, b""), (0, 0, b"")), strict=True):
        seen = answer.seen
        assert seen.headers["x-consumer-username"] == ["alice"]
        assert seen.body.encode() == body
        assert not [name for name in seen.headers if name.startswith("x-meshgate-")]


@pytest.mark.envoy
def test_hidden_keys_and_strangers(tmp_path: Path) -> None:
    odd = "apikey=b%26b%3D%C3%A9+%22x%22&rest=1"
    requests = [
        Ask("/hidden", "POST", headers=(FORM,), body=b"a=1&apikey=" + KEY + b"&b=2"),
        Ask("/hidden", "POST", headers=(JSON,), body=b'{"a": 1, "apikey": "secret-of-alice"}'),
        Ask(
            "/hidden",
            "POST",
            headers=(MULTIPART,),
            body=_part("apikey", KEY) + _part("a", b"1") + b"--x--\r\n",
        ),
        Ask("/hidden", "POST", headers=(FORM,), body=odd.encode()),
        Ask("/either", "POST", headers=(FORM,), body=b"apikey=" + KEY),
        Ask("/either", "POST", headers=(FORM,), body=b"apikey=wrong"),
        Ask("/either", "POST", headers=(FORM,), body=b"apikey=a&apikey=b"),
    ]
    form, text, parts, quoted, known, *strangers = [a.seen for a in asked(MANIFESTS, requests, tmp_path)]
    assert form.body == "a=1&b=2"
    assert text.body == '{"a":1}'
    assert parts.body.encode() == _part("a", b"1") + b"--x--\r\n"
    assert quoted.body == "rest=1"
    assert quoted.headers["x-consumer-username"] == ["bob"]
    assert known.headers["x-consumer-username"] == ["alice"]
    assert [s.headers["x-consumer-username"] for s in strangers] == [["guest"], ["guest"]]


@pytest.mark.envoy
def test_whoever_has_no_key_is_refused(tmp_path: Path) -> None:
    missing, wrong, twice = "No API key found in request", "Unauthorized", "Duplicate API key found"
    cases: tuple[tuple[Ask, str], ...] = (
        (Ask("/key"), missing),
        (Ask("/key", headers=(("x-meshgate-body-key", KEY.decode()),)), missing),
        (Ask("/only?apikey=secret-of-alice", headers=(("apikey", KEY.decode()),)), missing),
        *(
            (Ask("/key", "POST", headers=(kind,), body=body), said)
            for kind, body, said in (
                (FORM, b"token=wrong", wrong),
                (FORM, b"token=", missing),
                (FORM, b"token", missing),
                (FORM, b"token=secret-of-alice%0d%0ax:1", missing),
                (FORM, b"token=a&token=" + KEY, twice),
                (JSON, b'{"token":["secret-of-alice"]}', twice),
                (JSON, b'{"token":{"a":"secret-of-alice"}}', twice),
                (JSON, b'{"token":"secret-of-alice"', missing),
                (JSON, b'{"token":7}', missing),
                (JSON, b'["token","secret-of-alice"]', missing),
                (JSON, b'{"token":null,"a":' + b"[" * 50_000, missing),
                (MULTIPART, _part("token", KEY), missing),
                (MULTIPART, _part("token", KEY) * 2 + b"--x--\r\n", twice),
                (("content-type", "text/plain"), b"token=" + KEY, missing),
            )
        ),
    )
    answers = asked(MANIFESTS, [ask for ask, _ in cases], tmp_path)
    for answer, (ask, said) in zip(answers, cases, strict=True):
        assert (answer.status, json.loads(answer.body)["message"]) == (401, said), ask
        realm = ' realm="shop"' if ask.path.startswith("/key") else ""
        assert answer.header("www-authenticate") == f"Key{realm}", ask


@pytest.mark.envoy
def test_bodies_of_strangers_are_not_held_back_without_end(tmp_path: Path) -> None:
    too_long, fits = asked(
        MANIFESTS,
        [
            Ask("/key", "POST", headers=(FORM,), body=b"a=" + b"x" * (2 << 20)),
            Ask("/key", "POST", headers=(FORM,), body=b"a=" + b"x" * 900_000 + b"&token=" + KEY),
        ],
        tmp_path,
    )
    assert (too_long.status, too_long.reached) == (413, False)
    assert fits.reached


@pytest.mark.envoy
def test_echo(tmp_path: Path) -> None:
    shown, posted, passed, called = asked(
        MANIFESTS,
        [
            Ask("/echo/a?b=1&b=2&c", headers=(("X-Some", '"quoted"'), ("X-Two", "1"), ("X-Two", "2"))),
            Ask("/echo", "POST", headers=(FORM, ("host", "shop.example:8080")), body=b"k=v"),
            Ask("/called"),
            Ask("/called?x-echo=1", headers=(("x-echo", ""),)),
        ],
        tmp_path,
    )
    assert (shown.status, shown.header("content-type")) == (200, "application/json; charset=utf-8")
    said = json.loads(shown.body)
    assert set(said) == {"message", "request", "matched_route"}
    request = said["request"]
    assert said["message"] == "seen"
    assert {k: request[k] for k in request if k != "headers"} == {
        "scheme": "http",
        "host": "shop.example",
        "port": 80,
        "method": "GET",
        "path": "/echo/a",
        "query": {"b": ["1", "2"], "c": True},
    }
    headers = request["headers"]
    assert (headers["x-some"], headers["x-two"], headers["host"]) == ('"quoted"', ["1", "2"], "shop.example")
    assert not [name for name in headers if name.startswith(("x-meshgate-", "x-envoy-"))]
    body = json.loads(posted.body)["request"]
    assert (body["raw_body"], body["body"], body["port"]) == ("k=v", {"k": "v"}, 8080)
    assert passed.reached
    assert (called.status, json.loads(called.body)["message"]) == (404, "Not found")
