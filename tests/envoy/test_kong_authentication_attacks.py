"""What attackers try against authentication, with a real Envoy and a real bridge: none of it lets them in,
and nothing that they say of themselves reaches the service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import encode

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send
from tests.openid_provider import CLIENT, SECRET, Provider, providing

pytestmark = pytest.mark.envoy
Get = Callable[..., Awaitable[Answer]]

GUARDED = ("key", "hmac", "oidc", "oauth", "login", "both", "either")
IDENTITY = (
    "x-consumer-id",
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-anonymous-consumer",
    "x-authenticated-groups",
    "x-meshgate-groups",
    "x-meshgate-group-names",
    "x-meshgate-variant",
    "x-meshgate-anonymous",
    "x-meshgate-jwt-credential",
    "x-meshgate-key-credential",
    "x-meshgate-basic-credential",
)
PATHS = (
    "/{}", "//{}", "///{}//", "/./{}", "/open/../{}", "/%2e%2e/{}", "/.%2e/{}", "/open/..;/{}",
    "/open/%2e%2e/{}", "/open%2f..%2f{}", "/open/..%2f{}", "/{}%2f", "/{}%5c", "/open%5c..%5c{}",
    "/open\\..\\{}", "/\\{}", "\\{}", "/{}#x", "/{}?x", "/{}/;x", "/{}%00", "/{}\x80",
    "http://shop.example/{}", "http://other.example//{}", "{}", "*", "/%2f{}",
    "/%252f/../{}", "/x/%2E%2E/{}", "/{}/.", "/{}/..;/", "/{}/%2e",
)  # fmt: skip


def _manifests(issuer: str) -> str:
    client = f"issuer: '{issuer}', client_id: [{CLIENT}], client_secret: [{json.dumps(SECRET)}]"
    return (
        plugin("key", "key-auth", "{}")
        + plugin("key-or", "key-auth", "{anonymous: guest}")
        + plugin("hmac", "hmac-auth", "{}")
        + plugin("oauth", "oauth2", "{enable_client_credentials: true}")
        + plugin("oauth-or", "oauth2", "{enable_client_credentials: true, anonymous: guest}")
        + plugin(
            "oidc",
            "openid-connect",
            f"{{issuer: '{issuer}', auth_methods: [bearer], authenticated_groups_claim: [groups], "
            "upstream_headers_names: [x-name], upstream_headers_claims: [name]}",
        )
        + plugin(
            "login", "openid-connect", f"{{{client}, auth_methods: [authorization_code, session, bearer]}}"
        )
        + plugin(
            "either", "openid-connect", f"{{issuer: '{issuer}', auth_methods: [bearer], anonymous: guest}}"
        )
        + plugin("body", "key-auth", "{key_in_body: true}")
        + route("body", "body")
        + plugin("staff", "acl", "{allow: [staff]}")
        + "".join(route(name, name) for name in ("key", "hmac", "oidc", "oauth", "login"))
        + route("both", "key", "oidc")
        + route("either", "key-or", "oauth-or", "either", "staff")
        + route("guests", "key-or", "oauth-or", "either")
        + route("open").replace("path: /open", "path: /")
        + consumer("ann", {"ann-key": ("key-auth", {"key": "anns"})})
        + consumer("guest", {})
    )


def test_attacks(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            providing() as provider,
            gateway(_manifests(provider.issuer), tmp_path, lasts_s=60) as port,
        ):

            async def get(path: str, *headers: tuple[str, str], method: str = "GET") -> Answer:
                return await send(port, Ask(path, method, headers))

            for test in (_paths, _other_protocols, _what_clients_say, _claims, _addresses_in_tokens, _sizes):
                provider.reset()
                await test(provider, get)

    asyncio.run(run())


def _meant(path: str) -> str:
    """What a service may take the path for: decoded once, slashes merged, dots resolved."""
    found: list[str] = []
    for part in unquote(urlsplit("http://x" + path).path).replace("\\", "/").split("/"):
        if part == "..":
            found = found[:-1]
        elif part not in ("", "."):
            found.append(part)
    return "/" + "/".join(found)


async def _paths(provider: Provider, get: Get) -> None:
    """No spelling of a guarded path gets to the service by the open route before all."""
    for name in GUARDED:
        for spelled in PATHS:
            answer = await get(spelled.format(name))
            if answer.reached:
                assert not _meant(answer.seen.path).startswith(f"/{name}"), (spelled, answer.seen.path)
            elif answer.status in (301, 302, 307, 308):
                target = answer.header("location") or ""
                # To the same path in plain, or to log in; never to another host that the path names.
                assert target.startswith(("/", f"{provider.issuer}/authorize?")), (spelled, target)
                assert not target.startswith(("//", "/\\")), (spelled, target)
    for spelled in (
        "/%2fevil.example",
        "/%5cevil.example",
        "/a%2f..%2f%2fevil.example",
        "/%2f%2fevil.example",
    ):
        target = (await get(spelled)).header("location") or ""
        assert target == "/evil.example", (spelled, target)


async def _other_protocols(provider: Provider, get: Get) -> None:
    websocket = (
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    )
    h2c = (("upgrade", "h2c"), ("connection", "Upgrade, HTTP2-Settings"), ("http2-settings", "AAMAAABk"))
    for name in GUARDED:
        for headers in (websocket, h2c, (("upgrade", "TLS/1.0"), ("connection", "Upgrade"))):
            answer = await get(f"/{name}", *headers)
            assert answer.status in (302, 401, 403), (name, headers, answer)
        for method in ("TRACE", "OPTIONS", "HEAD", "PROPFIND", "POST", "get", "CONNECT"):
            answer = await get(f"/{name}", method=method)
            assert not answer.reached, (name, method)
            assert answer.status >= 300, (name, method)
    for target in ("shop.example:80", "127.0.0.1:80", "/key"):
        assert (await get(target, method="CONNECT")).status in (400, 404)


async def _what_clients_say(provider: Provider, get: Get) -> None:
    """Identity is the gateway's to say: on open routes, to strangers and to who is known."""
    forged = [
        (spelled, "root") for name in IDENTITY for spelled in (name, name.title(), name.replace("-", "_"))
    ]
    nominated = ("connection", "close, x-consumer-id, x-consumer-username")
    token = ("authorization", f"Bearer {provider.token(name='Ann')}")
    cases: tuple[tuple[str, tuple[tuple[str, str], ...], str | None, int], ...] = (
        ("/free", (), None, 200),
        ("/key", (("apikey", "anns"),), "ann", 200),
        ("/key", (), None, 401),
        ("/oidc", (token,), None, 200),
        ("/oidc", (), None, 401),
        ("/hmac", (), None, 401),
        ("/key", (("x-meshgate-body-key", "anns"),), None, 401),
        ("/body", (("x-meshgate-body-key", "anns"),), None, 401),
        ("/both", (token,), None, 401),
        ("/both", (("apikey", "anns"),), None, 401),
        ("/guests", (), "guest", 200),
        ("/guests", (("apikey", "wrong"), ("authorization", "Bearer wrong")), "guest", 200),
        ("/guests", (("apikey", "anns"), ("authorization", "Bearer wrong")), "ann", 200),
        ("/either", (), None, 401),
        ("/either", (("apikey", "anns"),), None, 403),
    )
    for path, own, name, status in cases:
        for headers in (tuple(forged), (*forged, nominated)):
            for _ in range(2):
                answer = await get(path, *headers, *own)
                assert answer.status == status, (path, own, answer)
                if not answer.reached:
                    continue
                seen = answer.seen.headers
                assert seen.get("x-consumer-username") == ([name] if name else None), (path, own)
                said = [(n, v) for n, v in seen.items() if n in IDENTITY and "root" in "".join(v)]
                assert not said, (path, said)
                assert not [n for n in seen if n.startswith("x-meshgate") or "_" in n]
    # What a plugin tells besides is its own on its routes.
    assert (await get("/oidc", token, ("x-name", "root"))).seen.headers["x-name"] == ["Ann"]
    own = (("x-authenticated-userid", "root"), ("X-Authenticated-Scope", "all"))
    for headers in ((token,), (("apikey", "anns"),), ()):
        seen = (await get("/guests", *headers, *own)).seen.headers
        assert not {"x-authenticated-userid", "x-authenticated-scope"} & set(seen)


async def _claims(provider: Provider, get: Get) -> None:
    """What a provider's users can call themselves is no header of ours, said by the bridge or repeated."""
    nested: object = "x"
    for _ in range(900):
        nested = [nested]
    for claims in (
        {"name": "a\r\nx-injected: 1", "groups": ["a\r\nx-injected: 1"]},
        {"name": "a\nx-injected: 1", "groups": ["a\nx-injected: 1"]},
        {"name": "\0root", "groups": ["\0root"]},
        {"name": "\x7f", "groups": ["\x1b[2J"]},
        {"name": nested, "groups": [nested]},
        {"name": {"a": "\r\n"}, "groups": {"a": 1}},
        {"name": "x" * 10_000, "groups": "a\u2028b"},
        {"sub": "a\r\nx-injected: 1"},
    ):
        token = ("authorization", f"Bearer {provider.token(**claims)}")
        answers = [await get("/oidc", token), await get("/oidc", token)]
        assert answers[0].status == answers[1].status, (claims, answers)
        assert answers[0].status in (200, 401, 500), (claims, answers)
        for answer in answers:
            if answer.reached:
                seen = answer.seen.headers
                assert "x-injected" not in seen
                assert seen.get("x-authenticated-groups") == answers[0].seen.headers.get(
                    "x-authenticated-groups"
                )
                assert not any(ord(c) < 32 for values in seen.values() for value in values for c in value)
    odd = ("authorization", f"Bearer {provider.token(groups=[chr(0xD800)])}")
    assert [(await get("/oidc", odd)).status for _ in range(2)] == [500, 500]
    assert (await get("/oidc", ("authorization", f"Bearer {provider.token()}"))).reached


async def _addresses_in_tokens(provider: Provider, get: Get) -> None:
    """Keys are the provider's: no address that a token names is asked."""
    asked: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {"iss": provider.issuer, "sub": "root", "exp": 2**40}
    for header in (
        {"jku": url},
        {"x5u": url, "kid": "new"},
        {"jku": url, "kid": url},
        {"kid": provider.kid, "x5c": ["AAAA"]},
        {"kid": "../../../../etc/passwd"},
    ):
        token = encode(claims, own, algorithm="RS256", headers=header)
        assert (await get("/oidc", ("authorization", f"Bearer {token}"))).status == 401
    for issuer in (url, f"{url}/.well-known/openid-configuration"):
        token = encode({**claims, "iss": issuer}, own, algorithm="RS256")
        assert (await get("/oidc", ("authorization", f"Bearer {token}"))).status == 401
    assert (await get("/oidc", ("authorization", f"Bearer {provider.signed({'jku': url})}"))).reached
    server.close()
    assert not asked


async def _sizes(provider: Provider, get: Get) -> None:
    for name in GUARDED:
        for headers in (
            (("authorization", f"Bearer {'x' * 50_000}"),),
            (("authorization", "Bearer " + "." * 30_000),),
            (("authorization", f"Basic {'A' * 50_000}"),),
            (("apikey", "x" * 50_000),),
            (("cookie", "; ".join(f"c{i}=1" for i in range(6_000))),),
            (
                (
                    "cookie",
                    f"session=9.{'A' * 3_000}; "
                    + "; ".join(f"session{i}={'A' * 3_000}" for i in range(2, 10)),
                ),
            ),
            tuple((f"x-h{i}", "1") for i in range(150)),
        ):
            answer = await get(f"/{name}", *headers)
            assert answer.status in (302, 401, 403, 431), (name, headers[0][0], answer)
