"""KongConsumers with the credentials that their Secrets hold. Internal to `link`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar, assert_never

from meshgate.core.findings import Findings
from meshgate.model.consumer import (
    BasicCredential,
    Consumer,
    GroupMembership,
    HmacCredential,
    JwtCredential,
    KeyCredential,
    MtlsCredential,
    OAuth2Credential,
)
from meshgate.model.credentials import Credential, read_credential
from meshgate.model.declared import ConsumerObject
from meshgate.model.linking.input import Input
from meshgate.model.names import Name

_NAMESPACE = uuid.UUID("6d657368-6761-5465-8000-636f6e73756d")
"""Of consumer ids; any fixed value would do."""


C = TypeVar("C", bound=Credential)


@dataclass(slots=True)
class _Taken:
    """Who was first with what only one consumer can have."""

    marks: dict[tuple[str, bytes | str], Name] = field(default_factory=dict)
    """A kind of credential and what requests name it by."""
    usernames: dict[str, Name] = field(default_factory=dict)


def consumer_id(name: Name) -> str:
    """The stable id of a consumer: a version 5 UUID of its namespace and name."""
    return str(uuid.uuid5(_NAMESPACE, str(name)))


def declared_consumers(given: Input, findings: Findings) -> tuple[ConsumerObject, ...]:
    """All consumers by name, each once (MG1106)."""
    kept: dict[Name, ConsumerObject] = {}
    for declared in sorted(given.declared.consumers, key=lambda c: (c.name, c.origin)):
        first = kept.setdefault(declared.name, declared)
        if first != declared:
            findings.error(
                "MG1106", declared.origin, declared.ref, f"is already defined at {first.origin}", "keep one"
            )
    return tuple(kept.values())


def link_consumers(
    given: Input, consumers: tuple[ConsumerObject, ...], findings: Findings
) -> dict[str, Consumer]:
    """By id. A missing Secret is MG3005; of two equal keys, issuers or usernames the first
    consumer by namespace and name has it, the other one's is MG3010 and has no effect."""
    taken = _Taken()
    linked: dict[str, Consumer] = {}
    for declared in consumers:
        username = declared.username
        owner = taken.usernames.setdefault(username, declared.name) if username else declared.name
        if owner != declared.name:
            _used_twice(declared, f"username {username!r}", owner, findings)
            continue
        credentials = tuple(_credentials(declared, given, findings))
        kept = _own(declared, credentials, taken, findings)
        groups = (c.group for c in kept if isinstance(c, GroupMembership))
        identity = consumer_id(declared.name)
        linked[identity] = Consumer(
            id=identity,
            username=username,
            custom_id=declared.custom_id,
            jwt=_of(JwtCredential, kept),
            keys=_of(KeyCredential, kept),
            basic=_of(BasicCredential, kept),
            hmac=_of(HmacCredential, kept),
            mtls=_of(MtlsCredential, kept),
            applications=_of(OAuth2Credential, kept),
            groups=tuple(dict.fromkeys(groups)),
            consumer_groups=declared.groups,
            all_groups_known=None not in credentials,
            origin=declared.origin,
        )
    return dict(sorted(linked.items()))


def _own(
    declared: ConsumerObject, credentials: Iterable[Credential | None], taken: _Taken, findings: Findings
) -> list[Credential]:
    """The credentials that nobody had before this consumer, and that it has once."""
    kept: list[Credential] = []
    for credential in credentials:
        if credential is None:
            continue
        mark, what = _mark(credential)
        if not what:
            kept.append(credential)
            continue
        owner = taken.marks.setdefault((type(credential).__name__, mark), declared.name)
        if owner == declared.name and all(_mark(k) != (mark, what) for k in kept):
            kept.append(credential)
        else:
            _used_twice(declared, what, owner, findings)
    return kept


def _mark(credential: Credential) -> tuple[bytes | str, str]:
    """What requests name it by, and that for people; empty where any number may have it."""
    match credential:
        case JwtCredential(key=issuer):
            return issuer, f"jwt credential key {issuer!r}"
        case KeyCredential(key=key, id=fingerprint):
            return key.reveal(), f"API key with fingerprint {fingerprint}"
        case BasicCredential(username=login):
            return login, f"basic-auth username {login!r}"
        case HmacCredential(username=signer):
            return signer, f"hmac-auth username {signer!r}"
        case MtlsCredential(subject_name=subject, ca_id=authority):
            return f"{subject}\n{authority}", f"mtls-auth subject {subject!r}"
        case OAuth2Credential(client_id=client):
            return client, f"oauth2 client_id {client!r}"
        case GroupMembership():
            return "", ""
        case _:
            assert_never(credential)


def _of(kind: type[C], credentials: Iterable[Credential]) -> tuple[C, ...]:
    return tuple(c for c in credentials if isinstance(c, kind))


def _credentials(declared: ConsumerObject, given: Input, findings: Findings) -> Iterator[Credential | None]:
    """The credentials of a consumer; None for each that cannot be had."""
    for secret_name in dict.fromkeys(declared.credentials):
        name = Name(declared.name.namespace, secret_name)
        secret = given.secrets.get(name)
        if secret is None:
            findings.error(
                "MG3005",
                declared.origin,
                declared.ref,
                f"credential Secret {name} {given.absence('Secret', name)}; nobody gets in by it",
                "add the Secret",
                ("credentials",),
            )
            yield None
            continue
        credential, diagnostics = read_credential(secret)
        findings.extend(diagnostics)
        yield credential


def _used_twice(declared: ConsumerObject, what: str, owner: Name, findings: Findings) -> None:
    findings.error(
        "MG3010",
        declared.origin,
        declared.ref,
        f"{what} already belongs to KongConsumer {owner}; this one has no effect",
        "give every consumer its own",
    )
