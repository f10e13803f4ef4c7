"""Kong's `openid-connect` for browsers, with a real Envoy: logins, sessions, and what attackers try."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import aiohttp
import pytest

from tests.envoy.kong_edge import Ask, consumer, gateway, plugin, route, send
from tests.envoy.openid_browser import HOST, Browser
from tests.openid_provider import CLIENT, SECRET, Provider, providing

pytestmark = pytest.mark.envoy


def _manifests(issuer: str) -> str:
    client = f"client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"
    common = f"issuer: '{issuer}', {client}, auth_methods: [authorization_code, session]"

    def oidc(name: str, rest: str) -> str:
        return plugin(name, "openid-connect", f"{{{common}, {rest}}}") + route(name, name)

    return (
        oidc(
            "account",
            f"redirect_uri: ['http://{HOST}/account/back'], login_action: redirect, login_tokens: null, "
            "preserve_query_args: true, logout_uri_suffix: /logout, logout_revoke: true, "
            f"logout_redirect_uri: ['http://{HOST}/bye'], consumer_claims: [[preferred_username]], "
            "authenticated_groups_claim: [groups], display_errors: true",
        )
        + oidc("here", "scopes: [openid, profile], audience: [api], max_age: 3600, session_cookie_name: here")
        + oidc(
            "told", "login_action: response, login_tokens: [id_token, access_token], session_cookie_name: t"
        )
        + oidc("fragment", "login_action: redirect, login_redirect_uri: ['https://app.example/in']")
        + oidc(
            "posted",
            "response_mode: form_post, login_action: redirect, login_tokens: null, session_cookie_name: p",
        )
        + oidc("pushed", "require_pushed_authorization_requests: true, session_cookie_name: pushed")
        + oidc("plain", "require_proof_key_for_code_exchange: false, session_cookie_name: plain")
        + oidc("bound", "session_bind: [user-agent], session_cookie_name: bound")
        + oidc("strict", "scopes_required: [admin], forbidden_redirect_uri: ['https://app.example/no']")
        + consumer("ann", {})
    )


Test = Callable[[Provider, Callable[[], Browser]], Awaitable[None]]


def _run(folder: Path, *tests: Test) -> None:
    """All of them with one gateway, each with a provider that does nothing wrong yet."""

    async def run() -> None:
        async with (
            providing() as provider,
            gateway(_manifests(provider.issuer), folder) as port,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            for test in tests:
                provider.reset()
                await test(provider, lambda: Browser(port, session))

    asyncio.run(run())


async def _a_login(provider: Provider, browser: Callable[[], Browser]) -> None:
    ann = browser()
    began = await ann.get("/account/orders?page=2&sort=a%26b")
    assert (began.status, began.header("cache-control"), began.body) == (302, "no-store", "")
    where = urlsplit(began.header("location") or "")
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{provider.issuer}/authorize"
    asked = dict(parse_qsl(where.query))
    assert set(asked) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
        "code_challenge_method",
    }  # fmt: skip
    assert asked["redirect_uri"] == f"http://{HOST}/account/back"
    assert (asked["scope"], asked["code_challenge_method"]) == ("openid", "S256")
    (cookie,) = began.headers["set-cookie"]
    assert cookie.startswith("authorization=1.")
    assert cookie.endswith("; Path=/; HttpOnly")
    assert asked["state"] not in cookie

    back = await ann.get(await ann.agree(began))
    assert (back.status, back.header("location")) == (302, f"http://{HOST}/account/orders?page=2&sort=a%26b")
    assert set(ann.cookies) == {"session"}
    (session,) = (line for line in back.headers["set-cookie"] if line.startswith("session="))
    assert session.endswith("; Path=/; SameSite=Lax; HttpOnly")

    seen = (await ann.get("/account/orders?page=2")).seen
    assert (seen.path, "cookie" in seen.headers) == ("/account/orders?page=2", False)
    assert seen.headers["x-consumer-username"] == ["ann"]
    assert seen.headers["x-authenticated-groups"] == ["staff, night shift"]
    assert seen.headers["authorization"][0].startswith("Bearer ey")
    assert provider.asked["/token"] == 1
    assert "set-cookie" not in (await ann.get("/account")).headers


async def _what_follows_a_login(provider: Provider, browser: Callable[[], Browser]) -> None:
    ann = browser()
    came = await ann.get(f"{await ann.login('/here/a?b=c')}&session_state=s")
    assert came.seen.path == "/here/a"
    assert (await ann.get("/here/b?code=1")).seen.path == "/here/b?code=1"
    told = await ann.get(await ann.login("/told"))
    assert told.status == 200
    assert set(json.loads(told.body)) == {"id_token", "access_token"}
    assert (await ann.get("/told")).reached
    away = await ann.get(await ann.login("/fragment"))
    target, _, fragment = (away.header("location") or "").partition("#")
    assert target == "https://app.example/in"
    assert list(parse_qs(fragment)) == ["id_token"]
    posted = browser()
    path, _, query = (await posted.login("/posted")).partition("?")
    back = await posted.get(path, method="POST", body=query.encode())
    assert (back.status, back.header("location")) == (302, f"http://{HOST}/posted")
    assert (await posted.get("/posted")).reached
    pushed = await browser().get("/pushed")
    assert set(parse_qs(urlsplit(pushed.header("location") or "").query)) == {"client_id", "request_uri"}
    ann = browser()
    assert (await ann.get(await ann.login("/pushed"))).reached
    assert (await ann.get(await ann.login("/plain"))).reached
    assert "code_verifier" not in provider.posted[-1]
    bound = browser()
    assert (await bound.get(await bound.login("/bound"))).reached
    assert (await bound.get("/bound")).reached
    bound.agent = "another"
    assert (await bound.get("/bound")).status == 302
    no = await ann.get(await ann.login("/strict"))
    assert (no.status, no.header("location")) == (302, "https://app.example/no")
    assert "session" not in ann.cookies


async def _several_tabs(provider: Provider, browser: Callable[[], Browser]) -> None:
    ann = browser()
    first, second = await ann.get("/account/a"), await ann.get("/account/b")
    for began, path in ((first, "/account/a"), (second, "/account/b")):
        back = await ann.get(await ann.agree(began))
        assert back.header("location") == f"http://{HOST}{path}"
    assert set(ann.cookies) == {"session"}


async def _what_attackers_try(provider: Provider, browser: Callable[[], Browser]) -> None:
    eve, ann = browser(), browser()
    # Eve makes Ann log in as Eve: Ann's browser began no such login.
    mine = await eve.login("/account")
    began = await ann.get(mine)
    assert urlsplit(began.header("location") or "").path == "/authorize"
    refused = await ann.get(mine)
    assert refused.status == 401
    assert "is for no login of this browser" in refused.body
    assert not ann.cookies
    assert provider.asked["/token"] == 0
    # An answer counts once, also for who has kept the cookie.
    kept = dict(eve.cookies)
    assert (await eve.get(mine)).header("location") == f"http://{HOST}/account"
    assert (await Browser(eve.port, eve.session, dict(kept)).get(mine)).status == 401
    # A session that somebody changed, or that is another cookie, is none.
    sealed = eve.cookies["session"]
    for wrong in (
        sealed[:-2],
        sealed[:9] + ("A" if sealed[9] != "A" else "B") + sealed[10:],
        "1.",
        "",
        "x" * 5000,
    ):
        assert (await Browser(eve.port, eve.session, {"session": wrong}).get("/account")).status == 302
    assert (await Browser(eve.port, eve.session, {"authorization": sealed}).get(mine)).status == 302
    login = kept["authorization"]
    assert (await Browser(eve.port, eve.session, {"session": login}).get("/account")).status == 302
    # A session of one plugin is none of another one's cookie of the same name, but of the same provider.
    assert (await Browser(eve.port, eve.session, {"here": sealed}).get("/here")).reached
    # Whoever had a session before gets a new one, of which nothing was known.
    ann.cookies["session"] = sealed + "x"
    assert (await ann.get(await ann.login("/account"))).status == 302
    assert ann.cookies["session"] not in (sealed, sealed + "x")
    # An address that looks like another host.
    ann = browser()
    back = await ann.get(await ann.login("/account//evil.example/"))
    assert urlsplit(back.header("location") or "").netloc == HOST
    # Of several states none is taken.
    twice = await ann.get("/account?state=a&state=b&code=c")
    assert twice.status == 401


async def _no_way_to_another_host(provider: Provider, browser: Callable[[], Browser]) -> None:
    """What the client says of addresses is no address that anybody is sent to."""
    evil = "https://evil.example/"
    asks = urlencode(
        {"redirect_uri": evil, "post_logout_redirect_uri": evil, "login_redirect_uri": evil, "next": evil}
    )
    headers = (
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "//evil.example"),
        ("x-original-url", "//evil.example/"),
        ("forwarded", "host=evil.example;proto=https"),
        ("referer", evil),
        ("origin", "https://evil.example"),
    )
    ann = browser()
    began = await send(ann.port, Ask(f"/account?{asks}", headers=(("host", HOST), *headers)))
    asked = dict(parse_qsl(urlsplit(began.header("location") or "").query))
    assert asked["redirect_uri"] == f"http://{HOST}/account/back"
    assert "evil" not in f"{asked['state']}{asked['nonce']}{asked['scope']}"
    here = await send(ann.port, Ask("/here", headers=(("host", HOST), *headers)))
    asked = dict(parse_qsl(urlsplit(here.header("location") or "").query))
    assert asked["redirect_uri"] == f"http://{HOST}/here"
    # A logout that another site's form asks for brings no cookie, and goes where it always goes.
    await ann.get(await ann.login("/account"))
    kept = dict(ann.cookies)
    out = await send(ann.port, Ask(f"/account/logout?{asks}", "POST", (("host", HOST), *headers)))
    assert dict(parse_qsl(urlsplit(out.header("location") or "").query)) == {
        "client_id": CLIENT,
        "post_logout_redirect_uri": f"http://{HOST}/bye",
    }
    assert "set-cookie" not in out.headers
    assert provider.revoked == []
    ann.cookies = kept
    assert (await ann.get("/account")).reached
    for path in ("/account/logout", "/account//logout", "/account/x/..%2flogout"):
        assert (await ann.get(path)).status in (200, 307), path
    assert ann.cookies == kept


async def _a_provider_that_does_wrong(provider: Provider, browser: Callable[[], Browser]) -> None:
    ann = browser()
    for claims, reason in (
        ({"nonce": "other"}, "the ID token is not the answer to this login"),
        ({"nonce": None}, "the ID token is not the answer to this login"),
        ({"aud": "other"}, "the ID token is for another client"),
        ({"aud": [CLIENT, "other"]}, "the ID token is for several clients and names none of them"),
        ({"azp": "other"}, "the ID token is for another client"),
        ({"iss": "https://other.example"}, "the token is of another issuer"),
        ({"exp": 1}, "the token has expired"),
        ({"at_hash": "other"}, "the ID token belongs to another access token"),
    ):
        provider.id_claims = dict(claims)
        refused = await ann.get(await ann.login("/account"))
        assert json.loads(refused.body) == {"message": f"Unauthorized ({reason})"}, claims
        assert refused.status == 401
        assert not ann.cookies
    provider.id_claims = {}
    provider.refuse_login = True
    refused = await ann.get(await ann.login("/account"))
    assert json.loads(refused.body) == {"message": "Unauthorized (the provider says access_denied)"}
    provider.refuse_login = False
    back = await ann.login("/account")
    mixed_up = await ann.get(back + "&" + urlencode({"iss": "https://other.example"}))
    assert json.loads(mixed_up.body) == {"message": "Unauthorized (another provider answered the login)"}
    back = await ann.login("/account")
    provider.logins.clear()
    assert json.loads((await ann.get(back)).body) == {
        "message": "Unauthorized (the provider says invalid_grant)"
    }
    back = await ann.login("/account")
    provider.down = True
    answer = await ann.get(back)
    assert (answer.status, json.loads(answer.body)["message"]) == (
        500,
        "An unexpected error occurred (the token endpoint answers 503)",
    )


async def _renewal(provider: Provider, browser: Callable[[], Browser]) -> None:
    provider.access_lasts_s = 5
    ann = browser()
    assert (await ann.get(await ann.login("/account"))).status == 302
    old = dict(ann.cookies)
    provider.access_lasts_s = 300
    several = [Browser(ann.port, ann.session, dict(old)) for _ in range(5)]
    answers = await asyncio.gather(*(one.get("/account") for one in several))
    assert all(answer.reached for answer in answers)
    assert provider.asked["/token"] == 2
    assert len({answer.seen.headers["authorization"][0] for answer in answers}) == 1
    assert all(one.cookies["session"] != old["session"] for one in several)
    assert (await several[0].get("/account")).reached
    assert provider.asked["/token"] == 2

    provider.access_lasts_s = 5
    bob = browser()
    assert (await bob.get(await bob.login("/account"))).status == 302
    provider.refresh_tokens.clear()
    again = await bob.get("/account")
    assert (again.status, urlsplit(again.header("location") or "").path) == (302, "/authorize")
    assert "session" not in bob.cookies


async def _logout(provider: Provider, browser: Callable[[], Browser]) -> None:
    ann = browser()
    assert (await ann.get(await ann.login("/account"))).status == 302
    assert (await ann.get("/account/logout")).reached
    out = await ann.get("/account/logout", method="POST")
    where = urlsplit(out.header("location") or "")
    assert (out.status, f"{where.scheme}://{where.netloc}{where.path}") == (302, f"{provider.issuer}/logout")
    asked = dict(parse_qsl(where.query))
    assert set(asked) == {"client_id", "id_token_hint", "post_logout_redirect_uri"}
    assert asked["post_logout_redirect_uri"] == f"http://{HOST}/bye"
    assert provider.revoked == ["access_token", "refresh_token"]
    assert not ann.cookies
    assert (await ann.get("/account")).status == 302
    provider.down = True
    assert (await ann.get("/account/logout", method="POST")).status == 302


async def _large_tokens(provider: Provider, browser: Callable[[], Browser]) -> None:
    provider.id_claims = {"groups": [f"group {i}" for i in range(500)]}
    ann = browser()
    assert (await ann.get(await ann.login("/account"))).status == 302
    assert set(ann.cookies) >= {"session", "session2"}
    assert "cookie" not in (await ann.get("/account")).seen.headers


def test_logins(tmp_path: Path) -> None:
    _run(tmp_path, _a_login, _what_follows_a_login, _several_tabs, _renewal, _logout, _large_tokens)


def test_logins_that_fail(tmp_path: Path) -> None:
    _run(tmp_path, _what_attackers_try, _no_way_to_another_host, _a_provider_that_does_wrong)
