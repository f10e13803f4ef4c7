"""Certificates that Ingresses name in `tls`. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from meshgate.core.findings import Findings
from meshgate.model.declared import EdgeRules, EdgeTls, SecretObject
from meshgate.model.edge import Certificate
from meshgate.model.linking.input import Input
from meshgate.model.names import Name


@dataclass(slots=True)
class _Use:
    """One Secret, and the hosts that it is shown for."""

    secret: SecretObject
    hosts: set[str] = field(default_factory=set)
    default: bool = False


def link_certificates(
    given: Input, edges: tuple[EdgeRules, ...], findings: Findings
) -> dict[str, Certificate]:
    """By `namespace/name` of the Secret; `edges` oldest first.

    A Secret that is missing or holds no matching pair is MG3005: its hosts get the default
    certificate on HTTPS and are served on HTTP all the same. Of two certificates for one
    host the older Ingress's is shown (MG3008).
    """
    uses: dict[Name, _Use] = {}
    owners: dict[str, Name] = {}
    for rules in edges:
        for tls in rules.tls:
            if not tls.secret_name:
                continue
            name = Name(rules.namespace, tls.secret_name)
            secret = _usable(name, tls, rules, given, findings)
            if secret is None:
                continue
            use = uses.setdefault(name, _Use(secret))
            use.default = use.default or not tls.hosts
            for host in (h.lower() for h in tls.hosts):
                owner = owners.setdefault(host, name)
                if owner == name:
                    use.hosts.add(host)
                    continue
                findings.warn(
                    "MG3008",
                    tls.origin,
                    rules.ref,
                    f"host {host} already has the certificate of Secret {owner}; {name} is not shown for it",
                    "name one Secret per host",
                )
    return {
        str(name): Certificate(
            name=str(name),
            hosts=() if use.default else tuple(sorted(use.hosts)),
            chain_pem=use.secret.data["tls.crt"].reveal(),
            key_pem=use.secret.data["tls.key"],
            origin=use.secret.origin,
        )
        for name, use in sorted(uses.items())
        if use.default or use.hosts
    }


def joined(ingress: Mapping[str, Certificate], servers: Mapping[str, Certificate]) -> dict[str, Certificate]:
    """Certificates of Ingresses and of Gateway servers; a Secret that both use is one of them."""
    found = dict(servers)
    for name, certificate in ingress.items():
        other = servers.get(name)
        found[name] = (
            replace(certificate, ca_pem=other.ca_pem, crl_pem=other.crl_pem) if other else certificate
        )
    return dict(sorted(found.items()))


def _usable(
    name: Name, tls: EdgeTls, rules: EdgeRules, given: Input, findings: Findings
) -> SecretObject | None:
    secret = given.secrets.get(name)
    problem = given.absence("Secret", name) if secret is None else _problem(secret)
    if problem:
        findings.error(
            "MG3005",
            tls.origin,
            rules.ref,
            f"Secret {name} {problem}; HTTPS for its hosts shows the default certificate",
            "add a Secret of type kubernetes.io/tls with tls.crt and tls.key",
        )
        return None
    return secret


def _problem(secret: SecretObject) -> str:
    """Why Envoy could not use the pair; empty where it can. Quotes nothing of it."""
    missing = [key for key in ("tls.crt", "tls.key") if not secret.data.get(key)]
    if missing:
        return f"has no {' and no '.join(missing)}"
    try:
        chain = load_pem_x509_certificates(secret.data["tls.crt"].reveal())
        key = load_pem_private_key(secret.data["tls.key"].reveal(), password=None)
        shown = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        held = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "does not hold a certificate and a private key as PEM text"
    return "" if shown == held else "holds a key that is not the certificate's"
