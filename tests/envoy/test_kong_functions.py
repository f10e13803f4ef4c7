"""Kong's `pre-function` and `post-function` on a real Envoy: what Lua may do, and what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, consumer, plugin, route

HEADERS = """
local method, path = kong.request.get_method(), kong.request.get_path()
kong.service.request.set_header("x-told", method .. " " .. path .. " " .. kong.request.get_query_arg("q"))
kong.service.request.add_header("x-list", "b")
kong.service.request.clear_header("x-gone")
local agent = kong.request.get_header("X-Agent")
kong.service.request.set_headers({ ["x-several"] = { "1", "2" }, ["x-agent"] = agent })
kong.service.request.set_path("/new path")
kong.service.request.set_query({ b = "1 2", a = { "x", "y" }, c = true })
kong.service.request.set_method("PUT")
kong.ctx.shared.tenant = "blue"
kong.response.set_header("X-From-Access", "yes")
assert(kong.request.get_headers()["x-list"][1] == "a" and kong.request.get_headers().host == "shop.example")
assert(kong.client.get_ip() == "127.0.0.1" and kong.client.get_consumer() == nil)
"""
CONSUMER = """
return function()
  local found = kong.client.get_consumer()
  kong.service.request.set_header("x-seen", found.username .. " " .. kong.ctx.shared.tenant)
end
"""
BODY = """
local found, problem = kong.request.get_body()
if not found then
  return kong.response.exit(400, { message = problem })
end
found.more = { 1, 2.5, true, require("cjson").null }
kong.service.request.set_body(found)
"""
ANSWER = """
assert(kong.request.get_header("x-agent") == "me" and kong.request.get_path() == "/answer")
kong.response.set_header("x-status", kong.response.get_status())
kong.response.add_header("x-origin", kong.ctx.shared.note)
kong.response.clear_header("x-reached")
kong.response.set_status(201)
"""
TEXT = "kong.response.set_raw_body((kong.response.get_raw_body():gsub('shop', 'barn')))"
OPENRESTY = """
ngx.req.set_header("x-var", table.concat({
  ngx.var.request_method, ngx.var.uri, ngx.var.args, ngx.var.http_x_agent,
  ngx.var.arg_q, ngx.var.remote_addr, ngx.req.get_uri_args().q,
  ngx.decode_base64(ngx.encode_base64("a\\0b")):byte(2),
  ngx.escape_uri("a b&"), ngx.unescape_uri("a%20b"), ngx.encode_args({ a = 1 }) }, " "))
if ngx.var.arg_q == "no" then
  ngx.header["X-Why"] = "no"
  ngx.say("denied")
  ngx.exit(ngx.HTTP_FORBIDDEN)
end
if ngx.var.arg_q == "stop" then
  ngx.exit(ngx.OK)
end
"""
COUNT = "count = (count or 0) + 1; kong.service.request.set_header('x-count', count)"


def _functions(name: str, kind: str = "pre-function", **phases: str) -> str:
    return plugin(name, kind, json.dumps({phase: [text] for phase, text in phases.items()}))


MANIFESTS = (
    _functions("headers", access=HEADERS)
    + _functions("consumer", "post-function", access=CONSUMER)
    + _functions("body", access=BODY)
    + _functions(
        "answer",
        access="kong.ctx.shared.note = 'noted'",
        header_filter=ANSWER,
        log="kong.log.notice('logged')",
    )
    + _functions("text", "post-function", body_filter=TEXT, header_filter="ngx.header.x_outer = 'last'")
    + _functions("resty", access=OPENRESTY)
    + _functions("count", access=COUNT)
    + _functions("early", header_filter="kong.response.exit(418, { message = 'short' }, { ['x-a'] = 'b' })")
    + plugin("tenant", "request-transformer", "{add: {headers: ['x-tenant:$(shared.tenant)']}}")
    + plugin("key", "key-auth", "{}")
    + route("headers", "headers", "tenant")
    + route("both", "headers", "key", "consumer")
    + route("answer", "answer")
    + route("text", "text", "key")
    + "".join(route(n, n) for n in ("body", "resty", "count", "early"))
    + consumer("alice", {"a": ("key-auth", {"key": "k"})})
)
JSON = ("content-type", "application/json")


def _asked(folder: Path, *requests: Ask, manifests: str = MANIFESTS) -> list[Answer]:
    return asked(manifests, requests, folder, allow_lua=True)


@pytest.mark.envoy
def test_requests(tmp_path: Path) -> None:
    sent = (("x-list", "a"), ("x-list", "c"), ("x-gone", "1"), ("X-Agent", "me"))
    headers, both, refused, body, broken = _asked(
        tmp_path,
        Ask("/headers/x?q=7", headers=sent),
        Ask("/both?q=7&apikey=k", headers=sent),
        Ask("/both?q=7", headers=sent),
        Ask("/body", "POST", headers=(JSON,), body=b'{"a":[],"b":{"c":null}}'),
        Ask("/body", "POST", headers=(JSON,), body=b'{"a":'),
    )
    seen = headers.seen
    assert (seen.method, seen.path) == ("PUT", "/new%20path?a=x&a=y&b=1%202&c")
    assert seen.headers["x-told"] == ["GET /headers/x 7"]
    assert seen.headers["x-list"] == ["a", "c", "b"]
    assert seen.headers["x-several"] == ["1", "2"]
    assert seen.headers["x-agent"] == ["me"]
    assert "x-gone" not in seen.headers
    assert seen.headers["x-tenant"] == ["blue"]
    assert headers.header("x-from-access") == "yes"
    # pre-function runs before key-auth, so what it made of the query has no key.
    assert (both.status, refused.status) == (401, 401)
    assert both.header("x-from-access") == "yes"
    assert json.loads(body.seen.body) == {"a": [], "b": {"c": None}, "more": [1, 2.5, True, None]}
    assert (broken.status, json.loads(broken.body)) == (400, {"message": "invalid json body"})
    assert broken.header("content-type") == "application/json; charset=utf-8"


@pytest.mark.envoy
def test_behind_authentication(tmp_path: Path) -> None:
    manifests = MANIFESTS + (
        _functions("tenant-only", access="kong.ctx.shared.tenant = 'red'")
        + route("late", "tenant-only", "key", "consumer")
    )
    (late,) = _asked(tmp_path, Ask("/late", headers=(("apikey", "k"),)), manifests=manifests)
    assert late.seen.headers["x-seen"] == ["alice red"]


@pytest.mark.envoy
def test_answers(tmp_path: Path) -> None:
    answer, text, refused, early = _asked(
        tmp_path,
        Ask("/answer", headers=(("x-agent", "me"),)),
        Ask("/text", headers=(("apikey", "k"), ("x-say", "text/plain")), method="POST", body=b"a shop"),
        Ask("/text"),
        Ask("/early"),
    )
    assert (answer.status, answer.header("x-status"), answer.reached) == (201, "200", False)
    assert answer.headers["x-origin"] == ("service", "noted")
    assert (text.status, text.body, text.header("content-length")) == (200, "a barn", "6")
    assert (text.header("x-outer"), refused.header("x-outer"), refused.status) == ("last", "last", 401)
    assert (early.status, early.body, early.header("x-a")) == (418, '{"message":"short"}', "b")
    assert early.header("content-length") == "19"


@pytest.mark.envoy
def test_openresty(tmp_path: Path) -> None:
    agent = (("x-agent", "me"),)
    told, denied, stopped, first, second = _asked(
        tmp_path,
        Ask("/resty/a?q=1", headers=agent),
        Ask("/resty?q=no", headers=agent),
        Ask("/resty?q=stop", headers=agent),
        Ask("/count"),
        Ask("/count"),
    )
    assert told.seen.headers["x-var"] == ["GET /resty/a q=1 me 1 127.0.0.1 1 0 a%20b%26 a b a=1"]
    assert (denied.status, denied.body, denied.header("x-why")) == (403, "denied\n", "no")
    assert stopped.reached
    assert (first.seen.headers["x-count"], second.seen.headers["x-count"]) == (["1"], ["2"])


WRONG = {
    "syntax": "this is no lua",
    "raises": "error('mine')",
    "io": "io.open('/etc/passwd')",
    "execute": "os.execute('true')",
    "require": "require('ffi')",
    "ffi": "return ffi.C",
    "package": "return package.loaded",
    "debug": "debug.getregistry()",
    "load": "load('return 1')",
    "bytecode": "loadstring(string.dump(function() end))",
    "dump": "string.dump(function() end)",
    "metatable": "getmetatable('').__index.rep = nil",
    "rawset": "rawset(kong, 'request', nil)",
    "replace": "kong.request = {}",
    "member": "kong.cache:get('x')",
    "deep": "kong.service.set_target('a', 1)",
    "ngx": "ngx.socket.tcp()",
    "var": "return ngx.var.upstream_uri",
    "phase": "kong.response.get_status()",
    "header": "kong.service.request.set_header('x-meshgate-groups', 'x')",
    "injection": "kong.service.request.set_header('x-a', 'b\\r\\nx-c: d')",
    "framing": "kong.service.request.set_header('Transfer-Encoding', 'chunked')",
    "length": "kong.response.exit(200, 'abc', { ['Content-Length'] = 1 })",
    "module": "getmetatable(require('cjson')).__index.encode = nil",
    "array": "require('cjson').array_mt.__index = function() end",
    "coroutine": "coroutine.wrap(function() end)()",
    "jit": "return jit.util",
    "recursion": "local function f() return 1 + f() end f()",
    "cyclic": "local t = {} t[1] = t kong.response.exit(200, t)",
    "exit": "kong.response.exit('200')",
    "keep": "kong.ctx.shared.f = function() end",
}
"""Name -> what ends in an error; the service must never see the request."""


@pytest.mark.envoy
def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    manifests = "".join(_functions(n, access=text) + route(n, n) for n, text in WRONG.items())
    manifests += _functions("late", header_filter="kong.nothing()") + route("late", "late")
    manifests += _functions("logging", log="kong.nothing()") + route("logging", "logging")
    manifests += _functions("fine", access="string.rep('a', 10)") + route("fine", "fine")
    *answers, late, logging, fine = _asked(
        tmp_path, *(Ask(f"/{n}") for n in (*WRONG, "late", "logging", "fine")), manifests=manifests
    )
    for name, answer in zip(WRONG, answers, strict=True):
        assert answer.status == 500, name
        assert answer.message == "An unexpected error occurred", name
    assert late.status == 500
    assert json.loads(late.body) == {"message": "An unexpected error occurred"}
    assert logging.reached
    assert fine.reached
