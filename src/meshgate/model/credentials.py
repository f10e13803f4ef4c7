"""Reads a consumer's credential out of a Secret, the way Kong's ingress controller does.

The label `konghq.com/credential` says of which type it is. Kong invents what a credential
leaves out (a jwt `key`, its `secret`); here that is an error, because nobody could learn
the invented value, and a restart would change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.core.secret import Secret
from meshgate.model.consumer import (
    BasicCredential,
    GroupMembership,
    HmacCredential,
    JwtCredential,
    KeyCredential,
    MtlsCredential,
    OAuth2Credential,
)
from meshgate.model.declared import SecretObject

CREDENTIAL_LABEL = "konghq.com/credential"
"""The label whose value is the credential's type."""

SHARED_KEY_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})

_CURVES = MappingProxyType({"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"})
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ALGORITHMS = SHARED_KEY_ALGORITHMS | _RSA_ALGORITHMS | frozenset(_CURVES) | {"EdDSA"}
"""What a jwt credential may name (Kong 3.9; `none` is none of them)."""

_MINIMUM_RSA_BITS = 1024
"""Shorter keys have been factored in public; whoever does that signs tokens of their own."""

_UNSUPPORTED_TYPES = frozenset({"konnect"})
_BASIC_AUTH_KEYS = frozenset({"username", "password"})
_HMAC_AUTH_KEYS = frozenset({"username", "secret"})
_MTLS_AUTH_KEYS = frozenset({"subject_name", "ca_certificate"})
_OAUTH2_KEYS = frozenset(
    {"name", "client_id", "client_secret", "redirect_uris", "client_type", "hash_secret"}
)
_ACL_KEYS = frozenset({"group"})
_TYPES = frozenset({"jwt", "key-auth", "basic-auth", "hmac-auth", "mtls-auth", "oauth2", "acl"})
_JWT_KEYS = frozenset({"key", "secret", "algorithm", "rsa_public_key"})
_KEY_AUTH_KEYS = frozenset({"key"})
_WITHOUT_EFFECT = frozenset({"id", "tags", "kongCredType"})
"""Known to Kong, with no influence on who gets in."""

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
    reading = _Reading(secret)
    return reading.credential(), tuple(reading.diagnostics)


class _Reading:
    """One reading of one Secret; collects what is wrong with it."""

    def __init__(self, secret: SecretObject) -> None:
        self._secret = secret
        self._data: Mapping[str, Secret] = secret.data
        self.diagnostics: list[Diagnostic] = []

    def credential(self) -> Credential | None:
        kind = credential_type(self._secret)
        match kind:
            case "jwt":
                self._check_keys(_JWT_KEYS)
                found: Credential | None = self._jwt()
            case "key-auth":
                self._check_keys(_KEY_AUTH_KEYS)
                found = self._key()
            case "basic-auth":
                self._check_keys(_BASIC_AUTH_KEYS)
                found = self._basic()
            case "hmac-auth":
                self._check_keys(_HMAC_AUTH_KEYS)
                found = self._hmac()
            case "mtls-auth":
                self._check_keys(_MTLS_AUTH_KEYS)
                found = self._mtls()
            case "oauth2":
                self._check_keys(_OAUTH2_KEYS)
                found = self._oauth2()
            case "acl":
                self._check_keys(_ACL_KEYS)
                found = self._group()
            case "":
                old = self._text("kongCredType") if "kongCredType" in self._data else None
                wanted = old if old in _TYPES else "jwt (or key-auth, basic-auth, hmac-auth, mtls-auth, acl)"
                self._error(
                    f"has no label {CREDENTIAL_LABEL}, so its type is not known",
                    f"add the label {CREDENTIAL_LABEL}: {wanted}",
                    ("metadata", "labels"),
                )
                return None
            case _:
                known = "is not supported yet" if kind in _UNSUPPORTED_TYPES else "is unknown"
                self._error(
                    f"credential type {kind[:64]!r} {known}; nobody gets in by it",
                    "use jwt, key-auth, basic-auth, hmac-auth, mtls-auth or oauth2",
                    ("metadata", "labels", CREDENTIAL_LABEL),
                )
                return None
        return None if any(d.severity is Severity.ERROR for d in self.diagnostics) else found

    def _check_keys(self, known: frozenset[str]) -> None:
        for name in sorted(self._data.keys() - known):
            if name in _WITHOUT_EFFECT:
                self._report(Severity.WARNING, "has no effect here", "", ("data", name))
            elif name == "ttl":
                self._error(
                    "keys that expire are not supported; the key is refused from the start",
                    "remove ttl, and delete the Secret when the key is to end",
                    ("data", name),
                )
            else:
                self._error(
                    "is not a key of this credential type",
                    f"allowed are {', '.join(sorted(known))}",
                    ("data", name),
                )

    def _key(self) -> KeyCredential | None:
        if "key" not in self._data or self._text("key") == "":
            self._error(
                "a key-auth credential needs a key; Kong would invent one",
                "set data.key or stringData.key",
                ("data", "key"),
            )
            return None
        if self._line("key") is None:
            return None
        if "," in (self._text("key") or ""):
            message = "can be sent in the query alone: a header with a comma in it counts as two keys"
            self._report(Severity.WARNING, message, "choose a key without a comma", ("data", "key"))
        key = self._data["key"]
        return KeyCredential(id=key.fingerprint(), key=key)

    def _basic(self) -> BasicCredential | None:
        username = self._line("username") if "username" in self._data else ""
        if username == "":
            self._error(
                "a basic-auth credential needs a username",
                "set data.username or stringData.username",
                ("data", "username"),
            )
        elif username is not None and (":" in username or username.startswith("#")):
            self._error(
                "must have no colon in it and no # at its start, because it could not be sent or stored",
                "choose another username",
                ("data", "username"),
            )
        password = self._shared("password", "a basic-auth credential needs a password")
        return BasicCredential(username=username, password=password) if username and password else None

    def _hmac(self) -> HmacCredential | None:
        username = self._line("username") if "username" in self._data else ""
        if username == "":
            self._error(
                "an hmac-auth credential needs a username",
                "set data.username or stringData.username",
                ("data", "username"),
            )
        elif username is not None and '"' in username:
            self._error(
                "must have no quotation mark in it, because it could not be sent",
                "choose another username",
                ("data", "username"),
            )
        secret = self._shared("secret", "an hmac-auth credential needs a secret; Kong would invent one")
        return HmacCredential(username=username, secret=secret) if username and secret else None

    def _mtls(self) -> MtlsCredential | None:
        subject = self._line("subject_name") if "subject_name" in self._data else ""
        if subject == "":
            self._error(
                "an mtls-auth credential needs a subject_name",
                "set data.subject_name or stringData.subject_name",
                ("data", "subject_name"),
            )
        authority = self._line("ca_certificate") if "ca_certificate" in self._data else ""
        if not subject or authority is None:
            return None
        return MtlsCredential(subject_name=subject, ca_id=authority)

    def _oauth2(self) -> OAuth2Credential | None:
        name = self._line("name") if "name" in self._data else ""
        client = self._line("client_id") if "client_id" in self._data else ""
        for field, value in (("name", name), ("client_id", client)):
            if value == "":
                self._error(
                    f"an oauth2 credential needs a {field}; Kong would invent a client_id",
                    f"set data.{field} or stringData.{field}",
                    ("data", field),
                )
        kind = self._text("client_type") if "client_type" in self._data else "confidential"
        if kind not in ("confidential", "public"):
            self._error("must be confidential or public", "", ("data", "client_type"))
        secret = None
        if kind == "confidential":
            secret = self._shared("client_secret", "an oauth2 credential needs a client_secret")
        elif "client_secret" in self._data:
            self._error("a public client has no secret", "remove it", ("data", "client_secret"))
        text = self._text("redirect_uris") if "redirect_uris" in self._data else ""
        uris = tuple(text.replace(",", " ").split()) if text is not None else ()
        if text is None or not all(_is_redirect_uri(uri) for uri in uris):
            self._error(
                "must be absolute addresses without a fragment, separated by commas",
                "",
                ("data", "redirect_uris"),
            )
        if not name or not client or (kind == "confidential" and secret is None):
            return None
        return OAuth2Credential(name=name, client_id=client, client_secret=secret, redirect_uris=uris)

    def _group(self) -> GroupMembership | None:
        group = self._line("group") if "group" in self._data else ""
        if group == "":
            self._error(
                "an acl credential needs a group", "set data.group or stringData.group", ("data", "group")
            )
        return GroupMembership(group=group) if group else None

    def _jwt(self) -> JwtCredential | None:
        key = self._line("key") if "key" in self._data else None
        if not self._data.get("key", Secret(b"")).reveal():
            self._error(
                "a jwt credential needs a key, the value of the token's issuer claim; Kong would invent one",
                "set data.key or stringData.key",
                ("data", "key"),
            )
        algorithm = self._algorithm()
        if algorithm is None:
            return None
        if algorithm in SHARED_KEY_ALGORITHMS:
            secret = self._shared_key(algorithm)
            return JwtCredential(key=key, algorithm=algorithm, secret=secret) if key and secret else None
        pem = self._public_key(algorithm)
        return JwtCredential(key=key, algorithm=algorithm, public_key_pem=pem) if key and pem else None

    def _algorithm(self) -> str | None:
        if "algorithm" not in self._data:
            return "HS256"
        algorithm = self._text("algorithm")
        if algorithm in ALGORITHMS:
            return algorithm
        shown = repr(algorithm[:32]) if algorithm is not None else "bytes that are no text"
        self._error(f"must be one of {', '.join(sorted(ALGORITHMS))}, got {shown}", "", ("data", "algorithm"))
        return None

    def _shared_key(self, algorithm: str) -> Secret | None:
        return self._shared("secret", f"{algorithm} needs a secret; Kong would invent one")

    def _shared(self, name: str, missing: str) -> Secret | None:
        secret = self._data.get(name)
        if secret is None or not secret.reveal():
            self._error(missing, f"set data.{name} or stringData.{name}", ("data", name))
            return None
        if secret.reveal().endswith(b"\n"):
            self._report(
                Severity.WARNING,
                f"ends with a line break, which counts as part of the {name}",
                "encode it without one (printf, not echo) unless that is meant",
                ("data", name),
            )
        return secret

    def _public_key(self, algorithm: str) -> str | None:
        path = ("data", "rsa_public_key")
        pem = self._text("rsa_public_key") if "rsa_public_key" in self._data else ""
        if not pem:
            self._error(f"{algorithm} needs a public key", "set rsa_public_key to its PEM text", path)
            return None
        if "PRIVATE KEY" in pem:
            self._error("is a private key", "give its public half, and replace the key pair", path)
            return None
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            self._error("must be a public key as PEM text (BEGIN PUBLIC KEY)", "", path)
            return None
        match key:
            case RSAPublicKey():
                fits = algorithm in _RSA_ALGORITHMS and key.key_size >= _MINIMUM_RSA_BITS
                found = f"RSA with {key.key_size} bits"
            case EllipticCurvePublicKey():
                fits = key.curve.name == _CURVES.get(algorithm)
                found = f"an elliptic curve {key.curve.name}"
            case Ed25519PublicKey():
                fits, found = algorithm == "EdDSA", "Ed25519"
            case _:
                fits, found = False, "of another type"
        if not fits:
            self._error(f"must be {_wanted_key(algorithm)} for {algorithm}, is {found}", "", path)
            return None
        return pem

    def _text(self, name: str) -> str | None:
        try:
            return self._data[name].reveal_text()
        except UnicodeDecodeError:
            return None

    def _line(self, name: str) -> str | None:
        """The value if a header or a token can hold it; reports it otherwise."""
        text = self._text(name)
        if text is None or not text.isprintable() or text != text.strip():
            self._error(
                "must be text without line breaks, control characters or spaces around it, "
                "because no request could match it otherwise",
                "encode it without a line break (printf, not echo)",
                ("data", name),
            )
            return None
        return text

    def _error(self, message: str, remedy: str, path: tuple[str, ...]) -> None:
        self._report(Severity.ERROR, message, remedy, path)

    def _report(self, severity: Severity, message: str, remedy: str, path: tuple[str, ...]) -> None:
        name = self._secret.name
        self.diagnostics.append(
            Diagnostic(
                severity=severity,
                code="MG2105",
                origin=self._secret.origin,
                message=message,
                object=ObjectRef("Secret", name.namespace, name.name),
                field=path,
                remedy=remedy,
            )
        )


def _is_redirect_uri(text: str) -> bool:
    scheme, colon, rest = text.partition(":")
    known = scheme.isascii() and scheme[:1].isalpha() and scheme.lower() not in ("javascript", "data")
    return known and bool(colon and rest) and text.isprintable() and "#" not in text


def _wanted_key(algorithm: str) -> str:
    if algorithm in _RSA_ALGORITHMS:
        return f"RSA with at least {_MINIMUM_RSA_BITS} bits"
    return f"on the curve {_CURVES[algorithm]}" if algorithm in _CURVES else "Ed25519"
