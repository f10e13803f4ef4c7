"""The edge's certificates that Envoy will take, and a default one for every other name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.identity.ca import ServerCertificate, default_gateway_certificate
from meshgate.identity.secrets import tls_secret_problems
from meshgate.model.edge import Certificate
from meshgate.model.graph import Model

DEFAULT_NAME = "meshgate-system/default"
_default: list[ServerCertificate] = []


def usable_certificates(
    model: Model, now: datetime
) -> tuple[Mapping[str, Certificate], tuple[Diagnostic, ...]]:
    """Those of the model without the broken ones (MG3005), and the default certificate."""
    found: dict[str, Certificate] = {DEFAULT_NAME: _default_certificate(now)}
    problems: list[Diagnostic] = []
    for name, certificate in sorted(model.certificates.items()):
        wrong = tls_secret_problems(certificate.chain_pem, certificate.key_pem, now)
        if not wrong:
            found[name] = certificate
            continue
        namespace, _, secret = name.partition("/")
        problems.append(
            Diagnostic(
                severity=Severity.ERROR,
                code="MG3005",
                origin=certificate.origin,
                object=ObjectRef("Secret", namespace, secret),
                field=("data",),
                message="; ".join(wrong),
                remedy="until then its hosts show the default certificate",
            )
        )
    return found, tuple(problems)


def _default_certificate(now: datetime) -> Certificate:
    """Self-signed, made once per run: names without a certificate of their own get it."""
    if not _default:
        _default.append(default_gateway_certificate(now))
    made = _default[0]
    return Certificate(name=DEFAULT_NAME, hosts=(), chain_pem=made.chain_pem, key_pem=made.key)
