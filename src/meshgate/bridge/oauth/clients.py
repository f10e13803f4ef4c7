"""Applications, and what a request for a token says about itself. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from meshgate.bridge.oauth.answers import OAuth2Error, unknown_client
from meshgate.bridge.openid.credentials import Arguments
from meshgate.bridge.openid.problems import RefusedError
from meshgate.bridge.request import Request
from meshgate.bridge.tools import Directory
from meshgate.model.consumer import Consumer, OAuth2Credential
from meshgate.model.policies.oauth import OAuth2


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application and whose it is."""

    credential: OAuth2Credential
    consumer: Consumer

    @property
    def public(self) -> bool:
        """Whether it can keep no secret."""
        return self.credential.client_secret is None


def applications(directory: Directory) -> dict[str, Application]:
    """All of them by client id."""
    return {
        credential.client_id: Application(credential=credential, consumer=consumer)
        for consumer in directory.consumers
        for credential in consumer.applications
    }


class Parameters:
    """What a request brings in its query and its body; a name with two values is refused."""

    def __init__(self, request: Request) -> None:
        self._arguments = Arguments(request)

    def get(self, name: str) -> str | None:
        """The parameter; of both places the body counts, as in Kong."""
        try:
            posted = self._arguments.posted(name)
            return posted if posted is not None else self._arguments.query(name)
        except RefusedError:
            raise OAuth2Error("invalid_request", f"{name} is there twice") from None


def scope(policy: OAuth2, parameters: Parameters) -> str:
    """What is asked for. Raises `OAuth2Error`."""
    asked = (parameters.get("scope") or "").split()
    if policy.scopes is None:
        return ""
    for one in asked:
        if one not in policy.scopes:
            raise OAuth2Error("invalid_scope", f'"{_shown(one)}" is an invalid scope')
    if not asked and policy.mandatory_scope:
        raise OAuth2Error("invalid_scope", "You must specify a scope")
    return " ".join(asked)


def _shown(text: str) -> str:
    return "".join(sign for sign in text[:64] if sign.isalnum() or sign in "-_.:/")


def https_only(policy: OAuth2, request: Request) -> None:
    """Raises `OAuth2Error` where the request came in the clear."""
    if request.over_tls:
        return
    # Envoy has put in what the connection is, unless a proxy that is trusted stands before it.
    said = request.header("x-forwarded-proto") or "" if policy.accept_http_if_already_terminated else ""
    if "," in said:
        raise OAuth2Error("access_denied", "Only one X-Forwarded-Proto header allowed")
    if said.lower() != "https":
        raise OAuth2Error("access_denied", "You must use HTTPS")


def provisioned(policy: OAuth2, parameters: Parameters) -> None:
    """Raises `OAuth2Error` where it is not the login page of the service that asks."""
    key, shown = policy.provision_key, parameters.get("provision_key") or ""
    if key is None or not hmac.compare_digest(key.reveal(), shown.encode()):
        raise OAuth2Error("invalid_provision_key", "Invalid provision_key")


def user(parameters: Parameters) -> str:
    """Who was asked. Raises `OAuth2Error`."""
    found = parameters.get("authenticated_userid") or ""
    if not found.strip() or not found.isprintable():
        raise OAuth2Error("invalid_authenticated_userid", "Missing authenticated_userid parameter")
    return found


def redirect_uri(application: Application, parameters: Parameters) -> str:
    """Where the answer goes. Raises `OAuth2Error` for addresses that the application has not named."""
    known = application.credential.redirect_uris
    wanted = parameters.get("redirect_uri")
    found = wanted if wanted is not None else next(iter(known), "")
    if found not in known:
        raise OAuth2Error(
            "invalid_request",
            "Invalid redirect_uri that does not match with any redirect_uri created with the application",
        )
    return found


def safe_redirect_uri(application: Application, parameters: Parameters) -> str:
    """Where errors may go: the address that is asked for, where it is the application's, or its first."""
    known = application.credential.redirect_uris
    wanted = parameters.get("redirect_uri")
    return wanted if wanted in known and wanted is not None else next(iter(known), "")


def needs_pkce(policy: OAuth2, application: Application) -> bool:
    """Whether such an application must prove that it is the one that began (RFC 7636)."""
    return policy.pkce == "strict" or (policy.pkce == "lax" and application.public)


def challenge(policy: OAuth2, application: Application, parameters: Parameters) -> str:
    """PKCE's challenge. Raises `OAuth2Error` where it must be there and is not, or is of another method."""
    found, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if method is not None and found is None:
        raise OAuth2Error("invalid_request", "code_challenge is required when code_method is present")
    if found and method is not None and method.upper() != "S256":
        raise OAuth2Error("invalid_request", "code_challenge_method is not supported, must be S256")
    if not found and needs_pkce(policy, application):
        kind = "public" if application.public else "confidential"
        raise OAuth2Error("invalid_request", f"code_challenge is required for {kind} clients")
    return (found or "").rstrip("=")


def verify(challenge: str, parameters: Parameters) -> None:
    """Raises `OAuth2Error` where the verifier is not the challenge's."""
    verifier = parameters.get("code_verifier")
    if verifier is None:
        raise OAuth2Error("invalid_request", "code_verifier is required for PKCE authorization requests")
    if not 43 <= len(verifier) <= 128:
        raise OAuth2Error("invalid_request", "code_verifier must be between 43 and 128 characters")
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not challenge or not hmac.compare_digest(made, challenge.encode()):
        raise OAuth2Error("invalid_grant", "Invalid code")


def shown_client(policy: OAuth2, request: Request, parameters: Parameters) -> tuple[str, str, bool]:
    """(id, secret, whether by a header) of the application that asks."""
    identifier = parameters.get("client_id")
    secret = parameters.get("client_secret")
    if identifier is not None and secret is not None:
        return identifier, secret, False
    scheme, _, encoded = (request.header(policy.auth_header_name) or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, colon, word = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return "", "", True
        return (name, word, True) if colon else ("", "", True)
    return identifier or "", secret or "", False


def authenticate(found: Application | None, secret: str, *, basic: bool) -> Application:
    """The application. Raises `OAuth2Error` where it is not the one that it says to be."""
    if found is None:
        raise unknown_client(basic=basic)
    known = found.credential.client_secret
    if known is None:
        if secret.strip():
            raise OAuth2Error("invalid_request", "client_secret is disallowed for public clients")
        return found
    if not hmac.compare_digest(known.reveal(), secret.encode()):
        raise unknown_client(basic=basic)
    return found
