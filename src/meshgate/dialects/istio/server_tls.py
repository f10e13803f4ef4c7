"""`tls` of a Gateway's server: its certificates, whose clients it takes, and how it speaks TLS.

Fields follow Istio 1.27. What cannot be had closes the server, and the others stay open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.certificate_files import CertificateHash, FilePath, Spki
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.edge import PairFiles
from meshgate.model.gateway import ServerTls, ServerTlsMode

Version = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]
_ENDS_TLS = (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)
_CHECKS_CLIENTS = (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)
_UNCHECKED = "clients cannot be checked halfway; the server is not opened"


class PairSpec(Spec):
    """Istio's `TLSCertificate`."""

    server_certificate: FilePath = ""
    private_key: FilePath = ""
    ca_certificates: FilePath = ""


class ServerTlsSpec(PairSpec):
    """Istio's `ServerTLSSettings`; one of the fields in `CLOSING` closes its server alone."""

    CLOSING: ClassVar[Mapping[str, str]] = {"insecureSkipVerify": _UNCHECKED}

    insecure_skip_verify: object = None
    ca_crl: FilePath = ""
    ca_cert_credential_name: str = ""
    tls_certificates: Items[PairSpec] = ()
    verify_certificate_spki: Items[Spki] = ()
    verify_certificate_hash: Items[CertificateHash] = ()
    https_redirect: bool = False
    mode: (
        Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]
        | None
    ) = None
    credential_name: str = ""
    credential_names: Items[str] = ()
    min_protocol_version: Version = "TLS_AUTO"
    max_protocol_version: Version = "TLS_AUTO"
    cipher_suites: Items[str] = ()
    subject_alt_names: Items[str] = ()


def lower_server_tls(
    spec: ServerTlsSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> tuple[ServerTls | None, str]:
    """The settings, or why the server must stay closed (MG1104); MG2003 and MG2006 for what does not fit."""
    if spec.insecure_skip_verify not in (None, False):
        said.append(problem(document, "MG1104", (*path, "insecureSkipVerify"), _UNCHECKED))
        return None, "insecureSkipVerify is not supported"

    def wrong(code: str, field: str, message: str, remedy: str = "") -> None:
        said.append(problem(document, code, (*path, field), message, remedy=remedy))

    mode = ServerTlsMode(spec.mode or "SIMPLE")
    names = spec.credential_names or ((spec.credential_name,) if spec.credential_name else ())
    pairs = _pairs(spec)
    signers = spec.ca_certificates or next((p.ca_certificates for p in pairs if p.ca_certificates), "")
    for pair in pairs:
        if not (pair.server_certificate and pair.private_key):
            wrong("MG2003", "privateKey", "serverCertificate and privateKey belong together")
    if mode in _ENDS_TLS and not names and not pairs:
        remedy = "add a Secret of type kubernetes.io/tls and name it"
        wrong("MG2003", "credentialName", f"mode {mode.value} needs the name of a Secret", remedy)
    if names and pairs:
        wrong("MG2006", "credentialName", "cannot be set together with certificates from files")
    if mode not in _ENDS_TLS and (names or pairs):
        field = "credentialName" if names else "serverCertificate"
        wrong("MG2006", field, f"has no place beside mode {mode.value}")
    if mode in _CHECKS_CLIENTS and pairs and not signers and not spec.ca_cert_credential_name:
        wrong("MG2003", "caCertificates", f"mode {mode.value} needs the authorities of its clients")
    if signers and spec.ca_cert_credential_name:
        wrong("MG2006", "caCertCredentialName", "cannot be set together with caCertificates")
    if spec.ca_crl and not signers:
        remedy = "put it into the Secret of the authorities as ca.crl"
        wrong("MG2006", "caCrl", "goes with caCertificates", remedy)
    if mode not in (*_CHECKS_CLIENTS, ServerTlsMode.ISTIO_MUTUAL):
        for field, value in (
            ("verifyCertificateSpki", spec.verify_certificate_spki),
            ("verifyCertificateHash", spec.verify_certificate_hash),
        ):
            if value:
                wrong(
                    "MG2006", field, f"has no place beside mode {mode.value}, which asks clients for nothing"
                )
    return ServerTls(
        mode=mode,
        credentials=tuple(n.removeprefix("kubernetes://") for n in names),
        files=tuple(PairFiles(chain=p.server_certificate, key=p.private_key) for p in pairs),
        authorities=spec.ca_cert_credential_name.removeprefix("kubernetes://"),
        authorities_file=signers,
        crl_file=spec.ca_crl,
        public_keys=spec.verify_certificate_spki,
        hashes=spec.verify_certificate_hash,
        min_version=_version(spec.min_protocol_version),
        max_version=_version(spec.max_protocol_version),
        cipher_suites=spec.cipher_suites,
        subject_alt_names=spec.subject_alt_names,
    ), ""


def _pairs(spec: ServerTlsSpec) -> tuple[PairSpec, ...]:
    """Of several the list counts, as in Istio."""
    if spec.tls_certificates:
        return spec.tls_certificates
    return (spec,) if spec.server_certificate or spec.private_key else ()


def _version(written: Version) -> str:
    return "" if written == "TLS_AUTO" else written
