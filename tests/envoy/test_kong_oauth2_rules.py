"""Kong's `oauth2`: HTTPS, what is said of several faults at once, how long tokens last, and other plugins."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send

pytestmark = pytest.mark.envoy
KEY = "hush: the login page's own"
APP = {"client_id": "app-1", "client_secret": "hush"}
USER = {"provision_key": KEY, "authenticated_userid": "ann"}
GRANT = {"grant_type": "client_credentials"}
HTTPS = ("x-forwarded-proto", "https")
Post = Callable[..., Awaitable[Answer]]

BEHIND_A_PROXY = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}"
"""
OTHER = """
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {ports: [{name: http, port: 80}]}
"""


def _oauth(name: str, config: str, *others: str) -> str:
    made = plugin(name, "oauth2", f"{{{config}, provision_key: {json.dumps(KEY)}}}")
    return made + route(name, name, *others)


MANIFESTS = (
    OTHER
    + _oauth("api", "enable_client_credentials: true")
    + _oauth(
        "done",
        "enable_client_credentials: true, enable_authorization_code: true, enable_password_grant: true, "
        "scopes: [read], accept_http_if_already_terminated: true",
    )
    + _oauth(
        "free",
        "enable_client_credentials: true, accept_http_if_already_terminated: true, "
        "auth_header_name: x-token, hide_credentials: true",
    )
    + _oauth(
        "short",
        "enable_password_grant: true, accept_http_if_already_terminated: true, token_expiration: 600, "
        "refresh_token_ttl: 4",
    )
    + _oauth(
        "forever",
        "enable_password_grant: true, accept_http_if_already_terminated: true, refresh_token_ttl: 0",
    )
    + _oauth(
        "either",
        "enable_client_credentials: true, accept_http_if_already_terminated: true, anonymous: guest",
        "key",
    )
    + plugin("key", "key-auth", "{anonymous: guest}")
    + route("elsewhere", "done").replace("name: shop, port", "name: other, port")
    + consumer(
        "ann",
        {
            "app": (
                "oauth2",
                {**APP, "name": "app", "redirect_uris": "https://a.example/1,https://a.example/2"},
            ),
            "ann-key": ("key-auth", {"key": "k"}),
        },
    )
    + consumer("guest", {})
)


def _said(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer
    found: dict[str, Any] = json.loads(answer.body)
    return found


def _error(answer: Answer, status: int = 400) -> tuple[str, str]:
    found = _said(answer, status)
    if "redirect_uri" in found:
        sent = parse_qs(urlsplit(found["redirect_uri"]).query)
        return sent["error"][0], sent["error_description"][0]
    return found["error"], found["error_description"]


def _run(folder: Path, manifests: str, *tests: Callable[[Post, Post], Awaitable[None]]) -> None:
    async def run() -> None:
        async with gateway(manifests, folder, lasts_s=90) as port:

            async def post(
                path: str,
                *forms: dict[str, str],
                headers: tuple[tuple[str, str], ...] = (HTTPS,),
                **more: str,
            ) -> Answer:
                form = {name: value for one in (*forms, more) for name, value in one.items()}
                kind = ("content-type", "application/x-www-form-urlencoded")
                return await send(port, Ask(path, "POST", (kind, *headers), urlencode(form).encode()))

            async def get(path: str, *headers: tuple[str, str]) -> Answer:
                return await send(port, Ask(path, headers=headers))

            for test in tests:
                await test(post, get)

    asyncio.run(run())


def test_a_client_cannot_say_that_it_came_by_https(tmp_path: Path) -> None:
    async def test(post: Post, get: Post) -> None:
        for path in ("/api", "/done"):
            for endpoint in ("token", "authorize"):
                for headers in ((), (HTTPS,), (HTTPS, HTTPS)):
                    answer = await post(f"{path}/oauth2/{endpoint}", APP, GRANT, USER, headers=headers)
                    assert _error(answer) == ("access_denied", "You must use HTTPS"), (path, headers)
                    assert answer.header("cache-control") == "no-store"

    _run(tmp_path, MANIFESTS, test)


async def _https_ended_before_us(post: Post, get: Post) -> None:
    denied = ("access_denied", "You must use HTTPS")
    for headers in ((), (("x-forwarded-proto", "http"),), (("x-forwarded-proto", "ftp"),)):
        assert _error(await post("/done/oauth2/token", APP, GRANT, headers=headers)) == denied, headers
    # A plugin that does not say that it is so does not believe it.
    assert _error(await post("/api/oauth2/token", APP, GRANT)) == denied
    told = _said(await post("/done/oauth2/token", APP, GRANT), 200)
    assert set(told) == {"access_token", "token_type", "expires_in"}
    shouted = await post("/done/oauth2/token", APP, GRANT, headers=(("x-forwarded-proto", "HTTPS"),))
    assert shouted.status == 200
    several = await post("/done/oauth2/token", APP, GRANT, headers=(("x-forwarded-proto", "https, http"),))
    assert _error(several) == ("access_denied", "Only one X-Forwarded-Proto header allowed")


async def _several_faults(post: Post, get: Post) -> None:
    """Kong looks at all of them and names the last."""
    client = ("invalid_client", "Invalid client authentication")
    token, authorize = "/done/oauth2/token", "/done/oauth2/authorize"
    assert _error(await post(token, client_id="x", grant_type="x")) == client
    assert _error(await post(token, APP, grant_type="x")) == ("unsupported_grant_type", "Invalid grant_type")
    assert _error(await post(token, APP)) == ("unsupported_grant_type", "Invalid grant_type")
    uri = "Invalid redirect_uri that does not match with any redirect_uri created with the application"
    wrong = await post(
        token, APP, grant_type="authorization_code", code="x", redirect_uri="https://b.example/"
    )
    assert _error(wrong) == ("invalid_request", uri)
    assert _error(await post(token, APP, grant_type="authorization_code", code="x")) == (
        "invalid_request",
        "Invalid code",
    )
    assert _error(await post(token, APP, grant_type="refresh_token", refresh_token="x")) == (
        "invalid_request",
        "Invalid refresh_token",
    )
    asks = {**USER, "client_id": "app-1", "redirect_uri": "https://a.example/2"}
    for more, expected in (
        ({"response_type": "x"}, ("unsupported_response_type", "Invalid response_type")),
        ({"response_type": "token"}, ("unsupported_response_type", "Invalid response_type")),
        ({"response_type": "x", "scope": "all"}, ("invalid_scope", '"all" is an invalid scope')),
        ({"scope": "all", "redirect_uri": "https://b.example/"}, ("invalid_request", uri)),
        (
            {"redirect_uri": "https://b.example/", "code_challenge_method": "S256"},
            ("invalid_request", "code_challenge is required when code_method is present"),
        ),
    ):
        answer = await post(authorize, {**asks, **more})
        assert _error(answer) == expected, more
        where = urlsplit(_said(answer, 400)["redirect_uri"])
        assert (where.netloc, where.path) == ("a.example", "/1" if "redirect_uri" in more else "/2")
    assert _error(await post(authorize, {**asks, "client_id": "x", "response_type": "x"})) == client


async def _how_tokens_come(post: Post, get: Post) -> None:
    missing, invalid = ("invalid_request", "The access token is missing"), "invalid_token"
    told = _said(await post("/free/oauth2/token", APP, GRANT, scope="whatever"), 200)
    token = told["access_token"]
    for value in (token, f"Bearer {token}", f"TOKEN {token}"):
        seen = (await get("/free", ("x-token", value))).seen.headers
        assert (seen["x-consumer-username"], "x-token" in seen) == (["ann"], False)
        assert "x-authenticated-scope" not in seen  # no scopes are configured, so none is given
    for value in (f"Basic {token}", f"Bearer {token} x", f"Bearer{token}", "Bearer"):
        assert _error(await get("/free", ("x-token", value)), 401)[0] == invalid, value
    for headers in ((), (("authorization", f"Bearer {token}"),), (("x-token", ""),)):
        assert _error(await get("/free", *headers), 401) == missing
    twice = await get("/free", ("x-token", token), ("x-token", token))
    assert _error(twice, 401)[0] == invalid
    assert _error(await get(f"/free?access_token={token}&access_token=x"), 401)[0] == invalid
    # A token is good for one service, though the plugin be the same.
    own = _said(await post("/done/oauth2/token", APP, GRANT), 200)["access_token"]
    assert (await get("/done", ("authorization", f"Bearer {own}"))).reached
    assert _error(await get("/elsewhere", ("authorization", f"Bearer {own}")), 401)[0] == invalid


async def _how_long(post: Post, get: Post) -> None:
    """With refresh_token_ttl both tokens are gone, as in Kong, though the access token would last longer."""
    told = _said(await post("/short/oauth2/token", APP, USER, grant_type="password"), 200)
    kept = _said(await post("/forever/oauth2/token", APP, USER, grant_type="password"), 200)
    shown = ("authorization", f"Bearer {told['access_token']}")
    assert (await get("/short", shown)).reached
    until = time.monotonic() + 20
    while (answer := await get("/short", shown)).status == 200:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    assert _error(answer, 401)[0] == "invalid_token"
    renewal = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
    assert _error(await post("/short/oauth2/token", APP, renewal)) == (
        "invalid_request",
        "Invalid refresh_token",
    )
    renewal = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
    assert _said(await post("/forever/oauth2/token", APP, renewal), 200)["expires_in"] == 7200


async def _beside_another_plugin(post: Post, get: Post) -> None:
    """The endpoints are the plugin's also for who is known already, or a stranger."""
    key = ("apikey", "k")
    told = _said(await post("/either/oauth2/token", APP, GRANT, headers=(HTTPS, key)), 200)
    assert _said(await post("/either/oauth2/token", APP, GRANT), 200)["token_type"] == "bearer"
    assert _error(await get("/either/oauth2/token", key), 405)[0] == "invalid_method"
    token = ("authorization", f"Bearer {told['access_token']}")
    own = (
        ("x-authenticated-userid", "root"),
        ("x-authenticated-scope", "all"),
        ("x-anonymous-consumer", "true"),
    )
    for headers, name in (((token,), "ann"), ((key,), "ann"), ((key, token), "ann"), ((), "guest")):
        seen = (await get("/either", *headers, *own)).seen.headers
        assert seen["x-consumer-username"] == [name]
        assert not {"x-authenticated-userid", "x-authenticated-scope"} & set(seen)
        assert ("x-anonymous-consumer" in seen) == (name == "guest")
    assert (await get("/either", ("authorization", "Bearer x"))).seen.headers["x-consumer-username"] == [
        "guest"
    ]


def test_behind_a_proxy_that_ends_https(tmp_path: Path) -> None:
    _run(
        tmp_path,
        MANIFESTS + BEHIND_A_PROXY,
        _https_ended_before_us,
        _several_faults,
        _how_tokens_come,
        _beside_another_plugin,
        _how_long,
    )
