"""Kong's `jwt` with Envoy's `jwt_authn`: one provider per credential, any of them will do.

Differences that Envoy imposes (see docs/jwt.md): `exp` and `nbf` are checked wherever a
token has them, also without `claims_to_verify`; the clock may be off by one second.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import empty_pb2

from meshgate.model.consumer import Consumer, JwtCredential
from meshgate.model.policy import JwtAuth
from meshgate.policies.packing import duration, http_filter, pack
from meshgate.policies.parts import RouteParts

FILTER = "envoy.filters.http.jwt_authn"
CREDENTIAL_HEADER = "x-meshgate-jwt-credential"
"""Carries the issuer claim of a verified token to the filters behind; never leaves the gateway."""

PAYLOAD = "meshgate"
"""Key of the filter's metadata with the claims, where a filter behind asks for one."""

_PREFIXES = ("Bearer ", "bearer ")
"""Kong takes either case of the B, and no other spelling."""

_CURVES = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48), "secp521r1": ("P-521", 66)}


def requirement_name(policy: JwtAuth) -> str:
    """Names what a token must fulfil; equal for policies that ask for the same."""
    parts = (
        policy.header_names,
        policy.uri_param_names,
        policy.cookie_names,
        policy.verify_exp,
        policy.verify_nbf,
        policy.secret_is_base64,
        policy.maximum_expiration_s,
        policy.run_on_preflight,
        *(("anonymous",) if policy.anonymous else ()),
    )
    return "jwt-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def most_tokens(policies: tuple[JwtAuth, ...]) -> int:
    """How many tokens Envoy may find in one request: one in each place that a policy names.

    It checks them all, and adds the credential header once for each.
    """
    places = (
        len(p.header_names) * len(_PREFIXES) + len(p.uri_param_names) + len(p.cookie_names) for p in policies
    )
    return max(places, default=0)


def listener_filters(
    policies: tuple[JwtAuth, ...], consumers: tuple[Consumer, ...]
) -> tuple[hcm.HttpFilter, ...]:
    """The filter with a requirement for each policy in use; off where no route asks for it."""
    if not policies:
        return ()
    config = pb.JwtAuthentication(bypass_cors_preflight=all(not p.run_on_preflight for p in policies))
    for policy in {requirement_name(p): p for p in policies}.values():
        name = requirement_name(policy)
        credentials = [c for consumer in consumers for c in consumer.jwt]
        providers = {f"{name}/{c.key}": _provider(policy, c) for c in credentials}
        if not providers:
            # Nobody may come in: a provider whose key verifies nothing that anybody can sign.
            providers = {f"{name}/-": _provider(policy, None)}
        for provider_name, provider in providers.items():
            config.providers[provider_name].CopyFrom(provider)
        config.requirement_map[name].CopyFrom(_any_of(sorted(providers), strangers=bool(policy.anonymous)))
    return (http_filter(FILTER, config, disabled=True),)


def route_parts(policy: JwtAuth) -> RouteParts:
    """Asks for the policy's requirement on a route."""
    per_route = pb.PerRouteConfig(requirement_name=requirement_name(policy))
    metadata = {"auth": "jwt", "realm": f' realm="{policy.realm}"' if policy.realm else ""}
    return RouteParts(filters={FILTER: pack(per_route)}, metadata=metadata)


def _any_of(names: list[str], *, strangers: bool) -> pb.JwtRequirement:
    """One of the providers; with `strangers`, whoever has no valid token passes without a name."""
    if len(names) == 1 and not strangers:
        return pb.JwtRequirement(provider_name=names[0])
    each = [pb.JwtRequirement(provider_name=name) for name in names]
    if strangers:
        each.append(pb.JwtRequirement(allow_missing_or_failed=empty_pb2.Empty()))
    return pb.JwtRequirement(requires_any=pb.JwtRequirementOrList(requirements=each))


def _provider(policy: JwtAuth, credential: JwtCredential | None) -> pb.JwtProvider:
    jwks = {"keys": [_jwk(credential, policy.secret_is_base64) if credential else _nobodys_key()]}
    provider = pb.JwtProvider(
        issuer=credential.key if credential else "-",
        local_jwks=base_pb2.DataSource(inline_string=json.dumps(jwks, sort_keys=True)),
        forward=True,
        require_expiration=policy.verify_exp,
        from_params=policy.uri_param_names,
        from_cookies=policy.cookie_names,
        # The least that Envoy takes: 0 would mean its default of 60 s.
        clock_skew_seconds=1,
    )
    for header_name in policy.header_names:
        for prefix in _PREFIXES:
            provider.from_headers.add(name=header_name, value_prefix=prefix)
    provider.claim_to_headers.add(header_name=CREDENTIAL_HEADER, claim_name=policy.key_claim_name)
    if policy.verify_nbf:
        provider.payload_in_metadata = PAYLOAD
    if policy.maximum_expiration_s:
        provider.max_lifetime.CopyFrom(duration(policy.maximum_expiration_s * 1000))
    return provider


def _jwk(credential: JwtCredential, secret_is_base64: bool) -> dict[str, str]:
    """The credential's key as a JSON Web Key (RFC 7517), bound to its one algorithm."""
    if credential.secret is not None and credential.algorithm.startswith("HS"):
        secret = credential.secret.reveal()
        if secret_is_base64:
            secret = base64.b64decode(secret)
        return {"kty": "oct", "alg": credential.algorithm, "k": _base64url(secret)}
    return {**_public_jwk(credential.public_key_pem), "alg": credential.algorithm}


def _nobodys_key() -> dict[str, str]:
    """A public key whose private half nobody knows, for Envoy refuses a provider without keys.

    It is a point of the curve found by hashing words, never by multiplying the generator.
    """
    for number in itertools.count():
        x = hashlib.sha256(f"meshgate: nobody's key, try {number}".encode()).digest()
        with contextlib.suppress(ValueError):  # every other x is on the curve
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x02" + x)
            pem = point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return {**_public_jwk(pem.decode()), "alg": "ES256"}
    raise AssertionError("unreachable: half of all numbers are on the curve")


def _public_jwk(pem: str) -> dict[str, str]:
    key = load_pem_public_key(pem.encode())
    match key:
        case rsa.RSAPublicKey():
            numbers = key.public_numbers()
            return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePublicKey():
            point = key.public_numbers()
            curve, size = _CURVES[key.curve.name]
            x, y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
            return {"kty": "EC", "crv": curve, "x": _base64url(x), "y": _base64url(y)}
        case ed25519.Ed25519PublicKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_bytes_raw())}
        case _:
            raise ValueError("a public key of a kind that no JOSE algorithm uses")


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
