"""Kong's transformers on bodies, by programs in Envoy: exact bodies, and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, plugin, route

CHANGES = (
    "{remove: {body: [gone, 'sec ret']}, rename: {body: ['old:new', 'absent:never', 'false:never']}, "
    "replace: {body: ['there:2', 'absent:never', 'false:never']}, "
    "add: {body: ['added:by $(headers.x-who)', 'there:never', 'false:now']}, "
    "append: {body: ['list:b', 'text:b', 'number:b', 'object:b', 'fresh:b']}}"
)
QUERY = (
    "{rename: {headers: ['x-old:x-new'], querystring: ['old:new', 'absent:never']}, "
    "remove: {querystring: [gone]}, replace: {querystring: ['there:2']}, "
    "add: {querystring: ['who:$(headers.x-who or \"nobody\")', 'there:never'], "
    "headers: ['x-first:$(headers.x-none or query_params.q or \"none\")', "
    "'x-both:$(headers.x-who)-$(query_params.q)']}, "
    "append: {querystring: ['list:b c'], headers: ['x-list:b']}}"
)
ANSWER = (
    "{remove: {json: [gone]}, rename: {json: ['old:new', 'false:renamed']}, "
    "replace: {json: ['there:2', 'absent:never'], json_types: [number]}, "
    "add: {json: ['flag:true', 'n:1.50', 'e:-2e3', 's:a\"b', 'there:never'], "
    "json_types: [boolean, number, number]}, "
    "append: {json: ['list:1', 'text:b'], json_types: [number]}}"
)
CAUGHT = (
    "{replace: {uri: '/users/$(uri_captures.id)$(uri_captures[2])'}, "
    "add: {headers: ['x-id:$(uri_captures[\"id\"] or \"none\")', 'x-more:$(uri_captures[7])']}}"
)
REGEX_PATH = r"path: '/~/caught/(?<id>\d+)(/[a-z]+)?', pathType: ImplementationSpecific"
MANIFESTS = (
    plugin("body", "request-transformer", CHANGES)
    + plugin("query", "request-transformer", QUERY)
    + plugin("get", "request-transformer", "{http_method: GET}")
    + plugin("uri", "request-transformer", "{replace: {uri: '/users/$(headers.x-who)'}}")
    + plugin("answer", "response-transformer", ANSWER)
    + plugin("key", "key-auth", "{}")
    + "".join(route(n, n) for n in ("body", "query", "get", "uri", "answer"))
    + route("closed", "answer", "key")
    + plugin("caught", "request-transformer", CAUGHT)
    + route("caught", "caught").replace("path: /caught, pathType: Prefix", REGEX_PATH)
    + route("straight", "caught")
    + route("strip", "uri", annotations={"konghq.com/strip-path": "true"})
)
JSON, FORM = ("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded")


def _send(folder: Path, *bodies: tuple[tuple[str, str], bytes]) -> list[Answer]:
    requests = [
        Ask("/body", "POST", headers=(kind, ("x-who", "me")), body=body)
        if body
        else Ask("/body", headers=(kind, ("x-who", "me")))
        for kind, body in bodies
    ]
    return asked(MANIFESTS, requests, folder)


@pytest.mark.envoy
def test_json(tmp_path: Path) -> None:
    rich = (
        b'{"a": 12345678901234567890.10, "gone":1, "old": {"x":[1 ,2]}, "there":1, "false" : false, '
        b'"list":["a"],'
        b'"text":"a","number":7,"object":{"k":"v"},"gone":2, "\\u0073ec ret":"x", "u":"\\ud83d\\ude00\\/",'
        b' "e":1e999}'
    )
    full, empty, cased = _send(
        tmp_path,
        (JSON, rich),
        (JSON, b""),
        (("content-type", "text/html, Application/JSON; charset=utf-8"), b'{"there":null}'),
    )
    assert full.seen.body == (
        '{"a":12345678901234567890.10,"there":"2","false":"now","list":["a","b"],"text":["a","b"],'
        '"number":["b"],"object":{"k":"v","1":"b"},"u":"\\ud83d\\ude00\\/","e":1e999,"new":{"x":[1 ,2]},'
        '"added":"by me","fresh":["b"]}'
    )
    assert full.seen.headers["content-length"] == [str(len(full.seen.body))]
    assert json.loads(empty.seen.body) == {
        "added": "by me",
        "there": "never",
        "false": "now",
        **{name: ["b"] for name in ("list", "text", "number", "object", "fresh")},
    }
    assert json.loads(cased.seen.body)["there"] == "2"


@pytest.mark.envoy
def test_hostile_json_is_changed_or_passes_as_it_is(tmp_path: Path) -> None:
    deep = b'{"gone":' + b"[" * 100_000 + b"]" * 100_000 + b',"x":1}'
    wide = b'{"gone":1,' + b",".join(b'"k%d":%d' % (i, i) for i in range(50_000)) + b"}"
    odd = (
        b'{"gone":"\xff\xfe","bad":"\xc3\x28","half":"\\ud800"}',
        b'\xef\xbb\xbf{"gone":1,"x":2}',
        b'{"gone":1,"\\ud800":2}',
    )
    unread = (
        b"[1,2]",
        b'"gone"',
        b"7",
        b"{",
        b'{"gone":1',
        b'{"gone":1}}',
        b'{"gone":1,}',
        b'{"gone" 1}',
        b"{gone:1}",
        b'{"gone":tru}',
        b'{"gone":"\\q"x}',
        b'{"gone":[1,}',
        b'{"\\u12":1}',
        b"\x00\xff" * 1000,
        b'{"a":' * 50_000,
    )
    deep_one, wide_one, raw, bom, half, *rest = _send(
        tmp_path, (JSON, deep), (JSON, wide), *((JSON, one) for one in (*odd, *unread))
    )
    assert "gone" not in deep_one.seen.body
    assert deep_one.seen.body.startswith('{"x":1,')
    assert "gone" not in json.loads(wide_one.seen.body)
    assert json.loads(wide_one.seen.body)["k49999"] == 49_999
    for answer in (raw, bom, half):
        assert "gone" not in answer.seen.body
    assert '"half":"\\ud800"' in raw.seen.body
    for answer, body in zip(rest, unread, strict=True):
        assert answer.seen.body.encode("latin-1") == body


@pytest.mark.envoy
def test_forms(tmp_path: Path) -> None:
    full, bare, other = _send(
        tmp_path,
        (FORM, b"gone=1&old=a%20b&there=1&there=9&list=a&flag&sec+ret=x&list=z&e=%26%3d"),
        (FORM, b"old"),
        (("content-type", "text/plain"), b"gone=1"),
    )
    assert full.seen.body == (
        "there=2&list=a&list=z&list=b&flag&e=%26%3D&new=a%20b&added=by%20me&false=now"
        "&text=b&number=b&object=b&fresh=b"
    )
    assert full.seen.headers["content-length"] == [str(len(full.seen.body))]
    assert bare.seen.body.startswith("new&added=by%20me&there=never")
    assert other.seen.body == "gone=1"


@pytest.mark.envoy
def test_multipart(tmp_path: Path) -> None:
    kind = ("content-type", 'multipart/form-data; boundary="--b-1"')
    part = '----b-1\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    file = part.format("file", '; filename="a;name=\\"gone\\".bin"\r\nContent-Type: x/y', "\x00\r\n--b\xff")
    text = (
        part.format("gone", "", "1")
        + file
        + part.format("old", "", "a\r\nb")
        + part.format("there", "", "1")
        + "----b-1--\r\n"
    )
    cut, changed = text[:-12].encode("latin-1"), text.encode("latin-1")
    whole, broken, missing = _send(
        tmp_path, (kind, changed), (kind, cut), (("content-type", "multipart/form-data"), changed)
    )
    plain = '----b-1\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    assert whole.seen.body == (
        file
        + plain.format("new", "a\r\nb")
        + plain.format("there", "2")
        + plain.format("added", "by me")
        + plain.format("false", "now")
        + "----b-1--\r\n"
    )
    assert broken.seen.body.encode("latin-1") == cut
    assert missing.seen.body.encode("latin-1") == changed


@pytest.mark.envoy
def test_queries_templates_and_methods(tmp_path: Path) -> None:
    full, bare, form, uri, strip, out, inside = asked(
        MANIFESTS,
        [
            Ask(
                "/query?gone=1&old=a%2Bb&there=0&list=a&q=7",
                headers=(("x-old", "1"), ("x-old", "2"), ("x-who", "me")),
            ),
            Ask("/query"),
            Ask("/get?a=1", "POST", headers=(FORM,), body=b"a=2&b=3"),
            Ask("/uri?a=1", headers=(("x-who", "m?e#x y"),)),
            Ask("/strip/me", headers=(("x-who", "strip"),)),
            Ask("/uri", headers=(("x-who", "../admin"),)),
            Ask("/uri", headers=(("x-who", "a/%2e%2E/admin"),)),
        ],
        tmp_path,
    )
    assert full.seen.path == "/query?there=2&list=a&list=b%20c&q=7&new=a%2Bb&who=me"
    assert full.seen.headers["x-new"] == ["1", "2"]
    assert "x-old" not in full.seen.headers
    assert full.seen.headers["x-first"] == ["7"]
    assert full.seen.headers["x-both"] == ["me-7"]
    assert bare.seen.path == "/query?who=nobody&there=never&list=b%20c"
    assert bare.seen.headers["x-first"] == ["none"]
    assert bare.seen.headers["x-both"] == ["-"]
    assert (form.seen.method, form.seen.path) == ("GET", "/get?a=1&a=2&b=3")
    assert uri.seen.path == "/users/m%3Fe%23x%20y?a=1"
    assert strip.seen.path == "/users/strip"
    for answer in (out, inside):
        assert (answer.status, answer.message) == (400, "Bad request")


@pytest.mark.envoy
def test_captures_of_the_path(tmp_path: Path) -> None:
    both, one, none = asked(
        MANIFESTS, [Ask("/caught/17/ab?x=/1"), Ask("/caught/18"), Ask("/straight/19")], tmp_path
    )
    assert (both.seen.path, both.seen.headers["x-id"]) == ("/users/17/ab?x=/1", ["17"])
    assert (one.seen.path, one.seen.headers["x-id"]) == ("/users/18", ["18"])
    assert (none.seen.path, none.seen.headers["x-id"]) == ("/users/", ["none"])


@pytest.mark.envoy
def test_a_body_that_is_too_long_is_refused(tmp_path: Path) -> None:
    small = b'{"gone":1,"x":"' + b"a" * (7 << 20) + b'"}'
    large = b'{"gone":1,"x":"' + b"a" * (9 << 20) + b'"}'
    fits, long, other = _send(
        tmp_path, (JSON, small), (JSON, large), (("content-type", "application/octet-stream"), large)
    )
    assert json.loads(fits.seen.body)["x"] == "a" * (7 << 20)
    assert "gone" not in json.loads(fits.seen.body)
    assert (long.status, long.reached) == (413, False)
    assert other.seen.body.encode() == large


def _answered(folder: Path, *bodies: tuple[str, bytes]) -> list[Answer]:
    requests = [Ask("/answer", "POST", headers=(("x-say", kind),), body=body) for kind, body in bodies]
    return asked(MANIFESTS, [*requests, Ask("/closed"), Ask("/answer", "HEAD")], folder)


@pytest.mark.envoy
def test_answers(tmp_path: Path) -> None:
    rich = (
        b'{"gone":[1],"old":{"k":1e2},"false":false,"there":1,"list":[],"text":"a", '
        b'"big":123456789012345678901}'
    )
    unread = (b"[1]", b"gone", b'{"gone":1', b"")
    changed, other, typed, *rest, closed, head = _answered(
        tmp_path,
        ("application/json", rich),
        ("text/plain", rich),
        ("application/json; charset=utf-8", b"{}"),
        *(("application/json", body) for body in unread),
    )
    assert changed.body == (
        '{"there":2,"list":[1],"text":["a","b"],"big":123456789012345678901,"new":{"k":1e2},'
        '"renamed":false,"flag":true,"n":1.5,"e":-2000,"s":"a\\"b"}'
    )
    assert changed.header("content-length") == str(len(changed.body))
    assert other.body.encode() == rich
    assert json.loads(typed.body) == {
        "flag": True,
        "n": 1.5,
        "e": -2000,
        "s": 'a"b',
        "there": "never",
        "list": [1],
        "text": ["b"],
    }
    assert [a.body.encode() for a in rest] == list(unread)
    # The gateway's own answers are changed too, as in Kong.
    assert closed.status == 401
    assert json.loads(closed.body)["flag"] is True
    # Envoy's own filter for keys says no more where a program changes the answer.
    assert json.loads(closed.body)["message"] in ("No API key found in request", "Unauthorized")
    assert head.status == 200


@pytest.mark.envoy
def test_an_answer_that_is_too_long_does_not_come(tmp_path: Path) -> None:
    long = b'{"gone":1,"x":"' + b"a" * (9 << 20) + b'"}'
    refused, passed, *_ = _answered(tmp_path, ("application/json", long), ("text/plain", long))
    assert refused.status == 500
    assert "gone" not in refused.body
    assert passed.body.encode() == long
