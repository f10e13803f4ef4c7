"""What is told to the service and to the client about who asks. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator

from meshgate.bridge.openid.credentials import Credential
from meshgate.bridge.openid.evidence import Evidence, words
from meshgate.bridge.openid.problems import ForbiddenError
from meshgate.bridge.request import Headers, Identity, Request
from meshgate.bridge.tools import Directory
from meshgate.model.consumer import Consumer
from meshgate.model.policies.openid import OpenidMapping, PassedTokens

_MAX_HEADER_BYTES = 16 * 1024


def identify(mapping: OpenidMapping, directory: Directory, evidence: Evidence) -> Identity:
    """Whose request it is. Raises `ForbiddenError` where it must be a consumer's and is nobody's."""
    consumer = _consumer(mapping, directory, evidence)
    if consumer is None and mapping.consumer_claims and not mapping.optional:
        raise ForbiddenError("the token is no consumer's")
    groups = evidence.find(mapping.groups_claim) if mapping.groups_claim else None
    return Identity(
        consumer=consumer,
        credential=_credential(mapping, evidence),
        groups=words(groups) if mapping.groups_claim else None,
    )


def _consumer(mapping: OpenidMapping, directory: Directory, evidence: Evidence) -> Consumer | None:
    for path in mapping.consumer_claims:
        value = evidence.find(path)
        if not isinstance(value, str | int) or isinstance(value, bool):
            continue
        for by in mapping.consumer_by:
            found = _by(by, str(value), mapping, directory)
            if found is not None:
                return found
    return None


def _by(by: str, value: str, mapping: OpenidMapping, directory: Directory) -> Consumer | None:
    match by:
        case "id":
            return directory.by_id.get(value)
        case "custom_id":
            return directory.by_custom_id.get(value)
        case _ if mapping.ignore_case:
            wanted = value.casefold()
            return next((c for name, c in directory.by_name.items() if name.casefold() == wanted), None)
        case _:
            return directory.by_name.get(value)


def _credential(mapping: OpenidMapping, evidence: Evidence) -> str:
    found = evidence.find(mapping.credential_claim)
    for claim in (found, evidence.find(("client_id",)), evidence.find(("azp",))):
        if isinstance(claim, str | int) and (text := str(claim)) and text.isprintable():
            return text
    digest = hashlib.sha256((evidence.tokens.access or evidence.tokens.id).encode()).hexdigest()
    return f"token-{digest[:16]}"


def headers(passed: PassedTokens, evidence: Evidence) -> tuple[Headers, tuple[str, ...]]:
    """(headers, names of those that have nothing to say and must not be the client's own)."""
    # A token of the provider's is not looked into; what is no header's value is not sent.
    wanted = {name: text if text.isprintable() else "" for name, text in _wanted(passed, evidence)}
    found = tuple((name, text) for name, text in wanted.items() if text)
    return found, tuple(name for name, text in wanted.items() if not text)


def told_headers(passed: PassedTokens) -> tuple[str, ...]:
    """Names of all these headers; Authorization is not among them, for another plugin may look at it."""
    spelled = (passed.access_token, passed.id_token, passed.refresh_token)
    names = [one.partition(":")[0] for one in spelled] + [passed.user_info, passed.introspection]
    names += [name for name, _ in passed.claims]
    return tuple(dict.fromkeys(name for name in names if name and name != "authorization"))


def _wanted(passed: PassedTokens, evidence: Evidence) -> Iterator[tuple[str, str]]:
    tokens = evidence.tokens
    for spelled, token in (
        (passed.access_token, tokens.access),
        (passed.id_token, tokens.id),
        (passed.refresh_token, tokens.refresh),
    ):
        name, _, scheme = spelled.partition(":")
        if name:
            yield name, f"{scheme.capitalize()} {token}" if scheme and token else token
    for name, claims in (
        (passed.user_info, evidence.user_info),
        (passed.introspection, evidence.introspected),
    ):
        if name:
            text = json.dumps(dict(claims), separators=(",", ":")) if claims is not None else ""
            yield name, base64.b64encode(text.encode()).decode()
    for name, path in passed.claims:
        yield name, header_text(evidence.find(path))


def header_text(claim: object) -> str:
    """A claim as a header's value; empty where it cannot be one."""
    match claim:
        case None:
            return ""
        case str():
            text = claim
        case list() if all(isinstance(item, str) for item in claim):
            text = ", ".join(claim)
        case _:
            text = json.dumps(claim, separators=(",", ":"), sort_keys=True)
    return text if text.isprintable() and len(text.encode()) <= _MAX_HEADER_BYTES else ""


def cookies_without(request: Request, names: frozenset[str]) -> tuple[Headers, tuple[str, ...]]:
    """(headers to set, headers to remove) that take these cookies away from the service."""
    held = request.cookies
    kept = [f"{name}={value}" for name, value in held if name not in names]
    if len(kept) == len(held):
        return (), ()
    return ((("cookie", "; ".join(kept)),), ()) if kept else ((), ("cookie",))


def hidden(credential: Credential) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """(headers, parameters, cookies) that brought the credential."""
    return (
        (credential.header,) if credential.header else (),
        credential.parameter,
        frozenset({credential.cookie} if credential.cookie else ()),
    )
