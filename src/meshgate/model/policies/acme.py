"""Kong's `acme`: certificates for the hosts of routes, from an authority that checks who serves them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret


class KeyType(enum.Enum):
    RSA = "rsa"
    ECC = "ecc"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeAccount:
    """Who asks which authority."""

    api_uri: str
    """The authority's directory."""
    email: str
    tos_accepted: bool = False
    eab_kid: str = ""
    """Names an account that is there outside of ACME; empty for none."""
    eab_hmac_key: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acme:
    """The plugin on a route: its hosts get certificates where `domains` lets them."""

    account: AcmeAccount
    domains: tuple[str, ...] = ()
    """Names, or `*.example.com` for every name one level below."""
    any_domain: bool = False
    key_type: KeyType = KeyType.RSA
    rsa_bits: int = 4096
    renew_before_days: int = 14
    backoff_minutes: int = 5
    """After a failure nothing is asked for that host for so long."""
    preferred_chain: str = ""
    """Common name of the root whose chain is taken where the authority offers several."""
    origin: Origin = BUILT_IN

    def covers(self, host: str) -> bool:
        """Whether a host may get a certificate."""
        return self.any_domain or host in self.domains or f"*.{host.partition('.')[2]}" in self.domains
