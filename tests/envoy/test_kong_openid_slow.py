"""An identity provider that does not answer: nobody else is held, there is an end, and it comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send
from tests.envoy.openid_browser import Browser
from tests.openid_provider import CLIENT, SECRET, Provider, providing

pytestmark = pytest.mark.envoy
Get = Callable[..., Coroutine[Any, Any, Answer]]
Others = Callable[[], Awaitable[None]]
TIMEOUT_S = 1.0
MANY = 150
"""More than the connections to one server."""


def _manifests(slow: str, good: str) -> str:
    client = f"client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"
    patience = f"timeout: {round(TIMEOUT_S * 1000)}, rediscovery_lifetime: 0.5"

    def oidc(name: str, rest: str) -> str:
        return plugin(name, "openid-connect", f"{{{rest}}}") + route(name, name)

    return (
        oidc("unknown", f"issuer: '{slow}', {patience}, auth_methods: [bearer], display_errors: true")
        + oidc("keys", f"issuer: '{slow}', {patience}, auth_methods: [bearer], leeway: 1")
        + oidc("opaque", f"issuer: '{slow}', {patience}, {client}, auth_methods: [introspection]")
        + oidc(
            "account", f"issuer: '{slow}', {patience}, {client}, auth_methods: [authorization_code, session]"
        )
        + oidc("other", f"issuer: '{good}', {client}, auth_methods: [introspection, password]")
        + plugin("hmac", "hmac-auth", "{anonymous: guest}")
        + route("hmac", "hmac")
        + route("open")
        + consumer("guest", {})
    )


def test_a_provider_that_does_not_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            providing() as slow,
            providing() as good,
            gateway(_manifests(slow.issuer, good.issuer), tmp_path, lasts_s=90) as port,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):

            async def get(path: str, token: str | None = None) -> Answer:
                shown = (("authorization", f"Bearer {token}"),) if token is not None else ()
                return await send(port, Ask(path, headers=shown))

            async def others() -> None:
                """Everybody else, at once; each in less time than the slow one has."""
                tokens = [f"{time.monotonic()}-{i}" for i in range(10)]
                good.opaque.update({token: {"active": True, "sub": "a"} for token in tokens})
                basic = ("authorization", f"Basic {base64.b64encode(b'ann:secret').decode()}")
                answers = await asyncio.gather(
                    *(get("/other", token) for token in tokens),
                    send(port, Ask("/other", headers=(basic,))),
                    get("/hmac"),
                    get("/open"),
                )
                assert all(answer.reached for answer in answers), answers

            for path in ("/.well-known/openid-configuration", "/jwks"):
                await _discovery(slow, path, get, others)
            await _rotation(slow, get, others)
            await _introspection(slow, get, others)
            await _token_endpoint(slow, Browser(port, session), others)

    asyncio.run(run())


async def _discovery(slow: Provider, path: str, get: Get, others: Others) -> None:
    slow.holds = {path}
    asked = slow.asked[path]
    held = [asyncio.create_task(get("/unknown", slow.token(jti=f"{path}{i}"))) for i in range(20)]
    async with asyncio.timeout(10):
        while slow.asked[path] == asked:
            await asyncio.sleep(0.02)
    await others()
    assert not any(task.done() for task in held)
    answers = await asyncio.gather(*held)
    expected = "An unexpected error occurred (the provider has not said what it is)"
    assert {(a.status, json.loads(a.body)["message"]) for a in answers} == {(500, expected)}
    # All waited for one question.
    assert slow.asked[path] - asked == 1
    slow.holds = set()
    if path == "/jwks":
        async with asyncio.timeout(10):
            while (await get("/unknown", slow.token())).status != 200:
                await asyncio.sleep(0.05)


async def _rotation(slow: Provider, get: Get, others: Others) -> None:
    """While new keys do not come, the old ones count; and who asks with a key that nobody knows is not
    a way to make the gateway ask the provider without end."""
    async with asyncio.timeout(10):
        while (await get("/keys", slow.token())).status != 200:
            await asyncio.sleep(0.05)
    asked = slow.asked["/jwks"]
    answers = await asyncio.gather(*(get("/keys", slow.signed({"kid": f"no-{i}"})) for i in range(50)))
    assert {answer.status for answer in answers} == {401}
    assert slow.asked["/jwks"] - asked <= 2
    slow.holds = {"/jwks"}
    old = slow.token(jti="old")
    slow.key = 1
    new = slow.token(jti="new")
    async with asyncio.timeout(10):
        while not (held := asyncio.create_task(get("/keys", new))).done():
            await asyncio.wait((held,), timeout=0.2)
            if not held.done():
                break
    assert (await get("/keys", old)).reached
    await others()
    assert (await held).status == 401
    slow.holds = set()
    async with asyncio.timeout(10):
        while (await get("/keys", new)).status != 200:
            await asyncio.sleep(0.05)


async def _introspection(slow: Provider, get: Get, others: Others) -> None:
    slow.opaque["seen"] = {"active": True, "sub": "a"}
    assert (await get("/opaque", "seen")).reached
    slow.holds = {"/introspect"}
    held = [asyncio.create_task(get("/opaque", f"token-{i}")) for i in range(MANY)]
    async with asyncio.timeout(10):
        while slow.asked["/introspect"] < 101:
            await asyncio.sleep(0.02)
    await others()
    assert (await get("/opaque", "seen")).reached
    assert not any(task.done() for task in held)
    assert {answer.status for answer in await asyncio.gather(*held)} == {500}
    slow.holds = set()
    assert (await get("/opaque", "token-0")).status == 401


async def _token_endpoint(slow: Provider, ann: Browser, others: Others) -> None:
    back = await ann.login("/account")
    kept = dict(ann.cookies)
    slow.holds = {"/token"}
    held = asyncio.create_task(ann.get(back))
    async with asyncio.timeout(10):
        while not slow.asked["/token"]:
            await asyncio.sleep(0.02)
    await others()
    answer = await held
    assert (answer.status, json.loads(answer.body)) == (500, {"message": "An unexpected error occurred"})
    slow.holds = set()
    # A login that failed can be begun again.
    ann.cookies = kept
    assert (await ann.get(await ann.login("/account"))).reached
