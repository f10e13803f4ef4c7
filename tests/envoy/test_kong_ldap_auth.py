"""Kong's `ldap-auth` on a real Envoy with a real bridge and a real directory."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import authority, named
from tests.envoy.directory import BASE, SLAPD, Directory, directory
from tests.envoy.kong_edge import Answer, Ask, asked, consumer, plugin, route
from tests.envoy.policy_agents import NOBODY

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.skipif(SLAPD is None, reason="needs OpenLDAP's slapd"),
]
ROOT = authority("directories")
SERVER = ROOT.signs(named("localhost"), x509.SubjectAlternativeName([x509.DNSName("localhost")]))


def _manifests(directory: Directory) -> str:
    def ldap(name: str, more: str = "", *, port: int = directory.plain, host: str = "localhost") -> str:
        where = f"ldap_host: {host}, ldap_port: {port}, base_dn: '{BASE}', attribute: uid, timeout: 30000"
        return plugin(name, "ldap-auth", f"{{{where}{', ' if more else ''}{more}}}") + route(name, name)

    return (
        consumer("guest", {})
        + consumer("dave", {"dave-key": ("key-auth", {"key": "daves-key"})})
        + ldap("plain", "cache_ttl: 0")
        + ldap("remembering")
        + ldap("basic", "header_type: basic, realm: the shop, hide_credentials: true")
        + ldap("start-tls", "start_tls: true, verify_ldap_host: true")
        + ldap("ldaps", "ldaps: true, verify_ldap_host: true", port=directory.tls)
        + ldap("unverified", "ldaps: true", port=directory.tls, host="127.0.0.1")
        + ldap("other-host", "ldaps: true, verify_ldap_host: true", port=directory.tls, host="127.0.0.1")
        + ldap("tls-to-plain", "ldaps: true")
        + ldap("away", port=NOBODY)
        + ldap("perhaps", "anonymous: guest")
        + plugin("perhaps-key", "key-auth", "{anonymous: guest}")
        + plugin("key", "key-auth", "{}")
        + route("either", "perhaps", "perhaps-key")
        + route("both", "plain", "key")
    )


def _login(text: str, scheme: str = "LDAP", header: str = "authorization") -> tuple[str, str]:
    return header, f"{scheme} {base64.b64encode(text.encode()).decode()}"


ANN = _login("ann:Open:Sesame")


@pytest.fixture(name="known", scope="module")
def _known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    with directory(tmp_path_factory.mktemp("slapd"), SERVER) as known:
        yield known


@pytest.fixture(autouse=True)
def _trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def _outcome(answer: Answer) -> str:
    if not answer.reached:
        return f"{answer.status} {answer.message}"
    seen = answer.seen.headers
    return seen.get("x-consumer-username", seen.get("x-credential-identifier", ["-"]))[0]


def test_who_the_directory_knows(known: Directory, tmp_path: Path) -> None:
    no, broken = "401 Unauthorized", "500 An unexpected error occurred"
    cases = {
        "nothing": (Ask("/plain"), no),
        "a good password": (Ask("/plain", headers=(ANN,)), "ann"),
        "a small scheme": (Ask("/plain", headers=(_login("ann:Open:Sesame", "ldap"),)), "ann"),
        "a wrong password": (Ask("/plain", headers=(_login("ann:open:sesame"),)), no),
        "no password": (Ask("/plain", headers=(_login("ann:"),)), no),
        "nobody": (Ask("/plain", headers=(_login("zoe:Open:Sesame"),)), no),
        "another scheme": (Ask("/plain", headers=(_login("ann:Open:Sesame", "Basic"),)), no),
        "a name with commas": (Ask("/plain", headers=(_login("bob, the +:bobs"),)), "bob, the +"),
        "a name that leads elsewhere": (Ask("/plain", headers=(_login("root,ou=admins:toor"),)), no),
        "a pattern": (Ask("/plain", headers=(_login("*:Open:Sesame"),)), no),
        "from a proxy": (
            Ask("/plain", headers=(_login("ann:Open:Sesame", header="proxy-authorization"),)), "ann",
        ),
        "a proxy's bad one, then a good one": (
            Ask("/plain", headers=(_login("ann:no", header="proxy-authorization"), ANN)), "ann",
        ),
        "StartTLS": (Ask("/start-tls", headers=(ANN,)), "ann"),
        "LDAPS": (Ask("/ldaps", headers=(ANN,)), "ann"),
        "LDAPS, wrong": (Ask("/ldaps", headers=(_login("ann:no"),)), no),
        "LDAPS, unverified": (Ask("/unverified", headers=(ANN,)), "ann"),
        "LDAPS of another host": (Ask("/other-host", headers=(ANN,)), broken),
        "TLS where there is none": (Ask("/tls-to-plain", headers=(ANN,)), broken),
        "away": (Ask("/away", headers=(ANN,)), broken),
        "away, and no login": (Ask("/away"), no),
        "perhaps": (Ask("/perhaps", headers=(ANN,)), "ann"),
        "perhaps, wrong": (Ask("/perhaps", headers=(_login("ann:no"),)), "guest"),
        "either: a key": (Ask("/either", headers=(("apikey", "daves-key"),)), "dave"),
        "either: a login": (Ask("/either", headers=(ANN,)), "ann"),
        "either: none": (Ask("/either"), "guest"),
        "both": (Ask("/both", headers=(ANN, ("apikey", "daves-key"))), "ann"),
        "both: a key alone": (Ask("/both", headers=(("apikey", "daves-key"),)), no),
    }  # fmt: skip
    answers = asked(_manifests(known), [ask for ask, _ in cases.values()], tmp_path)
    found = dict(zip(cases, map(_outcome, answers), strict=True))
    assert found == {name: outcome for name, (_, outcome) in cases.items()}
    assert answers[0].header("www-authenticate") == "LDAP"


def test_what_the_service_is_told(known: Directory, tmp_path: Path) -> None:
    forged = (("x-consumer-username", "root"), ("x-credential-identifier", "root"))
    requests = [
        Ask("/plain", headers=(ANN, *forged)),
        Ask("/basic", headers=(_login("ann:Open:Sesame", "Basic"), *forged)),
        Ask("/basic"),
    ]
    plain, hidden, refused = asked(_manifests(known), requests, tmp_path)
    seen = plain.seen.headers
    assert seen["x-credential-identifier"] == ["ann"]
    assert seen["authorization"] == [ANN[1]]
    assert not {"x-consumer-id", "x-consumer-username", "x-anonymous-consumer"} & set(seen)
    assert "authorization" not in hidden.seen.headers
    assert refused.header("www-authenticate") == 'basic realm="the shop"'


def test_a_good_password_is_good_for_a_while(tmp_path: Path) -> None:
    def requests() -> Iterator[Ask]:
        yield from asks
        mortal.kill()
        yield from asks
        yield Ask("/remembering", headers=(_login("ann:Open:Sesame!"),))

    asks = [Ask("/remembering", headers=(ANN,)), Ask("/plain", headers=(ANN,))]
    with directory(tmp_path, SERVER) as mortal:
        answers = asked(_manifests(mortal), requests(), tmp_path)
    broken = "500 An unexpected error occurred"
    assert [_outcome(a) for a in answers] == ["ann", "ann", "ann", broken, broken]
