"""Consumers: who an API key or a token belongs to (Kong's word)."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtCredential:
    key: str
    """Value of the issuer claim that names this credential."""
    algorithm: str
    """JOSE name, e.g. `HS256`."""
    secret: Secret | None = None
    """For HS*: the shared key as written (base64 where the plugin says so)."""
    public_key_pem: str = ""
    """For RS*, PS*, ES*, EdDSA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCredential:
    id: str
    """Stable and not secret: a fingerprint of the key."""
    key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredential:
    username: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacCredential:
    username: str
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class MtlsCredential:
    """Kong's `mtls-auth` credential: a name in client certificates that stands for the consumer."""

    subject_name: str
    ca_id: str = ""
    """Id of the one authority whose certificates it is for; empty: of all that a plugin trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Credential:
    """Kong's `oauth2` credential: an application of the consumer's that may ask for tokens."""

    name: str
    client_id: str
    client_secret: Secret | None = None
    """None: the application is public and can keep none."""
    redirect_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMembership:
    """Kong's `acl` credential, which lets nobody in but says what its consumer belongs to."""

    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    id: str
    """A UUID made of the object's namespace and name (version 5), stable."""
    username: str
    custom_id: str = ""
    jwt: tuple[JwtCredential, ...] = ()
    keys: tuple[KeyCredential, ...] = ()
    basic: tuple[BasicCredential, ...] = ()
    hmac: tuple[HmacCredential, ...] = ()
    mtls: tuple[MtlsCredential, ...] = ()
    applications: tuple[OAuth2Credential, ...] = ()
    groups: tuple[str, ...] = ()
    """Of `acl` credentials."""
    consumer_groups: tuple[str, ...] = ()
    """Names of the KongConsumerGroups that it is in."""
    all_groups_known: bool = True
    """False where a credential Secret cannot be read: it may have named a group that is denied."""
    origin: Origin = BUILT_IN
