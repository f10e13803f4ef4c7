"""Whether an authority read from files is whole: parses, and belongs together."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshgate.identity.ca import Authority, AuthorityError
from meshgate.identity.spiffe import trust_domain_uri


def read_certificates(path: Path, pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM file, at least one; `AuthorityError` if there is none or one is damaged."""
    try:
        certificates = tuple(x509.load_pem_x509_certificates(pem))
        for certificate in certificates:
            certificate.public_key()  # parsed only when it is asked for
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise AuthorityError(f"{path} is not a PEM certificate", _restore(path.parent)) from error
    return certificates


def read_key(path: Path, pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The unencrypted ECDSA key in a PEM file; `AuthorityError` (without the text) if it holds none."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: the parser's words could quote what it read.
        raise AuthorityError(f"{path} is not an unencrypted PEM key", _restore(path.parent)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{path} is not an ECDSA key", _restore(path.parent))
    return key


def require_consistent(authority: Authority, directory: Path, now: datetime) -> None:
    """Raise `AuthorityError` unless keys, certificates and trust domain fit together.

    Of the dates only a start in the future counts; `Authority.renewed` judges the ends.
    """
    root, issuing = authority.roots[0], authority.issuing_certificate
    if root.public_key() != authority.root_key.public_key():
        raise AuthorityError(f"root-key.pem and root-cert.pem in {directory} differ", _restore(directory))
    if issuing.public_key() != authority.issuing_key.public_key():
        raise AuthorityError(f"ca-key.pem and ca-cert.pem in {directory} differ", _restore(directory))
    _require_signed(root, root, "root-cert.pem", directory)
    _require_signed(issuing, root, "ca-cert.pem", directory)
    for name, certificate in (("root-cert.pem", root), ("ca-cert.pem", issuing)):
        _require_authority(certificate, directory / name)
        _require_trust_domain(certificate, authority.trust_domain, directory / name)
    if now < issuing.not_valid_before_utc:
        raise AuthorityError(
            f"{directory / 'ca-cert.pem'} is valid only from {issuing.not_valid_before_utc.isoformat()}",
            f"correct this machine's clock, which says {now.isoformat(timespec='seconds')}",
        )


def _require_signed(certificate: x509.Certificate, by: x509.Certificate, name: str, directory: Path) -> None:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature) as error:
        message = f"{directory / name} is not signed by the root in {directory}"
        raise AuthorityError(message, _restore(directory)) from error


def _require_authority(certificate: x509.Certificate, path: Path) -> None:
    extensions = _extensions(certificate, path)
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        # Needed by every certificate that it signs.
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound as error:
        raise AuthorityError(f"{path} lacks the extensions of an authority", _restore(path.parent)) from error
    if not constraints.ca or not usage.key_cert_sign:
        raise AuthorityError(f"{path} may not sign certificates", _restore(path.parent))


def _require_trust_domain(certificate: x509.Certificate, trust_domain: str, path: Path) -> None:
    try:
        names = _extensions(certificate, path).get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return  # somebody's own authority, which need not be an SVID
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if uris and uris != [trust_domain_uri(trust_domain)]:
        raise AuthorityError(
            f"{path} is for {', '.join(uris)}, not for the trust domain {trust_domain}",
            "use the trust domain that it was made for, or another state directory",
        )


def _extensions(certificate: x509.Certificate, path: Path) -> x509.Extensions:
    try:
        return certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise AuthorityError(f"{path} has damaged extensions", _restore(path.parent)) from error


def _restore(directory: Path) -> str:
    return (
        f"restore {directory} from a backup, or remove it to start with a new authority"
        " (running workloads must then restart)"
    )
