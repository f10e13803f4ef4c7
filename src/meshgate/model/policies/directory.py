"""Kong's `ldap-auth` as data: a directory knows the password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policies.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapAuth:
    """Kong's `ldap-auth`: whoever can bind as `ATTRIBUTE=USERNAME,BASE_DN` gets in."""

    STAGE: ClassVar[Stage] = Stage.AUTHENTICATION
    PRIORITY: ClassVar[int] = 1200

    host: str
    """A DNS name or address; the name of a Service of ours leads to its pods."""
    port: int = 389
    ldaps: bool = False
    start_tls: bool = False
    verify_host: bool = False
    """Whether the directory's certificate must be good, and its own."""
    base_dn: str
    attribute: str
    cache_s: float = 60
    """How long a good password is good without asking."""
    timeout_ms: float = 10_000
    hide_credentials: bool = False
    header_type: str = "ldap"
    """The word before the credentials."""
    realm: str = ""
    anonymous: str = ""
    origin: Origin = BUILT_IN

    @property
    def deadline_ms(self) -> int:
        """Both of the headers may hold credentials."""
        return int(2 * self.timeout_ms) + 1000

    @property
    def max_body_bytes(self) -> int:
        """Of the body nothing is needed."""
        return 0
