"""What the bridge said of a token is repeated inside Envoy: when it is, and when the bridge is asked."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send
from tests.openid_provider import CLIENT, SECRET, Provider, providing
from tests.simulate.live import ask

pytestmark = pytest.mark.envoy
Get = Callable[..., Awaitable[tuple[Answer, int]]]
"""Gives the answer, and how many questions the bridge got."""


def _manifests(issuer: str) -> str:
    client = f"client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"

    def oidc(name: str, rest: str) -> str:
        return plugin(name, "openid-connect", f"{{issuer: '{issuer}', {rest}}}") + route(name, name)

    return (
        oidc("bearer", "auth_methods: [bearer]")
        + oidc("late", "auth_methods: [bearer], leeway: 2")
        + oidc("other", "auth_methods: [bearer], scopes_required: [admin]")
        + oidc(
            "mapped",
            "auth_methods: [bearer], consumer_claim: [preferred_username], hide_credentials: true, "
            "upstream_headers_names: [x-mail], upstream_headers_claims: [email], "
            "upstream_access_token_header: null",
        )
        + oidc(
            "all",
            f"auth_methods: [bearer, session, authorization_code], {client}, "
            "logout_uri_suffix: /logout, logout_query_arg: out, logout_methods: [GET, POST]",
        )
        + oidc("cookie", "auth_methods: [bearer], bearer_token_param_type: [header, body]")
        + oidc("strangers", "auth_methods: [bearer], anonymous: ann")
        + oidc(
            "told",
            "auth_methods: [bearer], downstream_headers_names: [x-who], downstream_headers_claims: [sub]",
        )
        + oidc("own", "auth_methods: [bearer], bearer_token_header_name: x-token")
        + oidc("opaque", f"auth_methods: [introspection], {client}, upstream_introspection_header: x-said")
        + oidc("both", f"auth_methods: [bearer], {client}, introspect_jwt_tokens: true")
        + oidc("fresh", f"auth_methods: [introspection], {client}, cache_introspection: false")
        + oidc(
            "passed",
            f"auth_methods: [introspection], {client}, introspection_headers_client: [x-tenant]",
        )
        + plugin("key", "key-auth", "{}")
        + route("two", "bearer", "key")
        + consumer("ann", {"ann-key": ("key-auth", {"key": "k"})})
    )


def test_a_good_token_is_asked_about_once(tmp_path: Path) -> None:
    tests = (
        _once,
        _whose_it_is,
        _what_else_a_request_brings,
        _where_it_is_not_repeated,
        _what_the_provider_says,
        _its_end,
    )

    async def run() -> None:
        async with providing() as provider, gateway(_manifests(provider.issuer), tmp_path) as port:
            admin = int((tmp_path / "admin.txt").read_text().rpartition(":")[2])

            async def questions() -> int:
                reply = await ask(admin, "GET", "admin", "/stats?filter=bridge_authentication", ())
                found = reply.headers["(body)"]
                counts = re.findall(r"http\.http\S+bridge_authentication\.(?:ok|denied|error): (\d+)", found)
                assert counts, found
                return sum(map(int, counts))

            async def get(
                path: str, token: str | None, *headers: tuple[str, str], method: str = "GET"
            ) -> tuple[Answer, int]:
                before = await questions()
                shown = (("authorization", f"Bearer {token}"),) if token is not None else ()
                answer = await send(port, Ask(path, method, (*shown, *headers)))
                return answer, await questions() - before

            for test in tests:
                provider.reset()
                await test(provider, get)

    asyncio.run(run())


async def _once(provider: Provider, get: Get) -> None:
    good, bad = provider.token(), provider.token(exp=int(time.time()) - 1)
    said = [
        await get("/bearer", good),
        await get("/bearer?a=1", good),
        await get("/bearer/b", good, method="POST"),
    ]
    assert [(answer.status, asked) for answer, asked in said] == [(200, 1), (200, 0), (200, 0)]
    assert said[2][0].seen.headers["authorization"] == [f"Bearer {good}"]
    assert said[2][0].seen.headers["x-credential-identifier"] == ["user-7"]
    # Refusals are never repeated, nor is one plugin's word another's.
    for _ in range(2):
        answer, asked = await get("/bearer", bad)
        assert (answer.status, asked) == (401, 1)
        answer, asked = await get("/other", good)
        assert (answer.status, asked) == (403, 1)


async def _whose_it_is(provider: Provider, get: Get) -> None:
    for name, mail in (("ann", "ann@shop.example"), ("ann", None)):
        token = provider.token(preferred_username=name, email=mail)
        spoofed = (("x-mail", "root@shop.example"), ("x-consumer-username", "root"))
        for questions in (1, 0):
            answer, asked = await get("/mapped", token, *spoofed)
            seen = answer.seen.headers
            assert asked == questions
            assert seen["x-consumer-username"] == ["ann"]
            assert seen.get("x-mail") == ([mail] if mail else None)
            assert "authorization" not in seen
            assert not any(name.startswith("x-meshgate") for name in seen)


async def _what_else_a_request_brings(provider: Provider, get: Get) -> None:
    good, other = provider.token(), provider.token(sub="b")
    await get("/bearer", good)
    await get("/all", good)
    for path, headers, status in (
        ("/bearer", (("authorization", f"Bearer {good}"),), 401),
        ("/bearer", (("authorization", f"Bearer {other}"),), 401),
        ("/bearer", (("x-access-token", other),), 401),
        ("/bearer", (("X-Access-Token", good),), 200),
        (f"/bearer?access_token={other}", (), 401),
        (f"/bearer?acc%65ss_token={other}", (), 401),
        (f"/bearer?a=1&access%5Ftoken={other}", (), 401),
        ("/all?out=1", (), 302),
        ("/all?o%75t", (), 302),
        ("/all/logout", (), 302),
        ("/all/logout?a=1", (), 302),
        ("/all?state=1", (), 200),
        ("/all", (("cookie", "a=1; session=1.x"),), 200),
        ("/all", (("cookie", "authorization=1.x"),), 200),
    ):
        answer, asked = await get(path, good, *headers)
        assert (answer.status, asked) == (status, 1), (path, headers)
    for path, headers in (
        ("/bearer?a=%20", ()),
        ("/bearer?token=access", ()),
        ("/all", (("cookie", "a=1"),)),
    ):
        answer, asked = await get(path, good, *headers)
        assert (answer.status, asked) == (200, 0), (path, headers)
    # Two lines and one line with both are not the same.
    answer, asked = await get("/bearer", None, ("authorization", f"Bearer {good},Bearer {good}"))
    assert (answer.status, asked) == (401, 1)
    for spelled in (f"bearer {good}", f"Bearer  {good}"):
        answer, asked = await get("/bearer", None, ("authorization", spelled))
        assert (answer.status, asked) == (200, 1)
        assert answer.seen.headers["authorization"] == [f"Bearer {good}"]
        answer, asked = await get("/bearer", None, ("authorization", spelled))
        assert answer.seen.headers["authorization"] == [f"Bearer {good}"]
    options, asked = await get("/bearer", good, method="OPTIONS")
    assert (options.status, asked) == (200, 1)


async def _where_it_is_not_repeated(provider: Provider, get: Get) -> None:
    good = provider.token()
    for path, headers in (("/cookie", ()), ("/told", ()), ("/two", (("apikey", "k"),))):
        for _ in range(2):
            answer, asked = await get(path, good, *headers)
            assert (answer.status, asked) == (200, 1), path
    assert (await get("/two", good))[0].status == 401
    assert (await get("/two", None, ("apikey", "k")))[0].status == 401
    for questions in (1, 0):
        answer, asked = await get("/strangers", good)
        assert asked == questions
        assert "x-anonymous-consumer" not in answer.seen.headers
    nobody, asked = await get("/strangers", "other")
    assert (nobody.seen.headers["x-consumer-username"], asked) == (["ann"], 1)
    for questions in (1, 0):
        answer, asked = await get("/own", None, ("x-token", good))
        assert (answer.status, asked) == (200, questions)
    long = provider.token(filling="x" * 6000)
    for _ in range(2):
        answer, asked = await get("/bearer", long)
        assert (answer.status, asked) == (200, 1)


async def _what_the_provider_says(provider: Provider, get: Get) -> None:
    ends = int(time.time()) + 60
    for token in ("known", "other"):
        provider.opaque[token] = {"active": True, "client_id": token, "exp": ends}
    signed = provider.token()
    provider.opaque[signed] = {"active": True, "exp": ends}
    for path, token in (("/opaque", "known"), ("/opaque", "other"), ("/both", signed)):
        for questions in (1, 0):
            answer, asked = await get(path, token)
            assert (answer.status, asked) == (200, questions), (path, token)
            if path == "/opaque":
                assert answer.seen.headers["x-credential-identifier"] == [token]
                assert "x-said" in answer.seen.headers
    for path in ("/fresh", "/passed"):
        for _ in range(2):
            assert [(await get(path, "known"))[1]] == [1]
    for _ in range(2):
        answer, asked = await get("/opaque", "gone")
        assert (answer.status, asked) == (401, 1)


async def _its_end(provider: Provider, get: Get) -> None:
    """A token's end is its end, though it was good a moment ago."""
    ends = int(time.time()) + 3
    token = provider.token(exp=ends)
    assert (await get("/bearer", token))[0].status == 200
    async with asyncio.timeout(20):
        while True:
            began = time.time()
            answer, _ = await get("/bearer", token)
            assert answer.status == 401 or began < ends
            if answer.status == 401:
                break
            await asyncio.sleep(0.05)
    assert time.time() >= ends
