"""What is told of plugins that the bridge carries out."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.model.service import EMPTY
from meshgate.simulate import call
from meshgate.simulate.verdict import PolicyMet
from tests.golden import cases


def _met(case: str, path: str, headers: Mapping[str, str] = EMPTY, host: str = "shop.example") -> PolicyMet:
    """The only policy that a request meets."""
    model = cases.read(case).translated()
    (met,) = call(model, "GET", host, path, headers).policies
    return met


def test_mtls_auth() -> None:
    met = _met("kong/mtls-auth", "/", host="other.example")
    assert (met.kind, met.refuses) == ("mtls-auth", 0)
    assert met.says == "a certificate of the client's is needed; whether it has one is not known here"


def test_ldap_auth() -> None:
    nobody = _met("kong/ldap-auth", "/staff")
    assert (nobody.kind, nobody.refuses) == ("ldap-auth", 401)
    assert nobody.says == (
        "a name and a password that a directory knows are needed in header authorization; there is none"
    )


def test_session() -> None:
    model = cases.read("kong/session").translated()
    key, session = call(model, "GET", "shop.example", "/shop").policies
    assert (key.kind, key.consumer) == ("key-auth", "guest")
    assert (session.kind, session.refuses) == ("session", 0)
    assert session.says == "who has a session (cookie shop) is known by it"


def test_opa() -> None:
    met = _met("kong/opa", "/elsewhere")
    assert (met.kind, met.refuses) == ("opa", 0)
    assert met.says == "the Open Policy Agent at opa.example:443 decides; what, is not known here"


def test_hmac_auth() -> None:
    nobody = _met("kong/hmac-auth", "/signed")
    assert (nobody.kind, nobody.refuses) == ("hmac-auth", 401)
    assert nobody.says == "a signature (HMAC) is needed in header authorization; there is none"
    signed = _met("kong/hmac-auth", "/signed", {"Authorization": "hmac x"})
    assert (signed.refuses, signed.consumer) == (0, "")
    assert signed.says.endswith("whether it is good is not known here")
    stranger = _met("kong/hmac-auth", "/perhaps")
    assert (stranger.refuses, stranger.consumer) == (0, "guest")
