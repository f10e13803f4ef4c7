"""Kong's `jwt` answer by answer: status, body and `WWW-Authenticate`, and what a service is told."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.envoy.kong_edge import Answer, Ask, asked, consumer, plugin, route

pytestmark = pytest.mark.envoy
SECRET = "only for this test, 32 bytes long, or more, so that HS512 has enough of it too"
ODD_KEY = 'a b/ü?"%,'
INVALID = 'Bearer error="invalid_token"'

PRIVATE: dict[str, PrivateKeyTypes] = {
    "RS": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = [
    *(f"{kind}{size}" for kind in ("HS", "RS", "PS", "ES") for size in (256, 384, 512)),
    "EdDSA",
]


def _private(algorithm: str) -> PrivateKeyTypes:
    return PRIVATE["RS" if algorithm.startswith(("RS", "PS")) else algorithm]


def _credentials() -> dict[str, tuple[str, dict[str, str]]]:
    found = {"ann-main": ("jwt", {"key": "ann", "algorithm": "HS256", "secret": SECRET})}
    found["ann-odd"] = ("jwt", {"key": ODD_KEY, "algorithm": "HS256", "secret": SECRET})
    for algorithm in ALGORITHMS:
        data = {"key": algorithm, "algorithm": algorithm}
        if algorithm.startswith("HS"):
            data["secret"] = SECRET
        else:
            public = _private(algorithm).public_key()
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            data["rsa_public_key"] = pem.decode()
        found[f"ann-{algorithm.lower()}"] = ("jwt", data)
    return found


MANIFESTS = (
    plugin("plain", "jwt", "{cookie_names: [Session, second], header_names: [authorization, x-token]}")
    + plugin("kid", "jwt", "{key_claim_name: kid, realm: shop}")
    + plugin("times", "jwt", "{claims_to_verify: [exp, nbf], maximum_expiration: 600}")
    + plugin("coded", "jwt", "{secret_is_base64: true}")
    + plugin("early", "jwt", "{run_on_preflight: false}")
    + plugin("guest", "jwt", "{anonymous: guest, claims_to_verify: [exp]}")
    + "".join(route(name, name) for name in ("plain", "kid", "times", "coded", "early", "guest"))
    + consumer("ann", _credentials())
    + consumer("bob", {"bob-jwt": ("jwt", {"key": "bob", "algorithm": "HS256", "secret": "-_8" + "A" * 41})})
    + consumer("guest", {})
)


def _part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _token(
    key: str | None = "ann",
    algorithm: str = "HS256",
    *,
    head: dict[str, object] | None = None,
    **claims: object,
) -> str:
    known = {} if key is None else {"iss": key}
    secret = SECRET if algorithm.startswith("HS") else _private(algorithm)
    payload = json.dumps(known | claims).encode()
    return jwt.PyJWS().encode(payload, secret, algorithm, {"typ": "JWT"} | (head or {}))  # type: ignore[arg-type]


def _in(seconds: int) -> int:
    """That many seconds from now, when the test runs."""
    return int(time.time()) + seconds


def _ask(path: str, token: str, **more: object) -> Ask:
    return Ask(path, headers=(("authorization", f"Bearer {token}"),), **more)  # type: ignore[arg-type]


def _said(answer: Answer) -> tuple[int, str, str | None]:
    assert answer.header("content-type") == "application/json; charset=utf-8"
    return answer.status, answer.body, answer.header("www-authenticate")


def _message(text: str) -> str:
    return json.dumps({"message": text}, separators=(",", ":"))


def test_who_is_refused_is_told_what_kong_says(tmp_path: Path) -> None:
    head, claims = _part({"alg": "HS256"}), _part({"iss": "ann"})
    bad, wrong = "Bad token; invalid ", _token()[:-4] + "AAAA"
    plain: dict[str, str] = {
        "hello": bad + "JSON",
        f"{head}.{claims}": bad + "JSON",
        f"..{claims}": bad + "JSON",
        f"{_part('nope')}.{claims}.x": bad + "JSON",
        f"{head}.{_part('nope')}.xx": bad + "JSON",
        f"{head}.%%%.xx": bad + "JSON",
        f"{_part({'alg': 'none'})}.{claims}.": bad + "alg",
        f"{_part({'alg': 'None'})}.{claims}.xx": bad + "alg",
        f"{_part({'alg': 256})}.{claims}.xx": bad + "alg",
        f"{_part({'typ': 'JWT'})}.{claims}.xx": bad + "alg",
        f"{head}.{claims}.###": bad + "signature",
        f"{head}.{claims}.xx.yy": bad + "signature",
        f"{head}.{claims}.": "Invalid signature",
        wrong: "Invalid signature",
        _token(None): "No mandatory 'iss' in claims",
        _token(""): "Invalid 'iss' in claims",
        _token("eve"): "No credentials found for given 'iss'",
        _token(None, iss=7): "No credentials found for given 'iss'",
        _token(algorithm="HS512"): "Invalid algorithm",
        _token("RS256"): "Invalid algorithm",
        _token("ES256", "RS256"): "Invalid algorithm",
        _token(exp=1, iss="mallory"): "No credentials found for given 'iss'",
    }
    cases = [(_ask("/plain", token), _message(text)) for token, text in plain.items()]
    cases += [
        (_ask("/times", _token(exp=_in(-60))), '{"exp":"token expired","nbf":"must be a number"}'),
        (_ask("/times", _token(exp=_in(-60), nbf=1)), '{"exp":"token expired"}'),
        (_ask("/times", _token(exp=_in(300), nbf=_in(200))), '{"nbf":"token not valid yet"}'),
        (_ask("/times", _token(nbf=1)), '{"exp":"must be a number"}'),
        (_ask("/times", _token(exp=_in(300))), '{"nbf":"must be a number"}'),
        (_ask("/times", _token(exp=_in(900), nbf=1)), '{"exp":"exceeds maximum allowed expiration"}'),
        # What is wrong with a signature is said first.
        (_ask("/times", _token(exp=1, nbf=1)[:-4] + "AAAA"), _message("Invalid signature")),
        (_ask("/coded", _token()), _message("Invalid algorithm")),
        (Ask("/plain?jwt"), _message("Unrecognizable token")),
    ]  # fmt: skip
    answers = asked(MANIFESTS, [ask for ask, _ in cases], tmp_path)
    for (ask, body), answer in zip(cases, answers, strict=True):
        assert _said(answer) == (401, body, INVALID), ask


def test_the_realm_is_named_in_kongs_form(tmp_path: Path) -> None:
    shop = 'Bearer realm="shop"'
    cases = [
        (Ask("/kid"), _message("Unauthorized"), shop),
        (_ask("/kid", _token()), _message("No mandatory 'kid' in claims"), f'{shop}, error="invalid_token"'),
        (
            _ask("/kid", _token(kid="eve")),
            _message("No credentials found for given 'kid'"),
            f'{shop}, error="invalid_token"',
        ),
        (
            _ask("/kid", _token(kid="ann")[:-4] + "AAAA"),
            _message("Invalid signature"),
            f'{shop}, error="invalid_token"',
        ),
        (Ask("/plain"), _message("Unauthorized"), "Bearer"),
        (Ask("/plain?jwt="), _message("Unauthorized"), "Bearer"),
        (Ask("/plain", headers=(("authorization", "Bearer"),)), _message("Unauthorized"), "Bearer"),
        (Ask("/plain", headers=(("authorization", "BEARER x"),)), _message("Unauthorized"), "Bearer"),
        (Ask("/plain", method="OPTIONS"), _message("Unauthorized"), "Bearer"),
        (Ask("/early"), _message("Unauthorized"), "Bearer"),
    ]  # fmt: skip
    answers = asked(MANIFESTS, [ask for ask, _, _ in cases], tmp_path)
    for (ask, *said), answer in zip(cases, answers, strict=True):
        assert _said(answer) == (401, *said), ask


def test_every_algorithm_opens_with_its_own_key(tmp_path: Path) -> None:
    tokens = [_token(algorithm, algorithm) for algorithm in ALGORITHMS]
    answers = asked(MANIFESTS, [_ask("/plain", token) for token in tokens], tmp_path)
    for algorithm, answer in zip(ALGORITHMS, answers, strict=True):
        assert answer.seen.headers["x-credential-identifier"] == [algorithm]


def test_who_comes_in_is_known_wherever_the_token_is(tmp_path: Path) -> None:
    good = _token(jti="1")
    asks = [
        _ask("/plain", good),
        Ask(f"/plain?a=%26b=2&jwt={good}"),
        Ask("/plain", headers=(("x-token", f"bearer   {good}"),)),
        Ask("/plain", headers=(("x-token", f"Token x, Bearer {good}"),)),
        Ask("/plain", headers=(("cookie", f"a=1; SESSION={good}; session=other"),)),
        Ask("/plain", headers=(("cookie", "a=1"), ("cookie", f"second={good}"))),
        _ask("/plain", _token(ODD_KEY)),
        # Neither is looked at where the plugin does not say so.
        _ask("/plain", _token(exp=1, nbf=_in(1000))),
        _ask("/kid", _token(None, head={"kid": "ann"})),
        _ask("/kid", _token("whoever", kid="ann", head={"kid": "bob"})),
        _ask("/kid", _token(None, kid=False, head={"kid": "ann"})),
        _ask("/times", _token(exp=_in(300), nbf=1.5)),
        _ask("/coded", jwt.encode({"iss": "bob"}, base64.urlsafe_b64decode("-_8" + "A" * 41), "HS256")),
    ]
    for ask, answer in zip(asks, answers := asked(MANIFESTS, asks, tmp_path), strict=True):
        wanted = "bob" if ask.path == "/coded" else "ann"
        assert answer.status == 200, (ask, answer)
        assert answer.seen.headers["x-consumer-username"] == [wanted], ask
        assert not [name for name in answer.seen.headers if "meshgate" in name]
        assert "x-anonymous-consumer" not in answer.seen.headers
    assert answers[1].seen.path == f"/plain?a=%26b=2&jwt={good}"
    assert answers[6].seen.headers["x-credential-identifier"] == [ODD_KEY.encode().decode("latin-1")]


def test_a_stranger_is_who_has_no_good_token(tmp_path: Path) -> None:
    good, own = _token(exp=_in(300)), ("x-meshgate-jwt-token", _token(exp=_in(300)))
    asks = [
        Ask("/guest"),
        _ask("/guest", "hello"),
        _ask("/guest", _token("eve", exp=_in(300))),
        _ask("/guest", _token(exp=_in(300))[:-4] + "AAAA"),
        _ask("/guest", _token()),
        _ask("/guest", _token(exp=1)),
        Ask(f"/guest?jwt={good}&jwt={_token()}"),
        Ask("/guest", headers=(own, ("x-meshgate-jwt-credential", "ann"))),
    ]
    *strangers, known = asked(MANIFESTS, [*asks, _ask("/guest", good)], tmp_path)
    for ask, answer in zip(asks, strangers, strict=True):
        assert answer.seen.headers["x-consumer-username"] == ["guest"], ask
        assert answer.seen.headers["x-anonymous-consumer"] == ["true"]
        assert "x-credential-identifier" not in answer.seen.headers
        assert not [name for name in answer.seen.headers if "meshgate" in name]
    assert known.seen.headers["x-consumer-username"] == ["ann"]


def test_nothing_is_asked_of_options_where_the_plugin_says_so(tmp_path: Path) -> None:
    claimed = (("x-meshgate-jwt-credential", "ann"), ("x-consumer-username", "ann"))
    asks = [
        Ask("/early", method="OPTIONS"),
        _ask("/early", "hello", method="OPTIONS"),
        _ask("/early", _token(), method="OPTIONS"),
        Ask("/early", method="OPTIONS", headers=claimed),
    ]
    for answer in asked(MANIFESTS, asks, tmp_path):
        assert not [n for n in answer.seen.headers if "consumer" in n or "credential" in n]
