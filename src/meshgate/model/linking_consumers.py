"""KongConsumers with the credentials that their Secrets hold. Internal to `link`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from meshgate.model.consumer import (
    BasicCredential,
    Consumer,
    GroupMembership,
    JwtCredential,
    KeyCredential,
)
from meshgate.model.credentials import Credential, read_credential
from meshgate.model.declared import ConsumerObject
from meshgate.model.linking_input import Findings, Input
from meshgate.model.names import Name

_NAMESPACE = uuid.UUID("6d657368-6761-5465-8000-636f6e73756d")
"""Of consumer ids; any fixed value would do."""


@dataclass(slots=True)
class _Taken:
    """Who was first with a key, an issuer or a username."""

    keys: dict[bytes, Name] = field(default_factory=dict)
    issuers: dict[str, Name] = field(default_factory=dict)
    logins: dict[str, Name] = field(default_factory=dict)
    """Usernames of basic-auth credentials."""
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
        jwt: list[JwtCredential] = []
        keys: list[KeyCredential] = []
        basic: list[BasicCredential] = []
        groups: list[str] = []
        all_known = True
        for credential in _credentials(declared, given, findings):
            match credential:
                case JwtCredential(key=issuer):
                    owner = taken.issuers.setdefault(issuer, declared.name)
                    if owner == declared.name and all(j.key != issuer for j in jwt):
                        jwt.append(credential)
                    else:
                        _used_twice(declared, f"jwt credential key {issuer!r}", owner, findings)
                case KeyCredential(key=key):
                    owner = taken.keys.setdefault(key.reveal(), declared.name)
                    if owner == declared.name and all(k.key != key for k in keys):
                        keys.append(credential)
                    else:
                        _used_twice(declared, f"API key with fingerprint {credential.id}", owner, findings)
                case BasicCredential(username=login):
                    owner = taken.logins.setdefault(login, declared.name)
                    if owner == declared.name and all(b.username != login for b in basic):
                        basic.append(credential)
                    else:
                        _used_twice(declared, f"basic-auth username {login!r}", owner, findings)
                case GroupMembership(group=group):
                    groups.append(group)
                case None:
                    all_known = False
                case _:
                    assert_never(credential)
        identity = consumer_id(declared.name)
        linked[identity] = Consumer(
            id=identity,
            username=username,
            custom_id=declared.custom_id,
            jwt=tuple(jwt),
            keys=tuple(keys),
            basic=tuple(basic),
            groups=tuple(dict.fromkeys(groups)),
            all_groups_known=all_known,
            origin=declared.origin,
        )
    return dict(sorted(linked.items()))


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
