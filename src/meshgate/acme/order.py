"""One order at an authority, from the account to the certificate (RFC 8555, by HTTP-01).

Blocking: run it in a thread. Every question to the authority has a deadline of its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from meshgate.acme.challenge import Challenge, OrderFailed, Show
from meshgate.acme.storage import Issued
from meshgate.core.secret import Secret
from meshgate.model.policies.acme import Acme, AcmeAccount, KeyType

REQUEST_DEADLINE_S = 20
ORDER_DEADLINE_S = 120
_USER_AGENT = "meshgate"


def obtain(host: str, settings: Acme, account_key: Secret, show: Show, now: datetime) -> Issued:
    """A new certificate for a host. Raises `OrderFailed`."""
    try:
        return _obtain(host, settings, account_key, show, now)
    except messages.Error as error:
        raise OrderFailed(f"{error.code or error.typ}: {error.detail or error.title}") from error
    except errors.ValidationError as error:
        raise OrderFailed(_validation_problem(error)) from error
    except (errors.Error, requests.RequestException, ValueError) as error:
        raise OrderFailed(f"{type(error).__name__}: {str(error)[:200]}") from error


def _obtain(host: str, settings: Acme, account_key: Secret, show: Show, now: datetime) -> Issued:
    asking = _client(settings.account, account_key)
    key = _new_key(settings)
    order = asking.new_order(_request(host, key))
    for authorization in order.authorizations:
        if authorization.body.status is messages.STATUS_VALID:
            continue
        body = next(
            (c for c in authorization.body.challenges if isinstance(c.chall, challenges.HTTP01)), None
        )
        if body is None:
            raise OrderFailed("the authority offers no http-01 for this host")
        response, answer = body.response_and_validation(asking.net.key)
        show(Challenge(host=host, path=body.chall.path, answer=answer))
        asking.answer_challenge(body, response)
    # The library compares with the time of this machine's zone, without naming it.
    deadline = now.astimezone().replace(tzinfo=None) + timedelta(seconds=ORDER_DEADLINE_S)
    order = asking.poll_authorizations(order, deadline)
    order = asking.finalize_order(order, deadline, fetch_alternative_chains=bool(settings.preferred_chain))
    chain = _preferred(order, settings.preferred_chain)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(chain_pem=chain.encode(), key_pem=Secret(text))


def _client(account: AcmeAccount, account_key: Secret) -> client.ClientV2:
    """Somebody whom the authority knows; a new account where it does not."""
    private = load_pem_private_key(account_key.reveal(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    key = JWKEC(key=private)
    net = client.ClientNetwork(key, alg=ES256, user_agent=_USER_AGENT, timeout=REQUEST_DEADLINE_S)
    directory = client.ClientV2.get_directory(account.api_uri, net)
    found = client.ClientV2(directory, net=net)
    binding = None
    if account.eab_hmac_key is not None:
        binding = messages.ExternalAccountBinding.from_data(
            account_public_key=key.public_key(),
            kid=account.eab_kid,
            hmac_key=account.eab_hmac_key.reveal_text(),
            directory=directory,
        )
    wanted = messages.NewRegistration.from_data(
        email=account.email,
        terms_of_service_agreed=account.tos_accepted,
        external_account_binding=binding,
    )
    try:
        found.new_account(wanted)
    except errors.ConflictError as known:
        existing = messages.RegistrationResource(uri=known.location, body=messages.Registration())
        net.account = existing
        net.account = found.query_registration(existing)
    return found


def _new_key(settings: Acme) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if settings.key_type is KeyType.ECC:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=settings.rsa_bits)


def _request(host: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def _preferred(order: messages.OrderResource, root: str) -> str:
    """The chain that ends below the preferred root; the authority's own choice where none does."""
    offered = [order.fullchain_pem, *(order.alternative_fullchains_pem or ())]
    for chain in offered if root else ():
        last = x509.load_pem_x509_certificates(chain.encode())[-1]
        if any(a.value == root for a in last.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)):
            return str(chain)
    return str(order.fullchain_pem)


def _validation_problem(error: errors.ValidationError) -> str:
    """Why the authority did not like what it saw."""
    for authorization in error.failed_authzrs:
        for one in authorization.body.challenges:
            if one.error is not None:
                return f"{one.error.code or one.error.typ}: {one.error.detail}"
    return "the authority could not check the host"
