"""What a credential Secret may hold, and what is said about one that holds something else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from meshgate.core.origin import Origin
from meshgate.core.secret import Secret
from meshgate.model.consumer import HmacCredential, JwtCredential, KeyCredential, MtlsCredential
from meshgate.model.credentials import Credential, credential_type, read_credential
from meshgate.model.declared import SecretObject
from meshgate.model.names import Name

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    """The public half as PEM text."""
    encoding, shape = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, shape).decode()


def private(key: rsa.RSAPrivateKey) -> str:
    """The private half as PEM text."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def read(kind: str, **data: str | bytes) -> tuple[Credential | None, list[str]]:
    """The credential in a Secret with this label and data, and what was said (severity, field, text)."""
    secret = SecretObject(
        name=Name("shop", "alice"),
        type="Opaque",
        labels={"konghq.com/credential": kind} if kind else {},
        data={k: Secret(v if isinstance(v, bytes) else v.encode()) for k, v in data.items()},
        origin=Origin("creds.yaml", 3, 1),
    )
    credential, diagnostics = read_credential(secret)
    assert credential_type(secret) == kind
    assert all(d.origin == secret.origin and d.code == "MG2105" for d in diagnostics)
    return credential, [
        f"{d.severity.value} {str(d).partition(' Secret shop/alice ')[2]}" for d in diagnostics
    ]


def test_a_jwt_credential_is_hs256_unless_it_says_otherwise() -> None:
    credential, said = read("jwt", key="shop-issuer", secret="hush")
    assert isinstance(credential, JwtCredential)
    assert (credential.key, credential.algorithm) == ("shop-issuer", "HS256")
    assert credential.secret == Secret(b"hush")
    assert said == []


@pytest.mark.parametrize(
    ("algorithm", "pem"),
    [
        ("RS256", public(RSA)),
        ("PS512", public(RSA)),
        ("ES256", public(P256)),
        ("ES384", public(P384)),
        ("EdDSA", public(ED25519)),
    ],
)
def test_every_public_key_algorithm_takes_its_own_type_of_key(algorithm: str, pem: str) -> None:
    credential, said = read("jwt", key="iss", algorithm=algorithm, rsa_public_key=pem)
    assert credential == JwtCredential(key="iss", algorithm=algorithm, public_key_pem=pem)
    assert said == []


@pytest.mark.parametrize(
    ("algorithm", "pem", "message"),
    [
        (
            "RS256",
            public(P256),
            "must be RSA with at least 1024 bits for RS256, is an elliptic curve secp256r1",
        ),
        ("ES256", public(P384), "must be on the curve secp256r1 for ES256, is an elliptic curve secp384r1"),
        ("ES512", public(RSA), "must be on the curve secp521r1 for ES512, is RSA with 2048 bits"),
        ("EdDSA", public(RSA), "must be Ed25519 for EdDSA, is RSA with 2048 bits"),
        ("RS256", "no key", "must be a public key as PEM text (BEGIN PUBLIC KEY)"),
        ("RS256", private(RSA), "is a private key; give its public half, and replace the key pair"),
        ("RS256", "", "RS256 needs a public key; set rsa_public_key to its PEM text"),
    ],
)
def test_a_key_that_does_not_fit_its_algorithm_is_refused(algorithm: str, pem: str, message: str) -> None:
    credential, said = read("jwt", key="iss", algorithm=algorithm, rsa_public_key=pem)
    assert credential is None
    assert said == [f"error data.rsa_public_key: {message}"]


def test_what_kong_would_invent_must_be_given() -> None:
    credential, said = read("jwt")
    assert credential is None
    assert said == [
        (
            "error data.key: a jwt credential needs a key, the value "
            "of the token's issuer claim; Kong would invent one; set data.key or stringData.key"
        ),
        (
            "error data.secret: HS256 needs a secret; "
            "Kong would invent one; set data.secret or stringData.secret"
        ),
    ]


@pytest.mark.parametrize("algorithm", ["none", "hs256", "RS256\n", ""])
def test_an_algorithm_outside_the_list_is_refused(algorithm: str) -> None:
    credential, said = read("jwt", key="iss", secret="s", algorithm=algorithm)
    assert credential is None
    assert len(said) == 1
    assert said[0].endswith(
        "data.algorithm: must be one of ES256, ES384, ES512, EdDSA, HS256, HS384, HS512, PS256, PS384, "
        f"PS512, RS256, RS384, RS512, got {algorithm!r}"
    )


def test_a_key_auth_credential_has_an_id_that_does_not_show_the_key() -> None:
    credential, said = read("key-auth", key="s3cret-key")
    assert isinstance(credential, KeyCredential)
    assert credential.key == Secret(b"s3cret-key")
    assert credential.id == Secret(b"s3cret-key").fingerprint()
    assert "s3cret" not in repr(credential)
    assert said == []


@pytest.mark.parametrize("key", [b"abc\n", b" abc", b"a\x00b", b"\xff\xfe"])
def test_a_key_that_no_request_can_send_is_refused_and_not_shown(key: bytes) -> None:
    credential, said = read("key-auth", key=key)
    assert credential is None
    assert said == [
        (
            "error data.key: must be text without line breaks, "
            "control characters or spaces around it, because no request could match it otherwise; "
            "encode it without a line break (printf, not echo)"
        )
    ]


def test_an_empty_key_is_none() -> None:
    assert read("key-auth", key="") == (
        None,
        [
            (
                "error data.key: a key-auth credential needs a key; "
                "Kong would invent one; set data.key or stringData.key"
            )
        ],
    )


def test_a_shared_secret_that_ends_with_a_line_break_is_kept_and_warned_about() -> None:
    credential, said = read("jwt", key="iss", secret="hush\n")
    assert isinstance(credential, JwtCredential)
    assert credential.secret == Secret(b"hush\n")
    assert said == [
        (
            "warning data.secret: ends with a line break, which counts "
            "as part of the secret; encode it without one (printf, not echo) unless that is meant"
        )
    ]


def test_unknown_and_expiring_keys_close_the_credential_and_harmless_ones_do_not() -> None:
    credential, said = read("key-auth", key="k", ttl="60", kye="x", tags="a")
    assert credential is None
    assert said == [
        ("error data.kye: is not a key of this credential type; allowed are key"),
        "warning data.tags: has no effect here",
        (
            "error data.ttl: keys that expire are not supported; the key "
            "is refused from the start; remove ttl, and delete the Secret when the key is to end"
        ),
    ]
    assert read("key-auth", key="k", tags="a")[0] is not None


def test_hmac_credentials_have_a_name_and_a_secret() -> None:
    assert read("hmac-auth", username="alice", secret="hush") == (
        HmacCredential(username="alice", secret=Secret(b"hush")),
        [],
    )
    assert read("hmac-auth", username='a"b') == (
        None,
        [
            (
                "error data.username: must have no quotation mark in it, because it could not be sent; "
                "choose another username"
            ),
            (
                "error data.secret: an hmac-auth credential needs a secret; Kong would invent one; "
                "set data.secret or stringData.secret"
            ),
        ],
    )


def test_mtls_credentials_name_a_subject() -> None:
    assert read("mtls-auth", subject_name="alice@shop.example", ca_certificate="ca-1") == (
        MtlsCredential(subject_name="alice@shop.example", ca_id="ca-1"),
        [],
    )
    assert read("mtls-auth") == (
        None,
        [
            (
                "error data.subject_name: an mtls-auth credential needs a subject_name; "
                "set data.subject_name or stringData.subject_name"
            )
        ],
    )


def test_a_type_that_is_not_supported_or_missing_lets_nobody_in() -> None:
    assert read("konnect", client_id="u", client_secret="p") == (
        None,
        [
            (
                "error metadata.labels['konghq.com/credential']: "
                "credential type 'konnect' is not supported yet; nobody gets in by it; "
                "use one of jwt, key-auth, basic-auth, hmac-auth, mtls-auth, oauth2, acl"
            )
        ],
    )
    assert read("", key="k", kongCredType="key-auth") == (
        None,
        [
            (
                "error metadata.labels: has no label konghq.com/credential, so its type is not known; "
                "add the label konghq.com/credential: key-auth"
            )
        ],
    )
