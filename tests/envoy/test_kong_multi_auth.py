"""Multi-auth with Envoy's own ways in and the bridge's on one route: all must agree, or one is enough."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path

import jwt
import pytest

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send
from tests.unit.bridge.hmac_signing import authorization

SECRET = "a secret that is long enough for HS256"
MANIFESTS = (
    consumer("ann", {"ann-jwt": ("jwt", {"key": "ann-iss", "secret": SECRET})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bobs"})})
    + consumer("carol", {"carol-login": ("basic-auth", {"username": "carol", "password": "pw"})})
    + consumer("dave", {"dave-signs": ("hmac-auth", {"username": "dave", "secret": "hush"})})
    + consumer("guest", {})
    + "".join(
        plugin(f"must-{kind}", f"{kind}-auth" if kind != "jwt" else kind, "{}")
        + plugin(f"may-{kind}", f"{kind}-auth" if kind != "jwt" else kind, "{anonymous: guest}")
        for kind in ("jwt", "key", "basic", "hmac")
    )
    + plugin("session", "session", "{secret: a secret that nobody else has at all}")
    + route("or", "session", "may-jwt", "may-key", "may-basic", "may-hmac")
    + route("and", "must-jwt", "must-key", "must-hmac")
    + route("mixed", "must-jwt", "may-key", "may-hmac")
    + route("bridged-must", "may-jwt", "may-key", "must-hmac")
)
Headers = tuple[tuple[str, str], ...]
TOKEN: Headers = (("authorization", f"Bearer {jwt.encode({'iss': 'ann-iss'}, SECRET, 'HS256')}"),)
BAD_TOKEN: Headers = (("authorization", f"Bearer {jwt.encode({'iss': 'ann-iss'}, SECRET * 2, 'HS256')}"),)
KEY: Headers = (("apikey", "bobs"),)
LOGIN: Headers = (("authorization", f"Basic {base64.b64encode(b'carol:pw').decode()}"),)


def _signed(path: str, secret: str = "hush") -> Headers:
    date = formatdate(usegmt=True)
    text = f"x-date: {date}\n@request-target: get {path}"
    signed = authorization("dave", secret, text, "x-date @request-target")
    return (("x-date", date), ("proxy-authorization", signed))


def _either() -> Mapping[str, tuple[Headers, str]]:
    good, bad = _signed("/or"), _signed("/or", "wrong")
    return {
        "nothing": ((), "guest"),
        "a token": (TOKEN, "ann"),
        "a key": (KEY, "bob"),
        "a password": (LOGIN, "carol"),
        "a signature": (good, "dave"),
        "nothing good": ((*BAD_TOKEN, ("apikey", "x"), *bad), "guest"),
        "all but the last are bad": ((*BAD_TOKEN, ("apikey", "x"), *good), "dave"),
        "all are good: the first in the order": ((*TOKEN, *KEY, *good), "ann"),
        "a key and a bad signature": ((*KEY, *bad), "bob"),
        "a claim to be somebody": ((("x-consumer-username", "ann"), ("x-consumer-id", "1")), "guest"),
    }  # fmt: skip


def _all() -> Mapping[str, tuple[Headers, str]]:
    good, bad = _signed("/and"), _signed("/and", "wrong")
    return {
        "all": ((*TOKEN, *KEY, *good), "dave"),
        "no token": ((*KEY, *good), "401 Unauthorized"),
        "no key": ((*TOKEN, *good), "401 No API key found in request"),
        "no signature": ((*TOKEN, *KEY), "401 HMAC signature cannot be verified, a valid date or x-date"),
        "a bad token": ((*BAD_TOKEN, *KEY, *good), "401 Invalid signature"),
        "a bad key": ((*TOKEN, ("apikey", "x"), *good), "401 Unauthorized"),
        "a bad signature": ((*TOKEN, *KEY, *bad), "401 HMAC signature does not match"),
    }  # fmt: skip


def _some() -> Mapping[str, tuple[str, Headers, str]]:
    good, bad = _signed("/mixed"), _signed("/mixed", "wrong")
    must, wrong = _signed("/bridged-must"), _signed("/bridged-must", "wrong")
    return {
        "the must alone": ("/mixed", TOKEN, "ann"),
        "the must with others": ("/mixed", (*TOKEN, *KEY, *good), "ann"),
        "the must with bad others": ("/mixed", (*TOKEN, ("apikey", "x"), *bad), "ann"),
        "others alone": ("/mixed", (*KEY, *good), "401 Unauthorized"),
        "a signature that must be": ("/bridged-must", must, "dave"),
        "others before it": ("/bridged-must", (*TOKEN, *must), "dave"),
        "others without it": ("/bridged-must", (*KEY, *wrong), "401 HMAC signature does not match"),
        "only others": ("/bridged-must", KEY, "401 Unauthorized"),
    }  # fmt: skip


def _outcome(answer: Answer) -> str:
    if answer.reached:
        seen = answer.seen.headers
        assert not [h for h in seen if h.startswith("x-meshgate")]
        stranger = seen.get("x-anonymous-consumer") == ["true"]
        (who,) = seen["x-consumer-username"]
        assert stranger is (who == "guest")
        return who
    return f"{answer.status} {json.loads(answer.body)['message']}"


@pytest.mark.envoy
def test_several_ways_in(tmp_path: Path) -> None:
    async def run() -> None:
        async with gateway(MANIFESTS, tmp_path) as port:

            async def outcome(path: str, headers: Headers) -> str:
                return _outcome(await send(port, Ask(path, headers=headers)))

            for name, (headers, expected) in _either().items():
                assert await outcome("/or", headers) == expected, name
            for name, (headers, expected) in _all().items():
                assert (await outcome("/and", headers)).startswith(expected), name
            for name, (path, headers, expected) in _some().items():
                assert (await outcome(path, headers)).startswith(expected), name
            await _session_after_each(port)

    asyncio.run(run())


async def _session_after_each(port: int) -> None:
    ways: Sequence[tuple[Headers, str]] = (
        (TOKEN, "ann"),
        (KEY, "bob"),
        (LOGIN, "carol"),
        (_signed("/or"), "dave"),
    )
    for headers, who in ways:
        first = await send(port, Ask("/or", headers=headers))
        cookie = (first.header("set-cookie") or "").partition(";")[0]
        again = await send(port, Ask("/or", headers=(("cookie", cookie),)))
        assert _outcome(again) == who
        for name in ("x-consumer-id", "x-credential-identifier"):
            assert again.seen.headers[name] == first.seen.headers[name]
