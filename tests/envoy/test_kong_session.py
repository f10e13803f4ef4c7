"""Kong's `session` on a real Envoy with a real bridge: known once, known again, until goodbye."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send

SECRET = "a secret of the tests that is long enough"


def _session(name: str, more: str = "") -> str:
    return plugin(name, "session", f"{{secret: '{SECRET}'{', ' if more else ''}{more}}}")


MANIFESTS = (
    consumer(
        "ann",
        {
            "ann-key": ("key-auth", {"key": "ann-key"}),
            "ann-login": ("basic-auth", {"username": "ann", "password": "pw"}),
            "ann-staff": ("acl", {"group": "staff"}),
        },
    )
    + consumer("bob", {"bob-login": ("basic-auth", {"username": "bob-1", "password": "pw"})})
    + consumer("guest", {})
    + plugin("key", "key-auth", "{anonymous: guest}")
    + plugin("must-key", "key-auth", "{}")
    + plugin("login", "basic-auth", "{anonymous: guest}")
    + plugin("staff", "acl", "{allow: [staff]}")
    + _session("session")
    + _session(
        "told",
        "cookie_name: sid, audience: shop, response_headers: [subject, timeout], request_headers: [id], "
        "cookie_same_site: Lax, cookie_http_only: false, cookie_domain: shop.example, cookie_path: /told",
    )
    + _session("kept", "storage: kong, remember: true, cookie_name: kept, remember_cookie_name: long")
    + _session("other", "audience: other")
    + _session("form", "read_body_for_logout: true, logout_post_arg: bye, logout_methods: [POST]")
    + route("shop", "session", "key", "login")
    + route("told", "told", "key")
    + route("kept", "kept", "key")
    + route("other", "other", "key")
    + route("form", "form", "key")
    + route("staff", "session", "key", "staff")
    + route("must", "session", "must-key")
)
KEY = (("apikey", "ann-key"),)


@dataclass(slots=True)
class Browser:
    """Keeps cookies, whatever their path, and asks with them."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, path: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b""
    ) -> Answer:
        held = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        every = (("cookie", held), *headers) if held else headers
        answer = await send(self.port, Ask(path, method, every, body))
        for line in answer.headers.get("set-cookie", ()):
            name, _, value = line.split(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def who(self, path: str, *headers: tuple[str, str]) -> str:
        answer = await self.ask(path, *headers)
        return answer.seen.headers["x-consumer-username"][0]


@pytest.mark.envoy
def test_sessions(tmp_path: Path) -> None:
    async def run() -> None:
        async with gateway(MANIFESTS, tmp_path) as port:
            await _known_again(port)
            await _told(port)
            await _kept(port)
            await _with_others(port)
            await _goodbye(port)

    asyncio.run(run())


async def _known_again(port: int) -> None:
    browser = Browser(port)
    assert await browser.who("/shop") == "guest"
    assert browser.cookies == {}
    first = await browser.ask("/shop", *KEY)
    (line,) = first.headers["set-cookie"]
    assert line.endswith("; Path=/; SameSite=Strict; Secure; HttpOnly")
    again = await browser.ask("/shop", ("x-consumer-username", "root"))
    seen = again.seen.headers
    assert seen["x-consumer-username"] == ["ann"]
    assert seen["x-credential-identifier"] == first.seen.headers["x-credential-identifier"]
    assert "x-anonymous-consumer" not in seen
    assert "set-cookie" not in again.headers
    assert "ann" not in browser.cookies["session"]
    changed = browser.cookies["session"][:-2] + "xx"
    assert await Browser(port, {"session": changed}).who("/shop") == "guest"
    # The same secret, another audience.
    assert await Browser(port, dict(browser.cookies)).who("/other") == "guest"
    login = ("authorization", "Basic " + base64.b64encode(b"bob-1:pw").decode())
    assert await browser.who("/shop", login) == "bob"
    assert await browser.who("/shop") == "bob"


async def _told(port: int) -> None:
    browser = Browser(port)
    forged = ("session-id", "forged")
    stranger = await browser.ask("/told", forged)
    assert "session-id" not in stranger.seen.headers
    first = await browser.ask("/told", *KEY, forged)
    assert first.header("session-subject") == "ann"
    assert "session-id" not in first.seen.headers
    (line,) = first.headers["set-cookie"]
    assert line.startswith("sid=1.")
    assert line.endswith("; Path=/told; Domain=shop.example; SameSite=Lax; Secure")
    again = await browser.ask("/told", forged)
    assert len(again.seen.headers["session-id"]) == 1
    assert again.seen.headers["session-id"] != ["forged"]
    assert int(again.header("session-timeout") or 0) in range(1, 901)


async def _kept(port: int) -> None:
    browser = Browser(port)
    first = await browser.ask("/kept", *KEY)
    lines = first.headers["set-cookie"]
    assert [line.partition("=")[0] for line in lines] == ["kept", "long"]
    assert "Max-Age=604800" in lines[1]
    assert len(browser.cookies["kept"]) < 200
    assert await browser.who("/kept") == "ann"
    del browser.cookies["kept"]
    assert await browser.who("/kept") == "ann"
    assert set(browser.cookies) == {"kept", "long"}
    stolen = Browser(port, dict(browser.cookies))
    assert (await browser.ask("/kept?session_logout=1", method="POST")).status == 200
    assert await stolen.who("/kept") == "guest"


async def _with_others(port: int) -> None:
    browser = Browser(port)
    assert (await browser.ask("/staff")).status == 401
    assert (await browser.ask("/staff", *KEY)).status == 200
    assert await browser.who("/staff") == "ann"
    # A plugin without `anonymous` stays a must, as in Kong.
    refused = await browser.ask("/must")
    assert (refused.status, refused.header("www-authenticate")) == (401, "Key")
    assert await browser.who("/must", *KEY) == "ann"


async def _goodbye(port: int) -> None:
    browser = Browser(port)
    await browser.ask("/shop", *KEY)
    stolen = Browser(port, dict(browser.cookies))
    assert (await browser.ask("/shop?session_logout=1")).reached, "GET does not end it"
    bye = await browser.ask("/shop?session_logout=1", method="DELETE")
    assert (bye.status, bye.body, bye.reached) == (200, "", False)
    assert browser.cookies == {}
    assert await browser.who("/shop") == "guest"
    assert await stolen.who("/shop") == "guest"
    await browser.ask("/form", *KEY)
    form = ("content-type", "application/x-www-form-urlencoded")
    other = await browser.ask("/form", form, method="POST", body=b"good=bye")
    assert other.seen.body == "good=bye"
    bye = await browser.ask("/form", form, method="POST", body=b"a=1&bye=1")
    assert (bye.status, bye.body, bye.reached) == (200, "", False)
    assert browser.cookies == {}
