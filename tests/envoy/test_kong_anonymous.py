"""Kong's `anonymous` on `jwt`, on a real Envoy."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from tests.envoy.kong_edge import Ask, asked, consumer, plugin, route

SECRET = "a secret that is long enough for HS256"
MANIFESTS = (
    consumer("alice", {"alice-jwt": ("jwt", {"key": "alice-iss", "secret": SECRET})})
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bobs"})})
    + consumer("guest", {"guest-group": ("acl", {"group": "guests"})})
    + plugin("token", "jwt", "{anonymous: guest}")
    + plugin("key", "key-auth", "{}")
    + plugin("guests", "acl", "{allow: [guests]}")
    + plugin("limit", "rate-limiting", "{minute: 1}")
    + route("token", "token")
    + route("both", "token", "key")
    + route("guests", "token", "guests")
    + route("limited", "token", "limit")
)


def _bearer(issuer: str, secret: str = SECRET) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {jwt.encode({'iss': issuer}, secret, 'HS256')}"),)


@pytest.mark.envoy
def test_strangers(tmp_path: Path) -> None:
    forged = (
        ("x-meshgate-anonymous", "alice"),
        ("x-consumer-username", "alice"),
        ("x-meshgate-jwt-credential", "alice-iss"),
        ("x-anonymous-consumer", "false"),
    )
    wrong = _bearer("alice-iss", "another secret that is long enough")
    requests = [
        Ask("/token", headers=_bearer("alice-iss")),
        Ask("/token"),
        Ask("/token", headers=forged),
        Ask("/token", headers=(*wrong, *forged)),
        Ask("/token", headers=_bearer("nobody")),
        Ask("/both"),
        Ask("/both", headers=(("apikey", "bobs"),)),
        Ask("/guests"),
        Ask("/guests", headers=_bearer("alice-iss")),
        Ask("/limited"),
        Ask("/limited"),
        Ask("/limited", headers=_bearer("alice-iss")),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    alice = answers[0].seen.headers
    assert alice["x-consumer-username"] == ["alice"]
    assert "x-anonymous-consumer" not in alice
    for answer in answers[1:5]:
        guest = answer.seen.headers
        assert guest["x-consumer-username"] == ["guest"]
        assert guest["x-anonymous-consumer"] == ["true"]
        assert "x-credential-identifier" not in guest
        assert not [name for name in guest if name.startswith("x-meshgate")]
    assert answers[5].status == 401
    bob = answers[6].seen.headers
    assert (bob["x-consumer-username"], "x-anonymous-consumer" in bob) == (["bob"], False)
    assert answers[7].seen.headers["x-consumer-groups"] == ["guests"]
    assert answers[8].status == 403
    assert [a.status for a in answers[9:]] == [200, 429, 200]
