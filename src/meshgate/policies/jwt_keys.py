"""The keys of Kong's `jwt` credentials as JSON Web Keys (RFC 7517), each bound to its one algorithm."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import itertools

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from meshgate.model.consumer import JwtCredential

_CURVES = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48), "secp521r1": ("P-521", 66)}
_STANDARD = bytes.maketrans(b"-_", b"+/")


def jwk(credential: JwtCredential, *, secret_is_base64: bool) -> dict[str, str]:
    """The credential's key; one that nobody has where its secret should be base64 and is not."""
    if credential.secret is None or not is_shared(credential):
        return {**_public_jwk(credential.public_key_pem), "alg": credential.algorithm}
    secret: bytes | None = credential.secret.reveal()
    if secret_is_base64:
        secret = _decoded(credential.secret.reveal())
    return {"kty": "oct", "alg": credential.algorithm, "k": _base64url(secret)} if secret else _nobodys_key()


def is_shared(credential: JwtCredential) -> bool:
    """Whether who verifies could sign too."""
    return credential.algorithm.startswith("HS")


def _decoded(text: bytes) -> bytes | None:
    """Base64 in either alphabet, padded or not, as Kong's versions take it; None where it is none."""
    plain = text.rstrip(b"=").translate(_STANDARD)
    with contextlib.suppress(binascii.Error):
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    return None


def _nobodys_key() -> dict[str, str]:
    """A public key whose private half nobody knows, for Envoy refuses a provider without keys.

    It is a point of the curve found by hashing words, never by multiplying the generator.
    """
    for number in itertools.count():
        x = hashlib.sha256(f"meshgate: nobody's key, try {number}".encode()).digest()
        with contextlib.suppress(ValueError):  # every other x is on the curve
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x02" + x)
            pem = point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return {**_public_jwk(pem.decode()), "alg": "ES256"}
    raise AssertionError("unreachable: half of all numbers are on the curve")


def _public_jwk(pem: str) -> dict[str, str]:
    key = load_pem_public_key(pem.encode())
    match key:
        case rsa.RSAPublicKey():
            numbers = key.public_numbers()
            return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePublicKey():
            point = key.public_numbers()
            curve, size = _CURVES[key.curve.name]
            x, y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
            return {"kty": "EC", "crv": curve, "x": _base64url(x), "y": _base64url(y)}
        case ed25519.Ed25519PublicKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_bytes_raw())}
        case _:
            raise ValueError("a public key of a kind that no JOSE algorithm uses")


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
