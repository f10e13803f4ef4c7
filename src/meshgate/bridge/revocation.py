"""Whether an authority has taken a certificate back: asked over OCSP, else looked up in its list (CRL).

The certificate itself says where; it is asked only after its chain has been verified, so the
addresses are the authority's.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from weakref import WeakValueDictionary

import aiohttp
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import (
    AuthorityInformationAccess,
    Certificate,
    CertificateRevocationList,
    CRLDistributionPoints,
    ExtensionNotFound,
    UniformResourceIdentifier,
    load_der_x509_crl,
    load_pem_x509_crl,
)
from cryptography.x509.oid import AuthorityInformationAccessOID

from meshgate.bridge.ocsp import Status, ocsp_question, read_answer
from meshgate.bridge.remembering import Remembered
from meshgate.core.clock import Clock
from meshgate.model.policies.client_certificate import MtlsAuth, Revocation

MAX_ANSWER_BYTES = 16 * 1024 * 1024
FAILURE_S = 10.0
"""How long an authority that did not answer is left alone."""
SKEW = timedelta(minutes=5)
_log = structlog.get_logger("meshgate.bridge")


class _Failed(enum.Enum):
    NO_ANSWER = enum.auto()


class Revocations:
    """Asks authorities, and remembers what they said."""

    def __init__(self, clock: Clock, http: Callable[[], aiohttp.ClientSession]) -> None:
        self._clock, self._http = clock, http
        self._known: Remembered[bytes, Status] = Remembered(clock, 10_000)
        self._lists: Remembered[str, CertificateRevocationList | _Failed] = Remembered(clock, 100)
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def taken_back(self, chain: tuple[Certificate, ...], policy: MtlsAuth) -> bool:
        """Whether any certificate of a verified chain must not be trusted any more."""
        for certificate, issuer in pairwise(chain):
            key = certificate.fingerprint(SHA256()) + issuer.fingerprint(SHA256())
            lock = self._asking.setdefault(key, asyncio.Lock())
            async with lock:
                status = self._known.get(key)
                if status is None:
                    status = await self._ask(certificate, issuer, policy)
                    seconds = FAILURE_S if status is Status.UNKNOWN else policy.revocation_cache_s
                    self._known.put(key, status, seconds)
            if status is Status.REVOKED:
                return True
            if status is not Status.GOOD and policy.revocation is Revocation.STRICT:
                return True
        return False

    async def _ask(self, certificate: Certificate, issuer: Certificate, policy: MtlsAuth) -> Status:
        responders, lists = ocsp_addresses(certificate), list_addresses(certificate)
        if not responders and not lists:
            return Status.UNSAID
        for address in responders:
            body = await self._fetch(address, policy, ocsp_question(certificate, issuer))
            if body is not None:
                status = read_answer(body, certificate, issuer, self._clock.now())
                if status in (Status.GOOD, Status.REVOKED):
                    return status
        for address in lists:
            found = await self._list(address, policy)
            if found is not None and list_counts(found, issuer, self._clock.now()):
                entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
                return Status.GOOD if entry is None else Status.REVOKED
        _log.warning("revocation_unknown", serial=f"{certificate.serial_number:x}")
        return Status.UNKNOWN

    async def _list(self, address: str, policy: MtlsAuth) -> CertificateRevocationList | None:
        held = self._lists.get(address)
        if held is None:
            body = await self._fetch(address, policy, None)
            held = _read_list(body) if body is not None else _Failed.NO_ANSWER
            self._lists.put(address, held, self._list_lasts(held, policy))
        return held if isinstance(held, CertificateRevocationList) else None

    def _list_lasts(self, held: CertificateRevocationList | _Failed, policy: MtlsAuth) -> float:
        if not isinstance(held, CertificateRevocationList) or held.next_update_utc is None:
            return FAILURE_S
        left = (held.next_update_utc - self._clock.now()).total_seconds()
        return max(FAILURE_S, min(left, policy.revocation_cache_s))

    async def _fetch(self, address: str, policy: MtlsAuth, question: bytes | None) -> bytes | None:
        proxy = policy.https_proxy if address.startswith("https:") else policy.http_proxy
        timeout = aiohttp.ClientTimeout(total=policy.revocation_timeout_ms / 1000)
        headers = {"content-type": "application/ocsp-request"} if question is not None else {}
        try:
            async with self._http().request(
                "GET" if question is None else "POST",
                address,
                data=question,
                headers=headers,
                timeout=timeout,
                proxy=proxy or None,
                allow_redirects=False,
            ) as answer:
                if answer.status != 200:
                    return None
                body = await answer.content.read(MAX_ANSWER_BYTES + 1)
                while len(body) <= MAX_ANSWER_BYTES and (more := await answer.content.read(65_536)):
                    body += more
                return body if len(body) <= MAX_ANSWER_BYTES else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None


def ocsp_addresses(certificate: Certificate) -> tuple[str, ...]:
    """Where the certificate says that its state can be asked."""
    try:
        found = certificate.extensions.get_extension_for_class(AuthorityInformationAccess).value
    except (ExtensionNotFound, ValueError):
        return ()
    places = (d.access_location for d in found if d.access_method == AuthorityInformationAccessOID.OCSP)
    return _web(p.value for p in places if isinstance(p, UniformResourceIdentifier))


def list_addresses(certificate: Certificate) -> tuple[str, ...]:
    """Where the certificate says that a list of those that were taken back is."""
    try:
        points = certificate.extensions.get_extension_for_class(CRLDistributionPoints).value
    except (ExtensionNotFound, ValueError):
        return ()
    names = (n for p in points if not p.crl_issuer and not p.reasons for n in p.full_name or ())
    return _web(n.value for n in names if isinstance(n, UniformResourceIdentifier))


def list_counts(found: CertificateRevocationList, issuer: Certificate, now: datetime) -> bool:
    """Whether a list is the issuer's own, whole and of today."""
    if found.issuer != issuer.subject or any(e.critical for e in found.extensions):
        # A critical extension says that the list is not what it looks like (RFC 5280, 5.2).
        return False
    until = found.next_update_utc
    if found.last_update_utc > now + SKEW or until is None or until < now - SKEW:
        return False
    try:
        return found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _read_list(body: bytes) -> CertificateRevocationList | _Failed:
    try:
        return load_pem_x509_crl(body) if body.startswith(b"-----") else load_der_x509_crl(body)
    except ValueError:
        return _Failed.NO_ANSWER


def _web(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if a.startswith(("http://", "https://")))
