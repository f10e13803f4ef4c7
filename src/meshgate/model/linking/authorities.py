"""Authorities that Kong's `mtls-auth` names by id, out of Secrets. Internal to `link`.

A Secret with the label `konghq.com/ca-cert: "true"` holds an `id` and a `cert` (or `ca.crt`), as
Kong's ingress controller 3.5 reads it; its namespace does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import BasicConstraints, Certificate, ExtensionNotFound, load_pem_x509_certificate

from meshgate.core.secret import Secret
from meshgate.model.linking.input import Input
from meshgate.model.policies.client_certificate import Authority, MtlsAuth

LABEL = "konghq.com/ca-cert"


class Authorities:
    """Finds authorities by their ids."""

    def __init__(self, given: Input) -> None:
        self._found: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        for name, secret in sorted(given.secrets.items()):
            if secret.labels.get(LABEL) != "true":
                continue
            authority = _text(secret.data, "id")
            pem = _text(secret.data, "cert") or _text(secret.data, "ca.crt")
            problem = _problem(pem)
            if authority in self._found and pem.strip() != self._found[authority].strip():
                problem = "is the id of two Secrets with different certificates"
            self._found.setdefault(authority, pem)
            if problem:
                self._problems[authority] = f"{problem} (Secret {name})"

    def fill(self, policy: MtlsAuth) -> tuple[MtlsAuth, str]:
        """The policy with its certificates, and why it cannot be carried out (empty: it can)."""
        for one in policy.authorities:
            if one.id not in self._found:
                return policy, f'there is no Secret with the label {LABEL}: "true" and id {one.id}'
            if one.id in self._problems:
                return policy, f"authority {one.id} {self._problems[one.id]}"
        found = tuple(Authority(id=one.id, pem=self._found[one.id]) for one in policy.authorities)
        roots = any(_is_root(one.pem) for one in found)
        if not roots and not policy.allow_partial_chain:
            return policy, "none of ca_certificates is a root, and allow_partial_chain is not set"
        return replace(policy, authorities=found), ""


def _text(data: Mapping[str, Secret], key: str) -> str:
    try:
        return data[key].reveal_text() if key in data else ""
    except UnicodeDecodeError:
        return ""


def _read(pem: str) -> Certificate | None:
    try:
        return load_pem_x509_certificate(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None


def _is_root(pem: str) -> bool:
    found = _read(pem)
    return found is not None and found.issuer == found.subject


def _problem(pem: str) -> str:
    """What is wrong with an authority's certificate; empty for nothing."""
    found = _read(pem)
    if found is None:
        return "has no certificate that can be read: cert must be PEM text"
    if pem.count("-----BEGIN CERTIFICATE") > 1:
        return "has several certificates: give each a Secret of its own"
    try:
        basic = found.extensions.get_extension_for_class(BasicConstraints)
    except (ExtensionNotFound, ValueError):
        return "may not sign others: its basicConstraints do not say CA"
    return "" if basic.value.ca else "may not sign others: its basicConstraints do not say CA"
