"""Who is no consumer any more comes in by nothing: no key, token, password, signature or session, on old
and new connections, whatever anybody has remembered."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import ExitStack, closing
from email.utils import formatdate
from pathlib import Path

import jwt
import pytest

from tests.e2e.clients import Answer, Client
from tests.e2e.harness import running
from tests.e2e.waiting import until
from tests.envoy.kong_edge import consumer, plugin, route

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

SECRET = "only for this test, 32 bytes long"
NAMES = ("key", "jwt", "basic", "hmac", "session")
ANN = consumer(
    "ann",
    {
        "ann-key": ("key-auth", {"key": "anns-key"}),
        "ann-jwt": ("jwt", {"key": "ann", "algorithm": "HS256", "secret": SECRET}),
        "ann-basic": ("basic-auth", {"username": "ann", "password": "open"}),
        "ann-hmac": ("hmac-auth", {"username": "ann", "secret": SECRET}),
    },
)
MANIFESTS = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {ports: [{name: http, port: 80}]}\n"
    + plugin("answer", "request-termination", "{status_code: 200, message: served}")
    + plugin("key", "key-auth", "{}")
    + plugin("jwt", "jwt", "{}")
    + plugin("basic", "basic-auth", "{}")
    + plugin("hmac", "hmac-auth", "{}")
    + plugin("maybe", "key-auth", "{anonymous: guest}")
    + plugin("kept", "session", f"{{secret: '{'s' * 32}', cookie_secure: false}}")
    + plugin("known", "acl", "{deny: [strangers]}")
    + "".join(route(name, name, "answer") for name in NAMES[:-1])
    + route("session", "maybe", "kept", "known", "answer")
    + consumer("guest", {"guest-group": ("acl", {"group": "strangers"})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bobs-key"})})
)


def _headers(name: str, cookie: str) -> tuple[tuple[str, str], ...]:
    match name:
        case "key":
            return (("apikey", "anns-key"),)
        case "jwt":
            return (("authorization", f"Bearer {jwt.encode({'iss': 'ann'}, SECRET, 'HS256')}"),)
        case "basic":
            return (("authorization", f"Basic {base64.b64encode(b'ann:open').decode()}"),)
        case "hmac":
            date = formatdate(usegmt=True)
            digest = hmac.new(SECRET.encode(), f"date: {date}".encode(), hashlib.sha256).digest()
            signature = base64.b64encode(digest).decode()
            said = f'algorithm="hmac-sha256", headers="date", signature="{signature}"'
            return (("date", date), ("authorization", f'hmac username="ann", {said}'))
        case _:
            return (("cookie", cookie),)


def test_who_is_withdrawn_comes_in_by_nothing(tmp_path: Path) -> None:
    manifests = tmp_path / "shop.yaml"
    manifests.write_text(MANIFESTS + ANN)
    with running(tmp_path / "state", [manifests], "ports") as meshgate:

        def client() -> Client:
            return meshgate.client("shop.example")

        def fresh(name: str, cookie: str) -> int:
            with closing(client()) as one:
                return one.ask(f"/{name}", _headers(name, cookie)).status

        with ExitStack() as stack:
            kept = {name: stack.enter_context(closing(client())) for name in NAMES}
            begun = until(lambda: _begun(kept["session"]), "a session")
            cookie = (begun.header("set-cookie") or "").partition(";")[0]
            for name in NAMES:
                until(lambda: kept[name].ask(f"/{name}", _headers(name, cookie)).status == 200, name)  # noqa: B023
            manifests.write_text(MANIFESTS)
            for name in NAMES:
                wanted = 403 if name == "session" else 401
                # Filters and routes come one after the other, and so does what each way in is judged by.
                until(lambda: fresh(name, cookie) == wanted, f"{name}: ann is gone")  # noqa: B023
                refused = until(lambda: _last(kept[name], name, cookie), f"an end of {name}")  # noqa: B023
                assert refused.status == wanted, name
            assert kept["key"].ask("/key", (("apikey", "bobs-key"),)).status == 200


def _begun(client: Client) -> Answer | None:
    answer = client.ask("/session", (("apikey", "anns-key"),))
    return answer if answer.status == 200 else None


def _last(client: Client, name: str, cookie: str) -> Answer | None:
    """The answer on a connection from before; one request on it may be decided by the old rules."""
    answer = client.ask(f"/{name}", _headers(name, cookie))
    if answer.status == 200:
        if answer.header("connection") != "close":
            return None  # its worker has not heard of it
        answer = client.ask(f"/{name}", _headers(name, cookie))
    return answer if answer.status else None
