"""Tokens before a real Envoy: keys that are fetched, and what the service is told."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.envoy.decision_cases import PLAIN, allow, case, source, to, tokens
from tests.envoy.decisions import KEY_SET, Echo, Mesh, Reply, Request, bearer, running

pytestmark = pytest.mark.envoy

SIGNED = bearer(PLAIN, sub="me", groups=["dev"])
FORGED = (("x-payload", "forged"), ("x-sub", "root"), ("X-Groups", "admin"), ("x-sub", "root2"))


@pytest.fixture(scope="module")
def app() -> Iterator[Echo]:
    echo = Echo()
    echo.pages |= {"/good": (200, KEY_SET), "/failing": (500, KEY_SET), "/broken": (200, "no keys")}
    yield echo
    echo.close()


ODD_KEYS: tuple[dict[str, object], ...] = (
    {"kty": "RSA"},
    {"kty": "what"},
    {"kty": "oct", "k": ""},
    {"kty": "oct", "k": "%%%", "alg": "HS256"},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    {"kty": 7, "n": []},
    {"kty": "EC", "crv": "P-256K", "x": "AA", "y": "AA"},
    {"kty": "oct", "k": "c2hhcmVk", "alg": "RS256"},
    {"kty": "OKP", "crv": "X25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
)


def _public() -> Iterator[dict[str, object]]:
    numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    yield {"kty": "RSA", "n": _number(numbers.n, 256), "e": "AQAB", "alg": "RS256", "kid": "a", "use": "sig"}
    for curve, name, size in (
        (ec.SECP256R1(), "P-256", 32),
        (ec.SECP384R1(), "P-384", 48),
        (ec.SECP521R1(), "P-521", 66),
    ):
        point = ec.generate_private_key(curve).public_key().public_numbers()
        yield {"kty": "EC", "crv": name, "x": _number(point.x, size), "y": _number(point.y, size)}
    edwards = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    yield {"kty": "OKP", "crv": "Ed25519", "x": _number(int.from_bytes(edwards, "big"), 32)}
    yield {"kty": "oct", "k": "c2hhcmVk"}
    yield {"kty": "oct", "k": "c2hhcmVkMQ==", "alg": "HS512"}


def _number(value: int, size: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


PUBLIC_KEYS = tuple(_public())


@pytest.fixture(scope="module")
def nobody() -> Iterator[int]:
    """A port that is taken and where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture(scope="module")
def mesh(app: Echo, nobody: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    def fetched(name: str, url: str) -> tuple[str, str]:
        return name, tokens(f"jwksUri: '{url}', timeout: 2s")

    remote = dict(
        (
            fetched("good", f"http://127.0.0.1:{app.port}/good"),
            fetched("failing", f"http://127.0.0.1:{app.port}/failing"),
            fetched("broken", f"http://127.0.0.1:{app.port}/broken"),
            fetched("nobody", f"http://127.0.0.1:{nobody}/good"),
            fetched("ours", "http://api.shop.svc.cluster.local/good"),
        )
    )
    # Each kind of key that the dialect lets pass is one that Envoy takes; the others are left out.
    mixed = json.dumps({"keys": [*ODD_KEYS, *PUBLIC_KEYS, *json.loads(KEY_SET)["keys"]]})
    remote["mixed"] = tokens().replace(KEY_SET, mixed)
    for index, key in enumerate(PUBLIC_KEYS):
        remote[f"public-{index}"] = tokens().replace(KEY_SET, json.dumps({"keys": [key]}))
    # A second issuer with keys of its own: they must not serve for the one whose fetch fails.
    known = tokens(issuer="https://known.test")
    outputs = (
        "outputPayloadToHeader: x-payload, outputClaimToHeaders: "
        "[{header: x-sub, claim: sub}, {header: X-Groups, claim: groups}]"
    )
    cases = [
        *(case(name, policies) for name, policies in remote.items()),
        case("failing-beside-known", remote["failing"] + known),
        case("kept", tokens(f"{outputs}, forwardOriginalToken: true")),
        case("taken", tokens(outputs) + allow(source('requestPrincipals: ["*"]'), to("paths: [/open]"))),
    ]
    places = "fromParams: [token, 'my token'], fromHeaders: [{name: x-token, prefix: 'T '}]"
    cases += [
        case("query", tokens()),
        case("named", tokens(places)),
        case("query-kept", tokens(f"{places}, forwardOriginalToken: true")),
    ]
    with running(cases, tmp_path_factory.mktemp("envoy"), app) as started:
        yield started


def ask(mesh: Mesh, name: str, request: Request) -> Reply:
    return mesh.ask(case(name, ""), request)


@pytest.mark.parametrize("name", ["good", "ours"])
def test_fetched_keys_verify(mesh: Mesh, name: str) -> None:
    assert ask(mesh, name, SIGNED).reached
    assert ask(mesh, name, PLAIN).reached
    assert ask(mesh, name, replace(SIGNED, headers=(("authorization", "Bearer a.b.c"),))).status == 401


@pytest.mark.parametrize("name", ["failing", "broken", "nobody", "failing-beside-known"])
def test_keys_that_cannot_be_fetched_refuse_every_token(mesh: Mesh, name: str) -> None:
    assert [ask(mesh, name, SIGNED).status for _ in range(2)] == [401, 401]
    assert ask(mesh, name, PLAIN).reached


@pytest.mark.parametrize("index", range(len(PUBLIC_KEYS)))
def test_keys_of_others_refuse_the_token(mesh: Mesh, index: int) -> None:
    assert ask(mesh, f"public-{index}", SIGNED).status == 401
    assert ask(mesh, f"public-{index}", PLAIN).reached


def test_useless_keys_are_left_out(mesh: Mesh) -> None:
    assert ask(mesh, "mixed", SIGNED).reached


def test_a_good_token_tells_the_service_and_a_client_cannot(mesh: Mesh) -> None:
    reply = ask(mesh, "kept", replace(SIGNED, headers=(*FORGED, *SIGNED.headers)))
    assert reply.received("x-sub") == ["me"]
    assert len(reply.received("x-payload")) == 1
    assert reply.received("x-payload") != ["forged"]
    assert "admin" not in "".join(reply.received("x-groups"))
    assert len(reply.received("authorization")) == 1


def test_without_a_token_nothing_is_told(mesh: Mesh) -> None:
    reply = ask(mesh, "kept", replace(PLAIN, headers=FORGED))
    assert reply.reached
    assert [reply.received(n) for n in ("x-sub", "x-payload", "x-groups")] == [[], [], []]


def test_a_token_is_taken_out_of_the_request_unless_it_is_to_be_forwarded(mesh: Mesh) -> None:
    reply = ask(mesh, "taken", SIGNED)
    assert (reply.reached, reply.received("authorization")) == (True, [])


def test_a_preflight_is_not_asked_for_a_token_and_gets_no_claims(mesh: Mesh) -> None:
    origin = (("origin", "http://x"), ("access-control-request-method", "GET"))
    forged = replace(SIGNED, method="OPTIONS", headers=(*origin, *FORGED))
    assert ask(mesh, "taken", forged).status == 403
    reply = ask(mesh, "taken", replace(forged, target="/open"))
    assert (reply.reached, reply.received("x-sub")) == (True, [])


def test_what_else_is_in_the_query_stays_as_it_was_written(mesh: Mesh) -> None:
    token = SIGNED.headers[0][1].removeprefix("Bearer ")
    odd = "a=%26b=2&c=%2B+d&&e&=f"
    targets = {
        ("query", f"/x?access_token={token}&{odd}"): f"/x?{odd}",
        ("query", f"/x?a=1&access%5Ftoken={token}"): "/x?a=1",
        ("query", f"/x?access_token={token}"): "/x",
        ("named", f"/x?{odd}&my%20token={token}"): f"/x?{odd}",
        ("named", f"/x?token={token}&access_token=mine&{odd}"): f"/x?access_token=mine&{odd}",
        # Nobody's token, nothing to take.
        ("named", "/x?access_token=mine&a=%26b=2"): "/x?access_token=mine&a=%26b=2",
        ("query-kept", f"/x?token={token}&{odd}"): f"/x?token={token}&{odd}",
    }
    for (name, target), seen in targets.items():
        reply = ask(mesh, name, replace(PLAIN, target=target))
        assert (reply.status, reply.path) == (200, seen), (name, target)
    assert ask(mesh, "query", replace(PLAIN, target="/x?access_token=a.b.c")).status == 401


def test_a_token_in_a_header_is_taken_where_queries_may_hold_one_too(mesh: Mesh) -> None:
    shown = (
        ("x-token", "T " + SIGNED.headers[0][1].removeprefix("Bearer ")),
        ("authorization", "Basic mine"),
    )
    reply = ask(mesh, "named", replace(PLAIN, headers=shown))
    assert (reply.reached, reply.received("x-token"), reply.received("authorization")) == (
        True,
        [],
        ["Basic mine"],
    )
    assert ask(mesh, "query", SIGNED).received("authorization") == []
