"""SPIFFE IDs as Istio writes them: `spiffe://<trust-domain>/ns/<namespace>/sa/<service account>`.

Follows the SPIFFE ID specification 1.0 for the trust domain (lower case letters, digits,
`.`, `-`, `_`; at most 255) and Kubernetes for the two names (RFC 1123 label and subdomain).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_ID_BYTES = 2048
"""What every SPIFFE implementation must accept; longer text is refused unread."""

_SCHEME = "spiffe://"
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """The identity of every workload that runs under one service account.

    Raises `ValueError` where a part is not well formed, so an instance is always printable
    as a valid SPIFFE ID.
    """

    trust_domain: str
    namespace: str
    """RFC 1123 label, at most 63 characters."""
    service_account: str
    """RFC 1123 subdomain, at most 253 characters."""

    def __post_init__(self) -> None:
        for problem in (
            trust_domain_problem(self.trust_domain),
            _namespace_problem(self.namespace),
            _service_account_problem(self.service_account),
        ):
            if problem:
                raise ValueError(problem)

    def __str__(self) -> str:
        return f"{trust_domain_uri(self.trust_domain)}/ns/{self.namespace}/sa/{self.service_account}"

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """The ID that `text` spells; the inverse of `str`. Raises `ValueError` with the reason.

        Strict: no upper case, percent-encoding, port, query, fragment or trailing slash, so
        that one identity has one spelling and comparing text compares identities.
        """
        if len(text) > MAX_ID_BYTES:
            raise ValueError(f"a SPIFFE ID has at most {MAX_ID_BYTES} bytes, got {len(text)} characters")
        if not text.startswith(_SCHEME):
            raise ValueError(f"a SPIFFE ID starts with {_SCHEME}, got {_shown(text)}")
        match text.removeprefix(_SCHEME).split("/"):
            case [trust_domain, "ns", namespace, "sa", service_account]:
                return cls(trust_domain, namespace, service_account)
            case _:
                raise ValueError(f"must be {_SCHEME}<trust-domain>/ns/<ns>/sa/<sa>, got {_shown(text)}")


def trust_domain_uri(trust_domain: str) -> str:
    """The SPIFFE ID of a trust domain itself, which its signing certificates carry."""
    return f"{_SCHEME}{trust_domain}"


def trust_domain_problem(text: str) -> str:
    """Why `text` cannot be a trust domain, or an empty string if it can."""
    if _TRUST_DOMAIN.fullmatch(text):
        return ""
    return f"a trust domain is 1-255 of a-z, 0-9, '.', '-', '_', got {_shown(text)}"


def _namespace_problem(text: str) -> str:
    if _LABEL.fullmatch(text):
        return ""
    return f"a namespace is an RFC 1123 label of at most 63 characters, got {_shown(text)}"


def _service_account_problem(text: str) -> str:
    # Kubernetes limits the whole subdomain to 253, not each of its labels to 63.
    if len(text) <= 253 and all(
        part and part[0] != "-" and part[-1] != "-" and _TRUST_DOMAIN.fullmatch(part) and "_" not in part
        for part in text.split(".")
    ):
        return ""
    return f"a service account is an RFC 1123 subdomain of at most 253 characters, got {_shown(text)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
