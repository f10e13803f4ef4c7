"""The authority's files: who may read them, what damage does, and crashes in the middle."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from meshgate.identity.ca import (
    ISSUING_LIFETIME,
    ROOT_LIFETIME,
    Authority,
    AuthorityError,
    create_authority,
    private_key_pem,
)
from meshgate.identity.secrets import trust_bundle
from meshgate.identity.storage import load_or_create
from tests.unit.identity.tools import Damage, damaged, damages, der, pem

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + ISSUING_LIFETIME * 0.6
FILES = {"root-cert.pem", "root-key.pem", "ca-cert.pem", "ca-key.pem", "cert-chain.pem"}
KEYS = ("root-key.pem", "ca-key.pem")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with an authority made at `NOW`."""
    load_or_create(tmp_path / "state", "cluster.local", NOW)
    return tmp_path / "state"


def contents(state: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (state / "ca").iterdir()}


def same(a: Authority, b: Authority) -> bool:
    return (
        a.roots,
        a.issuing_certificate,
        a.root_key.private_numbers(),
        a.issuing_key.private_numbers(),
    ) == (
        b.roots,
        b.issuing_certificate,
        b.root_key.private_numbers(),
        b.issuing_key.private_numbers(),
    )


def test_what_was_created_is_loaded(tmp_path: Path) -> None:
    created = load_or_create(tmp_path / "deep" / "state", "cluster.local", NOW)
    before = contents(tmp_path / "deep" / "state")
    assert before.keys() == FILES
    assert same(
        load_or_create(tmp_path / "deep" / "state", "cluster.local", NOW + timedelta(days=1)), created
    )
    assert contents(tmp_path / "deep" / "state") == before
    assert [path.name for path in (tmp_path / "deep" / "state").iterdir()] == ["ca"]
    chain = x509.load_pem_x509_certificates(before["cert-chain.pem"])
    assert chain == [created.issuing_certificate, created.roots[0]]


def test_only_the_owner_can_use_the_keys(tmp_path: Path) -> None:
    old = os.umask(0)  # the worst case
    try:
        load_or_create(tmp_path / "state", "cluster.local", NOW)
        load_or_create(tmp_path / "state", "cluster.local", LATER)  # renewed
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state" / "ca").stat().st_mode) == 0o700
    for name in KEYS:
        assert stat.S_IMODE((tmp_path / "state" / "ca" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_use_is_refused(state: Path, name: str, mode: int) -> None:
    (state / "ca" / name).chmod(mode)
    with pytest.raises(AuthorityError, match="other users") as raised:
        load_or_create(state, "cluster.local", NOW)
    assert "chmod 600" in raised.value.remedy
    assert name in str(raised.value)


def test_a_directory_that_others_can_write_is_refused(state: Path) -> None:
    (state / "ca").chmod(0o770)
    with pytest.raises(AuthorityError, match="write") as raised:
        load_or_create(state, "cluster.local", NOW)
    assert "chmod 700" in raised.value.remedy


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def garble(path: Path) -> None:
    path.write_bytes(b"\0\xff" * 300)


def replace_by_another(path: Path) -> None:
    other = create_authority("cluster.local", NOW)
    path.write_bytes(
        {
            "root-cert.pem": trust_bundle(other),
            "root-key.pem": private_key_pem(other.root_key).reveal(),
            "ca-cert.pem": other.issuing_certificate.public_bytes(Encoding.PEM),
            "ca-key.pem": private_key_pem(other.issuing_key).reveal(),
        }[path.name]
    )


@pytest.mark.parametrize("name", sorted(FILES - {"cert-chain.pem"}))
@pytest.mark.parametrize("damage", [remove, empty, cut, garble, replace_by_another])
def test_damage_is_reported_and_nothing_is_made_anew(
    state: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(state / "ca" / name)
    before = contents(state)
    for moment in (NOW, LATER):
        with pytest.raises(AuthorityError, match=name.replace(".", r"\.")) as raised:
            load_or_create(state, "cluster.local", moment)
        assert "restore" in raised.value.remedy
        assert str(state) in str(raised.value)
        assert "BEGIN" not in str(raised.value)
    assert contents(state) == before


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose files a test may break if it mends them."""
    state = tmp_path_factory.mktemp("fragile")
    load_or_create(state, "cluster.local", NOW)
    return state


@given(st.sampled_from(sorted(FILES - {"cert-chain.pem"})), damages(600), st.booleans())
def test_damaged_bytes_are_an_authority_error_or_harmless(
    fragile: Path, name: str, damage: Damage, break_the_curve: bool
) -> None:
    path = fragile / "ca" / name
    whole = path.read_bytes()
    content = damaged(der(whole), damage)
    if break_the_curve:
        content = content.replace(b"\x06\x08*\x86H\xce=\x03\x01\x07", b"\x06\x08*\x86H\xce=\x03\x01\x66")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's own opinion of odd serial numbers
        try:
            path.write_bytes(pem(content, b"CERTIFICATE" if "cert" in name else b"PRIVATE KEY"))
            loaded = load_or_create(fragile, "cluster.local", NOW)
        except AuthorityError:
            return
        finally:
            path.write_bytes(whole)
    assert same(loaded, load_or_create(fragile, "cluster.local", NOW))


def test_both_files_of_a_pair_replaced(state: Path) -> None:
    for name in ("ca-cert.pem", "ca-key.pem"):
        (state / "ca" / name).write_bytes(b"")
    other = create_authority("cluster.local", NOW)
    (state / "ca" / "ca-cert.pem").write_bytes(other.issuing_certificate.public_bytes(Encoding.PEM))
    (state / "ca" / "ca-key.pem").write_bytes(private_key_pem(other.issuing_key).reveal())
    with pytest.raises(AuthorityError, match="not signed by the root"):
        load_or_create(state, "cluster.local", NOW)


def certificate_pem(key: ec.EllipticCurvePrivateKey, subject: x509.Name, signer: Authority) -> bytes:
    """A certificate without extensions, signed by another authority's root."""
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.roots[0].subject)
        .public_key(key.public_key())
        .serial_number(9)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(signer.root_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def test_a_certificate_that_may_not_sign(state: Path) -> None:
    """A workload's certificate and key put in the issuer's place."""
    authority = load_or_create(state, "cluster.local", NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    pem_text = certificate_pem(key, authority.issuing_certificate.subject, authority)
    (state / "ca" / "ca-cert.pem").write_bytes(pem_text)
    (state / "ca" / "ca-key.pem").write_bytes(private_key_pem(key).reveal())
    with pytest.raises(AuthorityError, match="lacks the extensions"):
        load_or_create(state, "cluster.local", NOW)


def test_a_root_that_somebody_else_signed(state: Path) -> None:
    """Proxies could not end a chain there."""
    authority = load_or_create(state, "cluster.local", NOW)
    other = create_authority("cluster.local", NOW)
    pem_text = certificate_pem(authority.root_key, authority.roots[0].subject, other)
    (state / "ca" / "root-cert.pem").write_bytes(pem_text)
    with pytest.raises(AuthorityError, match=r"root-cert\.pem is not signed by the root"):
        load_or_create(state, "cluster.local", NOW)


def test_a_key_of_another_kind(state: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (state / "ca" / "root-key.pem").write_bytes(pem)
    with pytest.raises(AuthorityError, match="not an ECDSA key"):
        load_or_create(state, "cluster.local", NOW)


def test_another_trust_domain_is_refused(state: Path) -> None:
    with pytest.raises(
        AuthorityError, match=r"spiffe://cluster\.local, not for the trust domain other"
    ) as raised:
        load_or_create(state, "other", NOW)
    assert "state directory" in raised.value.remedy


@pytest.mark.parametrize("blocked", ["state", "state/ca"])
def test_a_file_in_the_way(tmp_path: Path, blocked: str) -> None:
    (tmp_path / blocked).parent.mkdir(exist_ok=True)
    (tmp_path / blocked).write_text("not a directory")
    with pytest.raises(AuthorityError, match="cannot use the authority") as raised:
        load_or_create(tmp_path / "state", "cluster.local", NOW)
    assert str(tmp_path / blocked) in str(raised.value)


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir(mode=0o755)
    load_or_create(tmp_path, "cluster.local", NOW)
    assert contents(tmp_path).keys() == FILES
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_the_issuing_certificate_is_renewed_and_the_root_kept(state: Path) -> None:
    before = contents(state)
    renewed = load_or_create(state, "cluster.local", LATER)
    after = contents(state)
    assert after.keys() == FILES
    assert {name for name in FILES if after[name] != before[name]} == {
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
    }
    assert renewed.issuing_certificate.not_valid_after_utc > NOW + ISSUING_LIFETIME
    assert same(load_or_create(state, "cluster.local", LATER), renewed)


def test_an_expired_issuing_certificate_is_renewed_too(state: Path) -> None:
    long_after = NOW + ISSUING_LIFETIME * 3
    assert (
        load_or_create(state, "cluster.local", long_after).issuing_certificate.not_valid_after_utc
        > long_after
    )


def test_an_expired_root_and_a_clock_set_back(state: Path) -> None:
    with pytest.raises(AuthorityError, match="root certificate expired"):
        load_or_create(state, "cluster.local", NOW + ROOT_LIFETIME)
    with pytest.raises(AuthorityError, match="valid only from") as raised:
        load_or_create(state, "cluster.local", NOW - timedelta(days=2))
    assert "clock" in raised.value.remedy


def test_more_roots_are_kept_and_trusted(state: Path) -> None:
    other = create_authority("old.example", NOW)
    with (state / "ca" / "root-cert.pem").open("ab") as file:
        file.write(trust_bundle(other))
    for moment in (NOW, LATER):
        assert load_or_create(state, "cluster.local", moment).roots[1:] == other.roots


def crash_of_renewal(state: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    before = contents(state)
    load_or_create(state, "cluster.local", LATER)
    return before, contents(state)


def write_back(state: Path, files: dict[str, bytes]) -> None:
    for path in (state / "ca").iterdir():
        path.unlink()
    for name, content in files.items():
        (state / "ca" / name).write_bytes(content)
        (state / "ca" / name).chmod(0o600)


def test_a_crash_before_the_new_certificate_leaves_the_old_one(state: Path) -> None:
    before, after = crash_of_renewal(state)
    for waiting in (after["ca-key.pem"], after["ca-key.pem"][:50]):
        write_back(state, {**before, "ca-key.next.pem": waiting})
        load_or_create(state, "cluster.local", NOW)
        assert contents(state) == before


def test_a_crash_after_the_new_certificate_completes_it(state: Path) -> None:
    before, after = crash_of_renewal(state)
    write_back(state, {**before, "ca-cert.pem": after["ca-cert.pem"], "ca-key.next.pem": after["ca-key.pem"]})
    load_or_create(state, "cluster.local", LATER)
    assert contents(state) == after


@pytest.mark.parametrize("damage", [remove, empty, garble])
def test_the_chain_for_other_tools_is_made_anew(state: Path, damage: Callable[[Path], None]) -> None:
    before = contents(state)
    damage(state / "ca" / "cert-chain.pem")
    load_or_create(state, "cluster.local", NOW)
    assert contents(state) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_key(state: Path) -> None:
    (state / "ca" / "root-key.pem").chmod(0o000)
    with pytest.raises(AuthorityError, match="cannot use the authority"):
        load_or_create(state, "cluster.local", NOW)
