"""Sessions of `openid-connect` in a real Redis: what is there, who ends them, and what when Redis is away."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.envoy.kong_edge import Ask, gateway, plugin, route, send
from tests.envoy.openid_browser import HOST, Browser
from tests.openid_provider import CLIENT, SECRET, Provider, providing
from tests.redis_server import RedisServer, find_redis_server, redis_server

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.redis,
    pytest.mark.skipif(find_redis_server() is None, reason="no redis-server"),
]


def _manifests(issuer: str, redis_port: int) -> str:
    client = f"issuer: '{issuer}', client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"
    common = f"{client}, auth_methods: [authorization_code, session], session_storage: redis"
    where = f"host: 127.0.0.1, port: {redis_port}, password: hush, read_timeout: 2000, connect_timeout: 2000"

    def oidc(name: str, rest: str) -> str:
        return plugin(name, "openid-connect", f"{{{rest}}}") + route(name, name)

    return (
        oidc(
            "account",
            f"{common}, redis: {{{where}, prefix: shop}}, login_action: redirect, login_tokens: null, "
            f"logout_uri_suffix: /logout, logout_redirect_uri: ['http://{HOST}/bye'], display_errors: true",
        )
        + oidc(
            "short",
            f"{common}, redis: {{{where}, prefix: short}}, session_absolute_timeout: 5, "
            "session_cookie_name: s",
        )
        + oidc("bearer", f"issuer: '{issuer}', auth_methods: [bearer]")
        + oidc("large", f"{client}, auth_methods: [authorization_code, session], session_cookie_name: large")
    )


def _keys(redis: RedisServer, prefix: str) -> list[str]:
    return re.findall(rf"{prefix}:[0-9a-f]{{64}}", redis.command("KEYS", f"{prefix}:*").decode())


def test_sessions(tmp_path: Path) -> None:
    tests = (_what_is_kept, _ends, _what_attackers_try, _too_large_for_cookies, _redis_is_away)

    async def run() -> None:
        with redis_server(tmp_path, password="hush") as redis:
            async with (
                providing() as provider,
                gateway(_manifests(provider.issuer, redis.port), tmp_path, lasts_s=90) as port,
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            ):
                for test in tests:
                    provider.reset()
                    redis.command("FLUSHALL")
                    await test(provider, redis, lambda: Browser(port, session))

    asyncio.run(run())


async def _what_is_kept(provider: Provider, redis: RedisServer, browser: Callable[[], Browser]) -> None:
    provider.id_claims = {"groups": [f"group {i}" for i in range(500)]}
    ann = browser()
    assert (await ann.get(await ann.login("/account"))).status == 302
    assert set(ann.cookies) == {"session"}
    assert len(ann.cookies["session"]) < 250
    (key,) = _keys(redis, "shop")
    kept = redis.command("GET", key)
    seen = (await ann.get("/account")).seen.headers
    token = seen["authorization"][0].removeprefix("Bearer ")
    assert "cookie" not in seen
    for secret in (token, token.split(".")[1], "user-7", ann.cookies["session"]):
        assert secret.encode() not in kept
    # It goes by itself, when nobody could use it any more: after 15 minutes without a request.
    lasts = int(redis.command("TTL", key)[1:-2])
    assert 850 < lasts <= 901
    await ann.get(await ann.login("/short"))
    (key,) = _keys(redis, "short")
    assert 0 < int(redis.command("TTL", key)[1:-2]) <= 6


async def _ends(provider: Provider, redis: RedisServer, browser: Callable[[], Browser]) -> None:
    ann = browser()
    await ann.get(await ann.login("/account"))
    copy = Browser(ann.port, ann.session, dict(ann.cookies))
    assert (await copy.get("/account")).reached
    out = await ann.get("/account/logout", method="POST")
    assert out.status == 302
    assert not ann.cookies
    assert not _keys(redis, "shop")
    # Whoever has a copy of the cookie is out too.
    assert (await copy.get("/account")).status == 302
    # An administrator ends a session by deleting it.
    await ann.get(await ann.login("/account"))
    assert (await ann.get("/account")).reached
    redis.command("DEL", *_keys(redis, "shop"))
    assert (await ann.get("/account")).status == 302


async def _what_attackers_try(provider: Provider, redis: RedisServer, browser: Callable[[], Browser]) -> None:
    eve, ann = browser(), browser()
    await eve.get(await eve.login("/account"))
    (eves,) = _keys(redis, "shop")
    # A session that somebody put into a browser does not become that of who logs in there.
    ann.cookies = dict(eve.cookies)
    came = await ann.get("/account")
    assert came.reached
    ann.cookies = {**eve.cookies, **(await _new_login(ann))}
    assert ann.cookies["session"] != eve.cookies["session"]
    # What one key holds counts for no other: the content is bound to the id.
    (other,) = [key for key in _keys(redis, "shop") if key != eves]
    redis.command("SET", other, _text(redis.command("GET", eves)))
    assert (await ann.get("/account")).status == 302
    for wrong in ("1.AAAA", eve.cookies["session"][:-3], "1." + "A" * 3000):
        assert (await Browser(eve.port, eve.session, {"session": wrong}).get("/account")).status == 302
    redis.command("SET", eves, "nonsense")
    assert (await eve.get("/account")).status == 302
    redis.command("SET", eves, "x" * 300_000)
    assert (await eve.get("/account")).status == 302


async def _new_login(ann: Browser) -> dict[str, str]:
    other = Browser(ann.port, ann.session)
    await other.get(await other.login("/account"))
    return other.cookies


def _text(reply: bytes) -> str:
    return reply.split(b"\r\n", 1)[1].removesuffix(b"\r\n").decode()


async def _too_large_for_cookies(
    provider: Provider, redis: RedisServer, browser: Callable[[], Browser]
) -> None:
    provider.id_claims = provider.access_claims = {"filling": "x" * 11_500}
    ann = browser()
    await ann.get(await ann.login("/account"))
    assert (await ann.get("/account")).reached
    answer = await ann.get(await ann.login("/large"))
    assert (answer.status, json.loads(answer.body)["message"]) == (500, "An unexpected error occurred")


async def _redis_is_away(provider: Provider, redis: RedisServer, browser: Callable[[], Browser]) -> None:
    ann = browser()
    await ann.get(await ann.login("/account"))
    redis.freeze()
    held = asyncio.create_task(ann.get("/account"))
    others = [browser().get("/large") for _ in range(5)]
    token = (("authorization", f"Bearer {provider.token()}"),)
    bearer = await send(ann.port, Ask("/bearer", headers=token))
    assert bearer.reached
    assert [answer.status for answer in await asyncio.gather(*others)] == [302] * 5
    assert not held.done()
    answer = await held
    assert (answer.status, json.loads(answer.body)["message"]) == (
        500,
        "An unexpected error occurred (the store of sessions cannot be asked: TimeoutError)",
    )
    # Who cannot be logged out is not told so.
    assert (await ann.get("/account/logout", method="POST")).status == 500
    redis.thaw()
    assert (await ann.get("/account")).reached
    redis.kill()
    assert (await ann.get("/account")).status == 500
    assert "session" in ann.cookies
    redis.start()
    assert (await ann.get("/account")).status == 302
    assert (await ann.get(await ann.login("/account"))).status == 302
    assert (await ann.get("/account")).reached
