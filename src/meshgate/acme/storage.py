"""Accounts and certificates as files: keys with mode 0600, everything replaced in one step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from meshgate.core.secret import Secret
from meshgate.model.policies.acme import AcmeAccount
from meshgate.stores.settings_file import replace_file

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its key."""

    chain_pem: bytes
    key_pem: Secret

    @property
    def ends(self) -> datetime:
        """When it is no longer valid. Raises `ValueError` where it is no certificate."""
        return load_pem_x509_certificate(self.chain_pem).not_valid_after_utc

    def due(self, now: datetime, before_days: int) -> bool:
        """Whether it is time for a new one."""
        return self.ends - now <= timedelta(days=before_days)


class Storage:
    """The folder `acme` of a state directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def account_key(self, account: AcmeAccount) -> Secret:
        """The account's private key (P-256, PEM); made at the first time. Raises `OSError`."""
        path = self._folder / f"{_account_name(account)}.key"
        if not path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            self._write(path, text)
        return Secret(path.read_bytes())

    def certificate(self, host: str, account: AcmeAccount) -> Issued | None:
        """What was kept for a host; None where there is nothing that can be used."""
        path = self._path(host, account)
        try:
            text = path.read_bytes()
            key, _, chain = text.partition(b"-----END PRIVATE KEY-----\n")
            found = Issued(chain_pem=chain, key_pem=Secret(key + b"-----END PRIVATE KEY-----\n"))
            private = load_pem_private_key(found.key_pem.reveal(), password=None)
            if private.public_key() == load_pem_x509_certificate(chain).public_key():
                return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            pass
        _log.warning("acme_certificate_unreadable", host=host, consequence="a new one is asked for")
        return None

    def keep(self, host: str, account: AcmeAccount, issued: Issued) -> None:
        """Writes a certificate down. Raises `OSError`."""
        self._write(self._path(host, account), issued.key_pem.reveal() + issued.chain_pem)

    def _path(self, host: str, account: AcmeAccount) -> Path:
        return self._folder / f"{_account_name(account)}.{hashlib.sha256(host.encode()).hexdigest()[:16]}.pem"

    def _write(self, path: Path, text: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, text)


def _account_name(account: AcmeAccount) -> str:
    """Tells accounts apart: one authority's certificates are never another's."""
    return hashlib.sha256(f"{account.api_uri}\n{account.email}".encode()).hexdigest()[:16]
