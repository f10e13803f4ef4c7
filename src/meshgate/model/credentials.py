"""Reads a consumer's credential out of a Secret, the way Kong's ingress controller does.

The label `konghq.com/credential` says of which type it is. Kong invents what a credential
leaves out (a jwt `key`, its `secret`); here that is an error, because nobody could learn
the invented value, and a restart would change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.model.consumer import (
    BasicCredential,
    GroupMembership,
    HmacCredential,
    JwtCredential,
    KeyCredential,
    MtlsCredential,
    OAuth2Credential,
)
from meshgate.model.credential_fields import CredentialFields
from meshgate.model.declared import SecretObject
from meshgate.model.jwt_credential import JWT_KEYS, read_jwt

CREDENTIAL_LABEL = "konghq.com/credential"
"""The label whose value is the credential's type."""

_UNSUPPORTED_TYPES = frozenset({"konnect"})
_OAUTH2_KEYS = frozenset(
    {"name", "client_id", "client_secret", "redirect_uris", "client_type", "hash_secret"}
)

Credential = (
    JwtCredential
    | KeyCredential
    | BasicCredential
    | HmacCredential
    | MtlsCredential
    | OAuth2Credential
    | GroupMembership
)


def credential_type(secret: SecretObject) -> str:
    """The type that the Secret's label names; empty where it has none."""
    return secret.labels.get(CREDENTIAL_LABEL, "")


def read_credential(secret: SecretObject) -> tuple[Credential | None, tuple[Diagnostic, ...]]:
    """The credential in a Secret, or None and why not (MG2105; nothing secret is quoted)."""
    fields = CredentialFields(secret)
    kind = credential_type(secret)
    reader = _READERS.get(kind)
    if reader is None:
        _unknown_type(fields, kind)
        return None, tuple(fields.diagnostics)
    keys, read = reader
    fields.check_keys(keys)
    found = read(fields)
    return None if has_errors(fields.diagnostics) else found, tuple(fields.diagnostics)


def _unknown_type(fields: CredentialFields, kind: str) -> None:
    if kind:
        known = "is not supported yet" if kind in _UNSUPPORTED_TYPES else "is unknown"
        fields.error(
            f"credential type {kind[:64]!r} {known}; nobody gets in by it",
            f"use one of {', '.join(_READERS)}",
            ("metadata", "labels", CREDENTIAL_LABEL),
        )
        return
    old = fields.text("kongCredType") if "kongCredType" in fields.data else None
    wanted = old if old in _READERS else "jwt (or key-auth, basic-auth, hmac-auth, mtls-auth, acl)"
    fields.error(
        f"has no label {CREDENTIAL_LABEL}, so its type is not known",
        f"add the label {CREDENTIAL_LABEL}: {wanted}",
        ("metadata", "labels"),
    )


def _key(fields: CredentialFields) -> KeyCredential | None:
    if "key" not in fields.data or fields.text("key") == "":
        fields.error(
            "a key-auth credential needs a key; Kong would invent one",
            "set data.key or stringData.key",
            ("data", "key"),
        )
        return None
    if fields.line("key") is None:
        return None
    if "," in (fields.text("key") or ""):
        message = "can be sent in the query alone: a header with a comma in it counts as two keys"
        fields.report(Severity.WARNING, message, "choose a key without a comma", ("data", "key"))
    key = fields.data["key"]
    return KeyCredential(id=key.fingerprint(), key=key)


def _basic(fields: CredentialFields) -> BasicCredential | None:
    username = fields.needed_line("username", "a basic-auth credential needs a username")
    if username is not None and (":" in username or username.startswith("#")):
        fields.error(
            "must have no colon in it and no # at its start, because it could not be sent or stored",
            "choose another username",
            ("data", "username"),
        )
    password = fields.secret("password", "a basic-auth credential needs a password")
    return BasicCredential(username=username, password=password) if username and password else None


def _hmac(fields: CredentialFields) -> HmacCredential | None:
    username = fields.needed_line("username", "an hmac-auth credential needs a username")
    if username is not None and '"' in username:
        fields.error(
            "must have no quotation mark in it, because it could not be sent",
            "choose another username",
            ("data", "username"),
        )
    secret = fields.secret("secret", "an hmac-auth credential needs a secret; Kong would invent one")
    return HmacCredential(username=username, secret=secret) if username and secret else None


def _mtls(fields: CredentialFields) -> MtlsCredential | None:
    subject = fields.needed_line("subject_name", "an mtls-auth credential needs a subject_name")
    authority = fields.line("ca_certificate") if "ca_certificate" in fields.data else ""
    if not subject or authority is None:
        return None
    return MtlsCredential(subject_name=subject, ca_id=authority)


def _oauth2(fields: CredentialFields) -> OAuth2Credential | None:
    name = fields.needed_line("name", "an oauth2 credential needs a name")
    client = fields.needed_line("client_id", "an oauth2 credential needs a client_id; Kong would invent one")
    kind = fields.text("client_type") if "client_type" in fields.data else "confidential"
    if kind not in ("confidential", "public"):
        fields.error("must be confidential or public", "", ("data", "client_type"))
    secret = None
    if kind == "confidential":
        secret = fields.secret("client_secret", "an oauth2 credential needs a client_secret")
    elif "client_secret" in fields.data:
        fields.error("a public client has no secret", "remove it", ("data", "client_secret"))
    text = fields.text("redirect_uris") if "redirect_uris" in fields.data else ""
    uris = tuple(text.replace(",", " ").split()) if text is not None else ()
    if text is None or not all(_is_redirect_uri(uri) for uri in uris):
        fields.error(
            "must be absolute addresses without a fragment, separated by commas",
            "",
            ("data", "redirect_uris"),
        )
    if not name or not client or (kind == "confidential" and secret is None):
        return None
    return OAuth2Credential(name=name, client_id=client, client_secret=secret, redirect_uris=uris)


def _group(fields: CredentialFields) -> GroupMembership | None:
    group = fields.needed_line("group", "an acl credential needs a group")
    return GroupMembership(group=group) if group else None


def _is_redirect_uri(text: str) -> bool:
    scheme, colon, rest = text.partition(":")
    known = scheme.isascii() and scheme[:1].isalpha() and scheme.lower() not in ("javascript", "data")
    return known and bool(colon and rest) and text.isprintable() and "#" not in text


_Reader = Callable[[CredentialFields], Credential | None]
_READERS: Mapping[str, tuple[frozenset[str], _Reader]] = MappingProxyType(
    {
        "jwt": (JWT_KEYS, read_jwt),
        "key-auth": (frozenset({"key"}), _key),
        "basic-auth": (frozenset({"username", "password"}), _basic),
        "hmac-auth": (frozenset({"username", "secret"}), _hmac),
        "mtls-auth": (frozenset({"subject_name", "ca_certificate"}), _mtls),
        "oauth2": (_OAUTH2_KEYS, _oauth2),
        "acl": (frozenset({"group"}), _group),
    }
)
"""Type -> the keys of its Secrets, and how to read them."""
