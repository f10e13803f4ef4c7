"""Kong's `openid-connect` for programs: tokens and passwords of a provider, against a real Envoy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send
from tests.openid_provider import CLIENT, SECRET, Provider, providing

pytestmark = pytest.mark.envoy
Get = Callable[..., Awaitable[Answer]]


def _manifests(issuer: str) -> str:
    """One route for each way in."""
    client = f"client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"

    def oidc(name: str, rest: str) -> str:
        return plugin(name, "openid-connect", f"{{issuer: '{issuer}', {rest}}}") + route(name, name)

    return (
        oidc("bearer", "auth_methods: [bearer], rediscovery_lifetime: 0.2")
        + oidc("late", "auth_methods: [bearer], rediscovery_lifetime: 0.1")
        + oidc("shown", "auth_methods: [bearer], display_errors: true")
        + oidc("audience", "auth_methods: [bearer], audience_required: [api]")
        + oidc(
            "scopes",
            "auth_methods: [bearer], scopes_required: [read write, admin], forbidden_error_message: Never",
        )
        + oidc("nested", "auth_methods: [bearer], roles_claim: [realm, roles], roles_required: [boss]")
        + oidc("forbids", "auth_methods: [bearer], claims_forbidden: [test]")
        + oidc(
            "consumer",
            "auth_methods: [bearer], consumer_claim: [preferred_username], consumer_by: [username], "
            "upstream_headers_names: [x-mail, x-roles], upstream_headers_claims: [email, roles], "
            "hide_credentials: true, upstream_access_token_header: null",
        )
        + oidc(
            "optional",
            "auth_methods: [bearer], consumer_claim: [preferred_username], consumer_optional: true, "
            "authenticated_groups_claim: [groups], downstream_headers_names: [x-who], "
            "downstream_headers_claims: [sub]",
        )
        + oidc(
            "strangers",
            "auth_methods: [bearer], anonymous: guest, upstream_headers: [{header: X-User, path: [sub]}]",
        )
        + oidc(
            "cookie",
            "auth_methods: [bearer], bearer_token_param_type: [cookie, body], bearer_token_cookie_name: tok",
        )
        + oidc("opaque", f"auth_methods: [introspection], {client}, credential_claim: [client_id]")
        + oidc("both", f"auth_methods: [bearer], {client}, introspect_jwt_tokens: true")
        + oidc("userinfo", "auth_methods: [userinfo], upstream_user_info_header: x-user-info")
        + oidc(
            "password",
            f"auth_methods: [password, session], {client}, client_auth: [client_secret_post], "
            "upstream_user_info_header: x-user-info",
        )
        + oidc("client", "auth_methods: [client_credentials]")
        + oidc("assertion", f"auth_methods: [password], {client}, client_auth: [client_secret_jwt]")
        + oidc("preflight", "auth_methods: [bearer], run_on_preflight: false")
        + oidc(
            "elsewhere",
            f"auth_methods: [bearer], {client}, unauthorized_redirect_uri: ['https://shop.example/help']",
        )
        + oidc("shared", f"auth_methods: [bearer], {client}, enable_hs_signatures: true")
        + consumer("ann", {})
        + consumer("guest", {})
        + plugin("staff", "acl", "{allow: ['night shift']}")
        + route("staff", "optional", "staff")
        + plugin("said", "acl", "{allow: ['night shift'], always_use_authenticated_groups: true}")
        + route("said", "optional", "said")
        + plugin("unsaid", "acl", "{deny: ['night shift'], always_use_authenticated_groups: true}")
        + route("unsaid", "optional", "unsaid")
        + plugin("denies", "acl", "{deny: ['night shift']}")
        + route("denies", "optional", "denies")
        + route("alone", "bearer", "denies")
        + route("guests", "strangers", "staff")
        + route("guests-too", "strangers", "denies")
    )


def test_tokens_and_passwords(tmp_path: Path) -> None:
    tests = (
        _tokens,
        _tokens_that_are_not_good,
        _what_a_token_must_say,
        _whose_token_it_is,
        _what_only_the_provider_knows,
        _new_keys_and_a_provider_that_is_away,
    )

    async def run() -> None:
        async with providing() as provider, gateway(_manifests(provider.issuer), tmp_path) as port:

            async def get(
                path: str,
                token: str | None = None,
                *headers: tuple[str, str],
                method: str = "GET",
                body: bytes = b"",
            ) -> Answer:
                shown = (("authorization", f"Bearer {token}"),) if token is not None else ()
                asking = Ask(path, method, (*shown, *headers), body)
                answer = await send(port, asking)
                # A provider that was away may be back a moment later.
                if token is not None and answer.status != 500:
                    # What Envoy repeats of the bridge's word must be no other answer.
                    assert _told(await send(port, asking)) == _told(answer)
                return answer

            for test in tests:
                provider.reset()
                await test(provider, get)

    asyncio.run(run())


_EACH_ITS_OWN = {"x-request-id", "x-envoy-upstream-service-time", "date", "x-kong-request-id"}


def _told(answer: Answer) -> object:
    """All of an answer, and of what the service saw, that is not another for each request."""
    if answer.reached:
        seen = answer.seen
        body: object = (seen.method, seen.path, seen.body, _without(seen.headers))
    else:
        body = re.sub(r'"request_id":"[^"]*"', "", answer.body)
    return answer.status, _without({name: list(values) for name, values in answer.headers.items()}), body


def _without(headers: dict[str, list[str]]) -> dict[str, list[str]]:
    # The length of the service's answer changes with the ids in it.
    return {
        name: values for name, values in headers.items() if name not in _EACH_ITS_OWN | {"content-length"}
    }


def _part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _made(header: dict[str, object], claims: dict[str, object], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{_part(sign(signed.encode()))}"


async def _tokens(provider: Provider, get: Get) -> None:
    good = provider.token()
    answer = await get("/bearer", good, ("x-consumer-username", "root"), ("x-authenticated-groups", "root"))
    seen = answer.seen.headers
    assert seen["authorization"] == [f"Bearer {good}"]
    assert seen["x-credential-identifier"] == ["user-7"]
    assert "x-consumer-username" not in seen
    assert "x-authenticated-groups" not in seen

    nobody = await get("/bearer")
    assert (nobody.status, json.loads(nobody.body)) == (401, {"message": "Unauthorized"})
    assert nobody.header("www-authenticate") == 'Bearer realm="127.0.0.1"'

    query = await get(f"/bearer?access_token={good}&a=1")
    assert query.seen.headers["authorization"] == [f"Bearer {good}"]
    assert (await get("/bearer", None, ("x-access-token", good))).reached
    assert (await get("/cookie", None, ("cookie", f"tok={good}"))).reached
    form = (("content-type", "application/x-www-form-urlencoded"),)
    posted = await get("/cookie", None, *form, method="POST", body=f"access_token={good}".encode())
    assert posted.seen.body == f"access_token={good}"
    long = await get("/cookie", good, *form, method="POST", body=b"x" * 200_000)
    assert long.status == 401  # headers are not looked at here, and the body was no form

    assert (await get("/shared", _shared(provider))).reached


def _shared(provider: Provider) -> str:
    claims = {"iss": provider.issuer, "sub": "a", "exp": int(time.time()) + 60}
    return jwt.encode(claims, SECRET, algorithm="HS256")


async def _tokens_that_are_not_good(provider: Provider, get: Get) -> None:
    now = int(time.time())
    claims: dict[str, object] = {"iss": provider.issuer, "sub": "a", "exp": now + 600}
    pem = provider.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    good = provider.token()
    head, body, signature = good.split(".")
    url = f"{provider.issuer}/jwks"

    def by_other(header: dict[str, object]) -> str:
        return jwt.encode(claims, other, algorithm="RS256", headers=header)

    def by_pem(signed: bytes) -> bytes:
        return hmac.digest(pem, signed, hashlib.sha256)

    bad = {
        "none": _made({"alg": "none", "typ": "JWT"}, claims, lambda _: b""),
        "NONE": _made({"alg": "nOnE", "kid": provider.kid}, claims, lambda _: b""),
        "no signature": f"{head}.{body}.",
        "confusion": _made({"alg": "HS256", "kid": provider.kid}, claims, by_pem),
        "shared secret": _shared(provider),
        "changed": f"{head}.{_part({**claims, 'sub': 'root'})}.{signature}",
        "unknown key": by_other({"kid": "other"}),
        "another's key under a known name": by_other({"kid": provider.kid}),
        "own key": by_other({"kid": provider.kid, "jwk": own}),
        "own address": by_other({"kid": provider.kid, "jku": url, "x5u": url}),
        "path": by_other({"kid": "../../../../dev/null"}),
        "statement": by_other({"kid": "x' UNION SELECT 'key"}),
        "number": provider.signed({"crit": ["exp"], "exp": 1}),
        "b64": provider.signed({"b64": False}),
        "logout": provider.signed({"typ": "logout+jwt"}),
        "ended": provider.token(exp=now - 1),
        "no end": provider.token(exp=None),
        "end as text": provider.token(exp=str(now + 600)),
        "not yet": provider.token(nbf=now + 60),
        "future": provider.token(iat=now + 3600),
        "issuer": provider.token(iss="https://other.example"),
        "no issuer": provider.token(iss=None),
        "twice": _made({"alg": "RS256", "kid": provider.kid}, claims, lambda _: b"").replace(
            _part(claims), _part(b'{"iss":"a","iss":"b"}')
        ),
        "huge": provider.token(filling="x" * 17_000),
        "words": "not.a.token",
        "one": "opaque",
        "empty": "",
    }
    for name, token in bad.items():
        answer = await get("/bearer", token)
        assert (answer.status, json.loads(answer.body)) == (401, {"message": "Unauthorized"}), name
        expected = 'Bearer realm="127.0.0.1", error="invalid_token"'
        assert answer.header("www-authenticate") == (expected if token else 'Bearer realm="127.0.0.1"'), name
    two = [
        await get("/bearer", good, ("authorization", f"Bearer {provider.token(sub='b')}")),
        await get("/bearer", good, ("x-access-token", provider.token(sub="b"))),
        await get(f"/bearer?access_token={provider.token(sub='b')}", good),
    ]
    assert [answer.status for answer in two] == [401, 401, 401]
    assert (await get("/bearer", good, ("access-token", good))).reached
    reasons = [
        json.loads((await get("/shown", bad[name])).body)["message"]
        for name in ("none", "ended", "confusion", "issuer")
    ]
    assert reasons == [
        "Unauthorized (the token's algorithm is not accepted)",
        "Unauthorized (the token has expired)",
        "Unauthorized (no known key made the token's signature)",
        "Unauthorized (the token is of another issuer)",
    ]


async def _what_a_token_must_say(provider: Provider, get: Get) -> None:
    for path, claims, status in (
        ("/audience", {"aud": "api"}, 200),
        ("/audience", {"aud": ["other", "api"]}, 200),
        ("/audience", {"aud": "apis"}, 403),
        ("/audience", {"aud": ["other"]}, 403),
        ("/audience", {}, 403),
        ("/scopes", {"scope": "write openid read"}, 200),
        ("/scopes", {"scope": ["admin"]}, 200),
        ("/scopes", {"scope": "read"}, 403),
        ("/scopes", {"scope": "administrator"}, 403),
        ("/nested", {"realm": {"roles": ["boss"]}}, 200),
        ("/nested", {"roles": ["boss"]}, 403),
        ("/nested", {"realm": "boss"}, 403),
        ("/forbids", {}, 200),
        ("/forbids", {"test": False}, 403),
    ):
        answer = await get(path, provider.token(**claims))
        assert answer.status == status, (path, claims)
    forbidden = await get("/scopes", provider.token())
    assert json.loads(forbidden.body) == {"message": "Never"}
    assert forbidden.header("www-authenticate") == 'Bearer realm="127.0.0.1", error="insufficient_scope"'


async def _whose_token_it_is(provider: Provider, get: Get) -> None:
    mail = {"email": "ann@shop.example", "roles": ["a", "b"]}
    known = await get("/consumer", provider.token(preferred_username="ann", **mail))
    seen = known.seen.headers
    assert seen["x-consumer-username"] == ["ann"]
    assert (seen["x-mail"], seen["x-roles"]) == (["ann@shop.example"], ["a, b"])
    assert "authorization" not in seen

    bare = await get("/consumer", provider.token(preferred_username="ann"), ("x-mail", "root@shop.example"))
    assert "x-mail" not in bare.seen.headers
    unknown = await get("/consumer", provider.token(preferred_username="eve"))
    assert (unknown.status, json.loads(unknown.body)) == (403, {"message": "Forbidden"})

    free = await get("/optional", provider.token(preferred_username="eve", groups=["night shift"]))
    assert free.seen.headers["x-authenticated-groups"] == ["night shift"]
    assert free.header("x-who") == "user-7"
    assert (await get("/staff", provider.token(groups=["night shift"]))).reached
    assert (await get("/staff", provider.token(groups=["day shift"]))).status == 403
    assert (await get("/staff", provider.token(preferred_username="ann"))).status == 403
    # A consumer's own groups count, not what her token says, unless acl is told so.
    both = {"preferred_username": "ann", "groups": ["night shift", "&", "!"]}
    other = {"preferred_username": "ann", "groups": ["&night shift", ",night shift,"]}
    for path, claims, status in (
        ("/staff", both, 403),
        ("/said", both, 200),
        ("/said", other, 403),
        ("/said", {"groups": ["night shift"]}, 200),
        ("/said", {}, 403),
        ("/said", {"preferred_username": "ann", "groups": []}, 403),
        ("/unsaid", both, 403),
        ("/unsaid", other, 200),
        ("/denies", both, 200),
        ("/denies", {"groups": ["night shift"]}, 403),
        ("/alone", {}, 403),
    ):
        answer = await get(path, provider.token(**claims))
        assert answer.status == status, (path, claims, answer)
        assert answer.reached or answer.message == "You cannot consume this service"
    for path, token, status in (
        ("/guests", None, 401),
        ("/guests", provider.token(), 403),
        ("/guests-too", None, 200),
    ):
        assert (await get(path, token)).status == status, path

    stranger = await get("/strangers", None, ("x-user", "root"))
    assert "x-user" not in stranger.seen.headers
    assert stranger.seen.headers["x-anonymous-consumer"] == ["true"]
    assert stranger.seen.headers["x-consumer-username"] == ["guest"]
    assert (await get("/strangers", "opaque")).seen.headers["x-consumer-username"] == ["guest"]
    assert "x-anonymous-consumer" not in (await get("/strangers", provider.token())).seen.headers

    asks = (("origin", "https://a.example"), ("access-control-request-method", "GET"))
    assert (await get("/preflight", None, *asks, method="OPTIONS")).reached
    assert (await get("/preflight", None, method="OPTIONS")).status == 401
    away = await get("/elsewhere")
    assert (away.status, away.header("location")) == (302, "https://shop.example/help")


async def _what_only_the_provider_knows(provider: Provider, get: Get) -> None:
    now = int(time.time())
    provider.opaque["known"] = {"active": True, "client_id": "robot", "exp": now + 60}
    provider.opaque["gone"] = {"active": True, "exp": now - 1}
    signed = provider.token()
    answer = await get("/opaque", "known")
    assert answer.seen.headers["x-credential-identifier"] == ["robot"]
    assert (await get("/opaque", "known")).reached
    assert provider.asked["/introspect"] == 1
    assert (await get("/opaque", "gone")).status == 401
    assert (await get("/opaque", "other")).status == 401

    assert (await get("/both", signed)).status == 401
    provider.opaque[signed] = {"active": True}
    assert (await get("/both", signed)).reached

    told = (await get("/userinfo", "known")).seen.headers
    assert json.loads(base64.b64decode(told["x-user-info"][0]))["preferred_username"] == "bob"
    assert (await get("/userinfo", "other")).status == 401

    basic = ("authorization", f"Basic {base64.b64encode(b'ann:secret').decode()}")
    first = await get("/password", None, basic)
    told = first.seen.headers
    assert told["authorization"][0].startswith("Bearer ey")
    assert json.loads(base64.b64decode(told["x-user-info"][0]))["email"] == "ann@shop.example"
    session = first.headers["set-cookie"][0].partition(";")[0]
    asked = provider.asked["/token"]
    again = await get("/password", None, ("cookie", f"theirs=1; {session}"))
    assert again.seen.headers["cookie"] == ["theirs=1"]
    assert (await get("/password", None, basic)).reached
    assert provider.asked["/token"] == asked
    wrong = ("authorization", f"Basic {base64.b64encode(b'ann:other').decode()}")
    assert (await get("/password", None, wrong)).status == 401
    assert (await get("/assertion", None, basic)).reached

    pair = base64.b64encode(f"robot:{SECRET}".encode()).decode()
    robot = await get("/client", None, ("authorization", f"Basic {pair}"))
    assert robot.seen.headers["x-credential-identifier"] == ["robot"]
    assert provider.posted[-1]["grant_type"] == "client_credentials"


async def _new_keys_and_a_provider_that_is_away(provider: Provider, get: Get) -> None:
    provider.down = True
    away = await get("/late", provider.token())
    assert (away.status, json.loads(away.body)) == (500, {"message": "An unexpected error occurred"})
    assert (await get("/late")).status == 401
    provider.down = False
    async with asyncio.timeout(10):
        while (await get("/late", provider.token())).status != 200:
            await asyncio.sleep(0.05)
    old = provider.token(jti="old")
    asked = provider.asked["/jwks"]
    provider.key = 1
    async with asyncio.timeout(10):
        while (await get("/bearer", provider.token())).status != 200:
            await asyncio.sleep(0.05)
    assert (await get("/bearer", old)).status == 401
    assert provider.asked["/jwks"] > asked
    provider.down = True
    assert (await get("/bearer", provider.token())).reached
