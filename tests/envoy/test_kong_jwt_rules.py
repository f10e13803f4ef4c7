"""Kong's `jwt`: what it refuses and Envoy's filter by itself does not."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest

from tests.envoy.kong_edge import Ask, asked, consumer, plugin, route

pytestmark = pytest.mark.envoy
SECRET = "only for this test, 32 bytes long"
NOW = int(time.time())

MANIFESTS = (
    plugin("one", "jwt", "{uri_param_names: [jwt, t], header_names: [authorization, x-token]}")
    + plugin("nbf", "jwt", "{claims_to_verify: [nbf], realm: shop}")
    + plugin("both", "jwt", "{claims_to_verify: [exp, nbf], anonymous: guest}")
    + plugin("loose", "jwt", "{anonymous: guest}")
    + "".join(route(name, name) for name in ("one", "nbf", "both", "loose"))
    + consumer("ann", {"ann-jwt": ("jwt", {"key": "ann", "algorithm": "HS256", "secret": SECRET})})
    + consumer("guest", {})
)


def _token(**claims: object) -> str:
    return jwt.encode({"iss": "ann", **claims}, SECRET, algorithm="HS256")


def test_several_tokens(tmp_path: Path) -> None:
    good, other = _token(), _token(jti="2")
    shown = ("authorization", f"Bearer {good}")
    cases = [
        (Ask(f"/one?jwt={good}&jwt={other}"), 401),
        (Ask(f"/one?a=1&jwt={other}&b=2&jwt={good}&c=3"), 401),
        (Ask(f"/one?jwt={good}&j%77t={other}"), 401),
        (Ask(f"/one?%6A%77%74={other}&jwt={good}"), 401),
        (Ask(f"/one?jwt={good}&jwt"), 401),
        (Ask("/one", headers=(shown, ("authorization", f"bearer {other}")))
, 401),
        (Ask("/one", headers=(("x-token", f"Bearer {good}"), ("x-token", f"Bearer {other}"))), 401),
        (Ask(f"/one?jwt={good}"), 200),
        (Ask(f"/one?t={good}&jwt={good}", headers=(shown,)), 200),
        (Ask(f"/one?notjwt={other}&jwt={good}&jwts={other}"), 200),
        (Ask(f"/one?jwt={good}", headers=(("authorization", 'Digest a="b", c="d"'),)), 200),
    ]  # fmt: skip
    for (ask, status), answer in zip(cases, asked(MANIFESTS, [a for a, _ in cases], tmp_path), strict=True):
        assert answer.status == status, (ask, answer)
        if status == 401:
            assert answer.body == '{"message":"Multiple tokens provided"}'
            assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'
        else:
            assert answer.seen.headers["x-consumer-username"] == ["ann"]


def test_nbf_is_demanded(tmp_path: Path) -> None:
    with_both = _token(nbf=NOW - 10, exp=NOW + 86_400)
    cases = [
        ("/nbf", _token(nbf=NOW - 10), 200),
        ("/nbf", _token(nbf=0), 200),
        ("/nbf", _token(), 401),
        ("/nbf", _token(exp=NOW + 86_400), 401),
        ("/nbf", _token(nbf=None), 401),
        ("/both", with_both, 200),
        ("/loose", _token(), 200),
    ]
    requests = [Ask(path, headers=(("authorization", f"Bearer {token}"),)) for path, token, _ in cases]
    nameless = Ask("/both", headers=(("authorization", f"Bearer {_token(exp=NOW + 86_400)}"),))
    answers = asked(MANIFESTS, [*requests, nameless, Ask("/both"), Ask("/nbf")], tmp_path)
    for (path, _, status), answer in zip(cases, answers, strict=False):
        assert answer.status == status, (path, answer)
        if status == 200:
            assert answer.seen.headers["x-consumer-username"] == ["ann"]
        else:
            assert answer.body == '{"nbf":"must be a number"}'
            realm = ' realm="shop",' if path == "/nbf" else ""
            assert answer.header("www-authenticate") == f'Bearer{realm} error="invalid_token"'
    # Where strangers may come in, a token that is not good enough makes one.
    assert answers[-3].seen.headers["x-consumer-username"] == ["guest"]
    assert answers[-2].seen.headers["x-consumer-username"] == ["guest"]
    assert answers[-1].body == '{"message":"Unauthorized"}'
