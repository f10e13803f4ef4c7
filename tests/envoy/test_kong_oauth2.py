"""Kong's `oauth2` on a real Envoy with a real bridge: applications get tokens and come in by them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography import x509

from tests.certificates import authority, named
from tests.envoy.kong_edge import JSON, Answer, Ask, consumer, gateway, plugin, send

pytestmark = pytest.mark.envoy
SERVERS = authority("servers' root")
SERVER = SERVERS.signs(named("shop"), x509.SubjectAlternativeName([x509.DNSName("shop.example")]))
KEY = "hush: the login page's own"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
USER = {"provision_key": KEY, "authenticated_userid": "user 7"}
APP = {"client_id": "app-1", "client_secret": "hush"}
INVALID = "The access token is invalid or has expired"
Post = Callable[..., Awaitable[Answer]]


def _plugin(name: str, config: str) -> str:
    return plugin(name, "oauth2", f"{{{config}, provision_key: {json.dumps(KEY)}}}") + (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, "
        f"annotations: {{konghq.com/plugins: {name}}}}}\n"
        f"spec: {{tls: [{{hosts: [shop.example], secretName: server}}], rules: [{{host: shop.example, http: "
        f"{{paths: [{{path: /{name}, pathType: Prefix, "
        "backend: {service: {name: shop, port: {number: 80}}}}]}}]}\n"
    )


CODES = "enable_authorization_code: true, enable_implicit_grant: true"
MANIFESTS = (
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: server}\n"
    f"stringData: {json.dumps({'tls.crt': SERVER.pem, 'tls.key': SERVER.key_pem})}\n"
    + _plugin(
        "api",
        f"{CODES}, enable_client_credentials: true, enable_password_grant: true, scopes: [read, write], "
        "realm: the shop",
    )
    + _plugin("must", "enable_client_credentials: true, scopes: [read], mandatory_scope: true")
    + _plugin("strict", f"{CODES}, pkce: strict, hide_credentials: true, token_expiration: 0")
    + _plugin("one", "enable_client_credentials: true, global_credentials: true")
    + _plugin("two", "enable_client_credentials: true, global_credentials: true, anonymous: guest")
    + _plugin("same", "enable_password_grant: true, reuse_refresh_token: true, auth_header_name: x-token")
    + consumer(
        "ann",
        {
            "app": (
                "oauth2",
                {**APP, "name": "app", "redirect_uris": "https://app.example/in?a=b,https://app.example/two"},
            ),
            "phone": (
                "oauth2",
                {
                    "name": "phone",
                    "client_id": "phone-1",
                    "client_type": "public",
                    "redirect_uris": "app:/in",
                },
            ),
        },
    )
    + consumer("bob", {"other": ("oauth2", {"name": "other", "client_id": "bob-1", "client_secret": "bobs"})})
    + consumer("guest", {})
)


def _told(answer: Answer, status: int = 200) -> dict[str, Any]:
    assert (answer.status, answer.header("content-type")) == (status, JSON), answer
    found: dict[str, Any] = json.loads(answer.body)
    return found


def _error(answer: Answer, status: int = 400) -> tuple[str, str]:
    found = _told(answer, status)
    assert set(found) == {"error", "error_description"}
    return found["error"], found["error_description"]


def _sent(answer: Answer, status: int = 200) -> dict[str, str]:
    """What the application gets to know by its redirect_uri."""
    where = urlsplit(_told(answer, status)["redirect_uri"])
    return {name: values[0] for name, values in parse_qs(where.fragment or where.query).items()}


async def _grants(post: Post, get: Post) -> None:
    answer = await post(
        "/api/oauth2/token", APP, grant_type="client_credentials", scope="write read", state="s"
    )
    told = _told(answer)
    assert set(told) == {"access_token", "token_type", "expires_in", "state"}
    assert (told["token_type"], told["expires_in"], told["state"]) == ("bearer", 7200, "s")
    assert (answer.header("cache-control"), answer.header("pragma")) == ("no-store", "no-cache")
    own = (("x-authenticated-userid", "root"), ("x-authenticated-scope", "all"))
    seen = (await get("/api/things", told["access_token"], *own)).seen.headers
    assert seen["x-consumer-username"] == ["ann"]
    assert seen["x-credential-identifier"] == ["app-1"]
    assert seen["x-authenticated-scope"] == ["write read"]
    assert "x-authenticated-userid" not in seen
    assert seen["authorization"] == [f"Bearer {told['access_token']}"]
    assert (await get(f"/api?access_token={told['access_token']}")).reached

    password = await post("/api/oauth2/token/", APP, USER, grant_type="password")
    told = _told(password)
    assert set(told) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (await get("/api", told["access_token"])).seen.headers["x-authenticated-userid"] == ["user 7"]
    renewal = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
    bob = {"client_id": "bob-1", "client_secret": "bobs"}
    assert _error(await post("/api/oauth2/token", bob, renewal)) == (
        "invalid_client",
        "Invalid client authentication",
    )
    new = _told(await post("/api/oauth2/token", APP, renewal))
    assert new["refresh_token"] != told["refresh_token"]
    assert (await get("/api", new["access_token"])).reached
    assert _error(await get("/api", told["access_token"]), 401) == ("invalid_token", INVALID)
    assert _error(await post("/api/oauth2/token", APP, renewal)) == (
        "invalid_request",
        "Invalid refresh_token",
    )
    kept = _told(await post("/same/oauth2/token", APP, USER, grant_type="password"))
    again = _told(
        await post("/same/oauth2/token", APP, grant_type="refresh_token", refresh_token=kept["refresh_token"])
    )
    assert again["refresh_token"] == kept["refresh_token"]
    assert (await get("/same", None, ("x-token", f"bearer {again['access_token']}"))).reached


async def _codes(post: Post, get: Post) -> None:
    asks = {"response_type": "code", "client_id": "app-1", "scope": "read", "state": "s"}
    answer = await post("/api/oauth2/authorize", USER, asks)
    sent = _sent(answer)
    assert (sent["a"], sent["state"]) == ("b", "s")
    redeem = {"grant_type": "authorization_code", "code": sent["code"]}
    bob = {"client_id": "bob-1", "client_secret": "bobs"}
    wrong = ("invalid_request", "Invalid code")
    assert _error(await post("/api/oauth2/token", bob, redeem)) == wrong
    told = _told(await post("/api/oauth2/token", APP, redeem))
    seen = (await get("/api", told["access_token"])).seen.headers
    assert (seen["x-authenticated-userid"], seen["x-authenticated-scope"]) == (["user 7"], ["read"])
    assert _error(await post("/api/oauth2/token", APP, redeem)) == wrong

    sent = _sent(await post("/api/oauth2/authorize", USER, asks, response_type="token"))
    assert set(sent) == {"access_token", "token_type", "expires_in", "state"}
    assert (await get("/api", sent["access_token"])).reached

    phone = {"response_type": "code", "client_id": "phone-1"}
    sent = _sent(await post("/api/oauth2/authorize", USER, phone), 400)
    assert sent["error_description"] == "code_challenge is required for public clients"
    sent = _sent(
        await post("/api/oauth2/authorize", USER, phone, code_challenge="x", code_challenge_method="plain"),
        400,
    )
    assert sent["error_description"] == "code_challenge_method is not supported, must be S256"
    for path, client in (("/api", {"client_id": "phone-1"}), ("/strict", APP)):
        asks = {"response_type": "code", "client_id": client["client_id"], "code_challenge": CHALLENGE}
        sent = _sent(await post(f"{path}/oauth2/authorize", USER, asks))
        redeem = {"grant_type": "authorization_code", "code": sent["code"]}
        assert _error(await post(f"{path}/oauth2/token", client, redeem)) == (
            "invalid_request",
            "code_verifier is required for PKCE authorization requests",
        )
        assert _error(await post(f"{path}/oauth2/token", client, redeem, code_verifier="w" * 43)) == (
            "invalid_grant",
            "Invalid code",
        )
        told = _told(await post(f"{path}/oauth2/token", client, redeem, code_verifier=VERIFIER))
        assert (await get(path, told["access_token"])).reached
    assert set(told) == {"access_token", "token_type"}
    assert "authorization" not in (await get("/strict", told["access_token"])).seen.headers


async def _refusals(post: Post, get: Post) -> None:
    missing = await get("/api")
    assert _error(missing, 401) == ("invalid_request", "The access token is missing")
    assert missing.header("www-authenticate") == 'Bearer realm="the shop"'
    bad = await get("/api", "made-up")
    assert _error(bad, 401) == ("invalid_token", INVALID)
    assert bad.header("www-authenticate") == (
        f'Bearer realm="the shop", error="invalid_token", error_description="{INVALID}"'
    )
    method = await get("/api/oauth2/token")
    assert _error(method, 405) == ("invalid_method", "The HTTP method GET is invalid for the token endpoint")
    method = await get("/api/oauth2/authorize")
    assert _error(method, 405)[1] == "The HTTP method GET is invalid for the authorization endpoint"

    token, authorize = "/api/oauth2/token", "/api/oauth2/authorize"
    client = ("invalid_client", "Invalid client authentication")
    key = ("invalid_provision_key", "Invalid provision_key")
    asks = {"response_type": "code", "client_id": "app-1"}
    grant = {"grant_type": "client_credentials"}
    cases = [
        (token, {**APP, "grant_type": "other"}, ("unsupported_grant_type", "Invalid grant_type")),
        ("/must/oauth2/token", {**APP, "grant_type": "password"},
         ("unsupported_grant_type", "Invalid grant_type")),
        (token, {**APP, **grant, "client_secret": "other"}, client),
        (token, {**APP, **grant, "client_id": "other"}, client),
        (token, {**grant, "client_id": "phone-1"}, client),
        (token, {**grant, "client_id": "phone-1", "client_secret": "x"},
         ("invalid_request", "client_secret is disallowed for public clients")),
        (token, {**APP, **grant, "scope": "read all"}, ("invalid_scope", '"all" is an invalid scope')),
        ("/must/oauth2/token", {**APP, **grant}, ("invalid_scope", "You must specify a scope")),
        (token, {**APP, **grant, "authenticated_userid": "root"}, key),
        (token, {**APP, "grant_type": "password", "authenticated_userid": "root", "provision_key": "x"}, key),
        (token, {**APP, "grant_type": "password", "provision_key": KEY},
         ("invalid_authenticated_userid", "Missing authenticated_userid parameter")),
        (authorize, {**asks, "authenticated_userid": "root"}, key),
        (authorize, {**asks, "provision_key": KEY},
         ("invalid_authenticated_userid", "Missing authenticated_userid parameter")),
        (authorize, {**asks, **USER, "client_id": "x"}, client),
    ]  # fmt: skip
    for path, form, expected in cases:
        assert _error(await post(path, form)) == expected, form
    evil = await post(authorize, asks, USER, redirect_uri="https://evil.example/")
    assert urlsplit(_told(evil, 400)["redirect_uri"]).hostname == "app.example"
    assert _sent(evil, 400)["error"] == "invalid_request"
    pair = base64.b64encode(b"app-1:other").decode()
    basic = await post(token, grant, headers=(("authorization", f"Basic {pair}"),))
    assert (_error(basic, 401), basic.header("www-authenticate")) == (client, 'Basic realm="OAuth2.0"')
    pair = base64.b64encode(b"app-1:hush").decode()
    _told(await post(token, grant, headers=(("authorization", f"Basic {pair}"),)))


async def _where_tokens_are_good(post: Post, get: Post) -> None:
    grant = {"grant_type": "client_credentials"}
    own = _told(await post("/api/oauth2/token", APP, grant))["access_token"]
    everywhere = _told(await post("/one/oauth2/token", APP, grant))["access_token"]
    assert _error(await get("/one", own), 401) == ("invalid_token", INVALID)
    assert (await get("/two", everywhere)).seen.headers["x-consumer-username"] == ["ann"]
    assert _error(await get("/api", everywhere), 401) == (
        "invalid_token",
        "The access token is global, but the current plugin is configured without 'global_credentials'",
    )
    stranger = (await get("/two", own, ("x-authenticated-userid", "root"))).seen.headers
    assert stranger["x-anonymous-consumer"] == ["true"]
    assert "x-authenticated-userid" not in stranger


def test_oauth2(tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=SERVERS.pem)

    async def run() -> None:
        async with gateway(MANIFESTS, tmp_path, listener="https") as port:

            async def post(
                path: str, *forms: dict[str, str], headers: tuple[tuple[str, str], ...] = (), **more: str
            ) -> Answer:
                form = {name: value for one in (*forms, more) for name, value in one.items()}
                kind = ("content-type", "application/x-www-form-urlencoded")
                body = urlencode(form).encode()
                return await send(port, Ask(path, "POST", (kind, *headers), body, tls=context))

            async def get(path: str, token: str | None = None, *headers: tuple[str, str]) -> Answer:
                shown = (("authorization", f"Bearer {token}"),) if token is not None else ()
                return await send(port, Ask(path, headers=(*shown, *headers), tls=context))

            for test in (_grants, _codes, _refusals, _where_tokens_are_good):
                await test(post, get)
        kept = (tmp_path / "oauth2.db").read_bytes() + (tmp_path / "oauth2.db-wal").read_bytes()
        assert b"user 7" in kept
        assert (tmp_path / "oauth2.db").stat().st_mode & 0o777 == 0o600

    asyncio.run(run())
