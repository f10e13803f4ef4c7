"""An identity provider that does not answer: nobody else is held, there is an end, and it comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
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
PATIENCE_MS, BRIEF_MS = 100_000, 500
"""Longer than any test holds a provider, and shorter than one that never answers."""
MANY = 150
AT_ONCE = 100
"""Connections to one server, and questions on their way: fewer than `MANY`."""


def _manifests(slow: str, keys: str, mute: str, good: str) -> str:
    client = f"client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"
    patient, brief = (f"timeout: {ms}, rediscovery_lifetime: 0.5" for ms in (PATIENCE_MS, BRIEF_MS))

    def oidc(name: str, rest: str) -> str:
        return plugin(name, "openid-connect", f"{{{rest}}}") + route(name, name)

    return (
        oidc("unknown", f"issuer: '{slow}', {patient}, auth_methods: [bearer]")
        + oidc("keyless", f"issuer: '{keys}', {patient}, auth_methods: [bearer], leeway: 1")
        + oidc("mute", f"issuer: '{mute}', {brief}, auth_methods: [bearer], display_errors: true")
        + oidc("opaque", f"issuer: '{slow}', {patient}, {client}, auth_methods: [introspection]")
        + oidc("brief", f"issuer: '{slow}', {brief}, {client}, auth_methods: [introspection]")
        + oidc("account", f"issuer: '{slow}', {brief}, {client}, auth_methods: [authorization_code, session]")
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
            providing() as keys,
            providing() as mute,
            providing() as good,
            gateway(
                _manifests(slow.issuer, keys.issuer, mute.issuer, good.issuer), tmp_path, lasts_s=300
            ) as port,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):

            async def get(path: str, token: str | None = None) -> Answer:
                shown = (("authorization", f"Bearer {token}"),) if token is not None else ()
                return await send(port, Ask(path, headers=shown))

            async def others() -> None:
                """Everybody else, at once."""
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

            await _discovery(slow, "/.well-known/openid-configuration", partial(get, "/unknown"), others)
            await _discovery(keys, "/jwks", partial(get, "/keyless"), others)
            await _rotation(keys, get, others)
            await _introspection(slow, get, others)
            await _silence(mute, slow, get)
            await _token_endpoint(slow, Browser(port, session), others)

    asyncio.run(run())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def _discovery(slow: Provider, path: str, get: Get, others: Others) -> None:
    slow.holds = {path}
    held = [asyncio.create_task(get(slow.token(jti=f"{path}{i}"))) for i in range(20)]
    await _until(lambda: slow.asked[path] == 1)
    await others()
    assert not any(task.done() for task in held)
    slow.holds = set()
    assert all(answer.reached for answer in await asyncio.gather(*held))
    assert slow.asked[path] == 1, "all waited for one question"


async def _rotation(slow: Provider, get: Get, others: Others) -> None:
    """While new keys do not come, the old ones count; and who asks with a key that nobody knows is not
    a way to make the gateway ask the provider without end."""
    asked = slow.asked["/jwks"]
    answers = await asyncio.gather(*(get("/keyless", slow.signed({"kid": f"no-{i}"})) for i in range(50)))
    assert {answer.status for answer in answers} == {401}
    assert slow.asked["/jwks"] - asked < 10
    slow.holds = {"/jwks"}
    old = slow.token(jti="old")
    slow.key = 1
    new = slow.token(jti="new")
    asked = slow.asked["/jwks"]
    held = asyncio.create_task(get("/keyless", new))
    # Refused at once as long as the keys are new: they are asked for again after that.
    while slow.asked["/jwks"] == asked:
        if held.done():
            held = asyncio.create_task(get("/keyless", new))
        await asyncio.sleep(0.02)
    assert (await get("/keyless", old)).reached
    await others()
    assert not held.done()
    slow.holds = set()
    assert (await held).reached


async def _introspection(slow: Provider, get: Get, others: Others) -> None:
    slow.opaque["seen"] = {"active": True, "sub": "a"}
    assert (await get("/opaque", "seen")).reached
    asked = slow.asked["/introspect"]
    slow.holds = {"/introspect"}
    held = [asyncio.create_task(get("/opaque", f"token-{i}")) for i in range(MANY)]
    await _until(lambda: slow.asked["/introspect"] - asked == AT_ONCE)
    await others()
    assert (await get("/opaque", "seen")).reached
    assert not any(task.done() for task in held)
    slow.holds = set()
    assert {answer.status for answer in await asyncio.gather(*held)} == {401}
    assert slow.asked["/introspect"] - asked == MANY


async def _silence(mute: Provider, slow: Provider, get: Get) -> None:
    """There is an end, and then a beginning."""
    mute.holds = {"/.well-known/openid-configuration"}
    answer = await get("/mute", mute.token())
    expected = "An unexpected error occurred (the provider has not said what it is)"
    assert (answer.status, json.loads(answer.body)["message"]) == (500, expected)
    mute.holds = set()
    async with asyncio.timeout(60):
        while (await get("/mute", mute.token())).status != 200:
            await asyncio.sleep(0.05)
    assert (await get("/brief", "seen")).reached
    slow.holds = {"/introspect"}
    assert (await get("/brief", "unseen")).status == 500
    slow.holds = set()


async def _token_endpoint(slow: Provider, ann: Browser, others: Others) -> None:
    back = await ann.login("/account")
    kept = dict(ann.cookies)
    slow.holds = {"/token"}
    held = asyncio.create_task(ann.get(back))
    await _until(lambda: slow.asked["/token"] > 0)
    await others()
    answer = await held
    assert (answer.status, json.loads(answer.body)) == (500, {"message": "An unexpected error occurred"})
    slow.holds = set()
    # A login that failed can be begun again.
    ann.cookies = kept
    assert (await ann.get(await ann.login("/account"))).reached
