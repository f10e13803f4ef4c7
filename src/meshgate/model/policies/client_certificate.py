"""Kong's `mtls-auth` as data: a client's certificate says who asks."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policies.stages import Stage


class Revocation(enum.Enum):
    """What is asked about a certificate that its authority may have taken back."""

    SKIP = "SKIP"
    IGNORE_CA_ERROR = "IGNORE_CA_ERROR"
    """Who cannot be asked is taken to have nothing against it."""
    STRICT = "STRICT"
    """Only what is known to be good is let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who signs clients' certificates."""

    id: str
    """As plugins and credentials name it."""
    pem: str = ""
    """Found by `link`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MtlsAuth:
    """Kong's `mtls-auth`."""

    STAGE: ClassVar[Stage] = Stage.AUTHENTICATION
    PRIORITY: ClassVar[int] = 1600

    authorities: tuple[Authority, ...]
    consumer_by: tuple[str, ...] = ("username", "custom_id")
    skip_consumer_lookup: bool = False
    """Whoever has a good certificate may come, and is no consumer."""
    authenticated_group_by: str = "CN"
    """`CN` or `DN`: what of the certificate is the group, where no consumer is looked up."""
    default_consumer: str = ""
    """Username or id of who it is where a good certificate is no consumer's."""
    allow_partial_chain: bool = False
    """An authority that is not a root may be where trust begins."""
    send_ca_dn: bool = False
    revocation: Revocation = Revocation.IGNORE_CA_ERROR
    revocation_timeout_ms: float = 30_000
    revocation_cache_s: float = 60_000
    http_proxy: str = ""
    """`http://HOST:PORT` through which authorities are asked; empty: directly."""
    https_proxy: str = ""
    anonymous: str = ""
    origin: Origin = BUILT_IN

    @property
    def deadline_ms(self) -> int:
        """Authorities may be asked, two in a row for each certificate of the chain."""
        return 1000 if self.revocation is Revocation.SKIP else int(2 * self.revocation_timeout_ms) + 1000

    @property
    def max_body_bytes(self) -> int:
        """Of the body nothing is needed."""
        return 0
