"""The authority's files: created once, checked on every start, renewed in time.

`<state>/ca/` (0700) holds `root-cert.pem`, `root-key.pem`, `ca-cert.pem`, `ca-key.pem`
(keys 0600) and `cert-chain.pem`, the issuing certificate and the root for other tools.
`root-cert.pem` may hold more roots after the first: proxies trust all of them.

Damage is never repaired by making a new authority: every workload would lose its peers'
trust. It is an `AuthorityError` with a remedy. One process at a time owns the directory.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from meshgate.identity.ca import Authority, AuthorityError, create_authority, private_key_pem
from meshgate.identity.checks import read_certificates, read_key, require_consistent
from meshgate.identity.secrets import trust_bundle

ROOT_CERT, ROOT_KEY = "root-cert.pem", "root-key.pem"
CA_CERT, CA_KEY = "ca-cert.pem", "ca-key.pem"
CHAIN = "cert-chain.pem"

_NEXT_KEY = "ca-key.next.pem"
_REQUIRED = (ROOT_CERT, ROOT_KEY, CA_CERT, CA_KEY)
_MAX_BYTES = 1 << 20

_log = structlog.get_logger(__name__)


def load_or_create(state: Path, trust_domain: str, now: datetime) -> Authority:
    """The authority in `state`, made if there is none, renewed if half of its life is over.

    Raises `AuthorityError` where files are missing, damaged, do not belong together, are
    for another trust domain, expired, or can be read by other users of the machine.
    """
    directory = state / "ca"
    try:
        if not directory.exists() or not any(directory.iterdir()):
            _create(directory, create_authority(trust_domain, now))
        _finish_renewal(directory)
        authority = _load(directory, trust_domain)
        require_consistent(authority, directory, now)
        renewed = authority.renewed(now)
        if renewed is not authority:
            _store_renewal(directory, renewed)
        _refresh_chain(directory, renewed)
    except OSError as error:
        raise AuthorityError(
            f"cannot use the authority in {directory}: {error.strerror or error}",
            f"check that {error.filename or directory} is a file or directory of the user that runs meshgate",
        ) from error
    return renewed


def _create(directory: Path, authority: Authority) -> None:
    """Write all files aside, then move the directory into place: a crash leaves all or none."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".ca-new-", dir=directory.parent))  # 0700
    try:
        _write(aside / ROOT_KEY, private_key_pem(authority.root_key).reveal(), 0o600)
        _write(aside / ROOT_CERT, trust_bundle(authority), 0o644)
        _write(aside / CA_KEY, private_key_pem(authority.issuing_key).reveal(), 0o600)
        _write(aside / CA_CERT, authority.issuing_certificate.public_bytes(Encoding.PEM), 0o644)
        _write(aside / CHAIN, _chain(authority), 0o644)
        aside.rename(directory)
        _sync(directory.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _log.info("authority_created", directory=str(directory), trust_domain=authority.trust_domain)


def _store_renewal(directory: Path, authority: Authority) -> None:
    """Replace the issuing key and certificate so that a crash at any point can be told and mended.

    The certificate's rename is the moment that counts; the key waits beside it until then.
    """
    _write(directory / _NEXT_KEY, private_key_pem(authority.issuing_key).reveal(), 0o600)
    _write(directory / CA_CERT, authority.issuing_certificate.public_bytes(Encoding.PEM), 0o644)
    _finish_renewal(directory)
    _log.info("authority_renewed", directory=str(directory), trust_domain=authority.trust_domain)


def _finish_renewal(directory: Path) -> None:
    """Put a waiting key in its place if its certificate got there, or drop it."""
    waiting = directory / _NEXT_KEY
    if not waiting.exists():
        return
    certificate, *_ = read_certificates(directory / CA_CERT, _read(directory / CA_CERT))
    try:
        key = read_key(waiting, _read_private(waiting))
    except AuthorityError:  # cut short while it was written, so the certificate is still the old one
        waiting.unlink()
        return
    if key.public_key() == certificate.public_key():
        waiting.replace(directory / CA_KEY)
        _sync(directory)
    else:
        waiting.unlink()


def _load(directory: Path, trust_domain: str) -> Authority:
    missing = [name for name in _REQUIRED if not (directory / name).exists()]
    if missing:
        raise AuthorityError(
            f"{directory} lacks {', '.join(missing)}",
            f"restore what is missing from a backup, or remove {directory} to start with a new authority"
            " (running workloads must then restart)",
        )
    if directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise AuthorityError(f"other users can write to {directory}", f"run: chmod 700 {directory}")
    root_key: ec.EllipticCurvePrivateKey = read_key(directory / ROOT_KEY, _read_private(directory / ROOT_KEY))
    issuing, *_ = read_certificates(directory / CA_CERT, _read(directory / CA_CERT))
    return Authority(
        trust_domain=trust_domain,
        roots=read_certificates(directory / ROOT_CERT, _read(directory / ROOT_CERT)),
        root_key=root_key,
        issuing_certificate=issuing,
        issuing_key=read_key(directory / CA_KEY, _read_private(directory / CA_KEY)),
    )


def _refresh_chain(directory: Path, authority: Authority) -> None:
    # Nothing here reads it back, so unlike the others it can be made anew from them.
    path, wanted = directory / CHAIN, _chain(authority)
    if not path.exists() or _read(path) != wanted:
        _write(path, wanted, 0o644)


def _chain(authority: Authority) -> bytes:
    chain = (authority.issuing_certificate, authority.roots[0])
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES)


def _read_private(path: Path) -> bytes:
    with path.open("rb") as file:
        # The mode of the file that is open, not of what the name may lead to a moment later.
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise AuthorityError(
                f"other users can use the key {path} (mode {mode:04o})",
                f"run: chmod 600 {path}; if somebody may have read it, remove {path.parent}"
                " to start with a new authority (running workloads must then restart)",
            )
        return file.read(_MAX_BYTES)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace the file in one step, on the disk when this returns."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
