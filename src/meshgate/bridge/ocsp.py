"""OCSP (RFC 6960): the question about a certificate, and what an answer is worth. No I/O."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ExtendedKeyUsage, ExtensionNotFound, SubjectKeyIdentifier
from cryptography.x509.ocsp import (
    OCSPCertStatus,
    OCSPRequestBuilder,
    OCSPResponse,
    OCSPResponseStatus,
    OCSPSingleResponse,
    load_der_ocsp_response,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

_SKEW = timedelta(minutes=5)
_WITHOUT_END = timedelta(days=1)
"""How old an answer may be that does not say when the next one comes."""


class Status(enum.Enum):
    """What is known of a certificate."""

    GOOD = enum.auto()
    REVOKED = enum.auto()
    UNKNOWN = enum.auto()
    """Nobody who was asked gave an answer that counts."""
    UNSAID = enum.auto()
    """The certificate does not say who could be asked."""


def ocsp_question(certificate: Certificate, issuer: Certificate) -> bytes:
    """The request as DER. SHA-1 names the issuer: what every responder knows (RFC 5019)."""
    builder = OCSPRequestBuilder().add_certificate(certificate, issuer, SHA1())
    return builder.build().public_bytes(Encoding.DER)


def read_answer(body: bytes, certificate: Certificate, issuer: Certificate, now: datetime) -> Status:
    """What a response says of the certificate; UNKNOWN where it does not count."""
    try:
        answer = load_der_ocsp_response(body)
        if answer.response_status is not OCSPResponseStatus.SUCCESSFUL:
            return Status.UNKNOWN
        one = _about(answer, certificate, issuer)
        if one is None or not _is_of_today(one, now) or not _is_signed(answer, issuer, now):
            return Status.UNKNOWN
    except (ValueError, UnsupportedAlgorithm):
        return Status.UNKNOWN
    match one.certificate_status:
        case OCSPCertStatus.GOOD:
            return Status.GOOD
        case OCSPCertStatus.REVOKED:
            return Status.REVOKED
        case _:
            return Status.UNKNOWN


def _about(answer: OCSPResponse, certificate: Certificate, issuer: Certificate) -> OCSPSingleResponse | None:
    key_hash = SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest  # SHA-1 of the key
    for one in answer.responses:
        if (one.serial_number, one.issuer_key_hash) == (certificate.serial_number, key_hash):
            return one
    return None


def _is_of_today(one: OCSPSingleResponse, now: datetime) -> bool:
    until = one.next_update_utc or one.this_update_utc + _WITHOUT_END
    return one.this_update_utc <= now + _SKEW and now - _SKEW <= until


def _is_signed(answer: OCSPResponse, issuer: Certificate, now: datetime) -> bool:
    """By the issuer, or by whom it has entitled to answer for it."""
    if _has_signed(answer, issuer):
        return True
    return any(_may_answer(c, issuer, now) and _has_signed(answer, c) for c in answer.certificates)


def _may_answer(responder: Certificate, issuer: Certificate, now: datetime) -> bool:
    try:
        responder.verify_directly_issued_by(issuer)
        usage = responder.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except (ExtensionNotFound, InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        return False
    valid = responder.not_valid_before_utc <= now <= responder.not_valid_after_utc
    return valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _has_signed(answer: OCSPResponse, signer: Certificate) -> bool:
    key, hashed = signer.public_key(), answer.signature_hash_algorithm
    try:
        match key:
            case RSAPublicKey() if hashed is not None:
                key.verify(answer.signature, answer.tbs_response_bytes, PKCS1v15(), hashed)
            case EllipticCurvePublicKey() if hashed is not None:
                key.verify(answer.signature, answer.tbs_response_bytes, ECDSA(hashed))
            case _:
                return False
    except InvalidSignature:
        return False
    return True
