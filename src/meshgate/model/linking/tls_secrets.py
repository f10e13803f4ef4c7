"""Certificates as Istio's `credentialName` finds them in Secrets. Internal to `link`.

The customary keys are `tls.crt`, `tls.key` and `ca.crt`; `cert`, `key` and `cacert` are
their older names. Authorities may also lie in a Secret of their own, `<name>-cacert`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import InvalidVersion, load_pem_x509_certificates, load_pem_x509_crl

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.linking.input import Input
from meshgate.model.names import Name

_CHAIN, _KEY, _AUTHORITIES = ("tls.crt", "cert"), ("tls.key", "key"), ("ca.crt", "cacert")
_REVOKED = ("ca.crl",)
CA_SUFFIX = "-cacert"
_NO_KEY = Secret(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a `credentialName` leads to; parts that nobody asked for may be empty."""

    name: Name
    """Of the Secret."""
    chain_pem: bytes = b""
    key_pem: Secret = _NO_KEY
    ca_pem: bytes = b""
    crl_pem: bytes = b""
    problem: str = ""
    """Why it cannot be used; empty where it can. Quotes nothing of it."""
    origin: Origin = BUILT_IN


def find_credential(
    given: Input, credential: str, namespaces: Iterable[str], *, pair: bool, authorities: bool
) -> Found:
    """The certificates of a name, from the first namespace that has such a Secret.

    `pair` asks for a certificate with its key, `authorities` for those who sign the peer's.
    """
    candidates = [Name(namespace, credential) for namespace in dict.fromkeys(namespaces)]
    name = next((n for n in candidates if _parts(given, n)), candidates[0])
    main, extra = given.secrets.get(name), given.secrets.get(Name(name.namespace, name.name + CA_SUFFIX))
    if main is None and (pair or extra is None):
        return Found(name=name, problem=given.absence("Secret", name))
    data: Mapping[str, Secret] = main.data if main else {}
    holder = main or extra
    chain, key = _first(data, _CHAIN), _first(data, _KEY)
    ca = _first(data, _AUTHORITIES) or (_first(extra.data, (*_AUTHORITIES, *_CHAIN)) if extra else None)
    crl = _first(data, _REVOKED) or (_first(extra.data, _REVOKED) if extra else None)
    problem = ""
    if pair:
        problem = _pair_problem(chain, key)
    if authorities and not problem:
        problem = _authority_problem(ca) or _crl_problem(crl)
    return Found(
        name=name,
        chain_pem=chain.reveal() if chain and pair else b"",
        key_pem=key if key and pair else _NO_KEY,
        ca_pem=ca.reveal() if ca and authorities else b"",
        crl_pem=crl.reveal() if crl and authorities else b"",
        problem=problem,
        origin=holder.origin if holder else BUILT_IN,
    )


def _parts(given: Input, name: Name) -> bool:
    return name in given.secrets or Name(name.namespace, name.name + CA_SUFFIX) in given.secrets


def _first(data: Mapping[str, Secret], keys: tuple[str, ...]) -> Secret | None:
    return next((data[key] for key in keys if data.get(key)), None)


def _pair_problem(chain: Secret | None, key: Secret | None) -> str:
    missing = [name for name, part in (("tls.crt", chain), ("tls.key", key)) if part is None]
    if chain is None or key is None:
        return f"has no {' and no '.join(missing)}"
    try:
        certificate = load_pem_x509_certificates(chain.reveal())[0]
        private = load_pem_private_key(key.reveal(), password=None)
        shown = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        held = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion):
        return "does not hold a certificate and a private key as PEM text"
    return "" if shown == held else "holds a key that is not the certificate's"


def _crl_problem(crl: Secret | None) -> str:
    try:
        if crl is not None:
            load_pem_x509_crl(crl.reveal())
    except ValueError:
        return "has a ca.crl that is no revocation list as PEM text"
    return ""


def _authority_problem(ca: Secret | None) -> str:
    if ca is None:
        return "has no ca.crt, and there is no Secret of its name with -cacert behind"
    try:
        load_pem_x509_certificates(ca.reveal())
    except (ValueError, InvalidVersion):
        return "holds authorities that are not certificates as PEM text"
    return ""
