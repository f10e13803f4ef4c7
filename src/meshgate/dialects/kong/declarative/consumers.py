"""Consumers with their credentials, and groups of consumers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.declarative.entities import CREDENTIALS, ConsumerEntity, GroupEntity
from meshgate.dialects.kong.declarative.manifests import CLASS, Manifest, Manifests, referred
from meshgate.dialects.schema import check

_KONG = "configuration.konghq.com"
_BOOKKEEPING = ("id", "consumer", "tags", "created_at", "updated_at", "ttl")


@dataclass(slots=True)
class Consumers:
    """KongConsumers and KongConsumerGroups, by every name that refers to them."""

    out: Manifests
    consumers: dict[str, Manifest] = field(default_factory=dict)
    groups: dict[str, Manifest] = field(default_factory=dict)
    plugins: list[tuple[FieldPath, tuple[str, Manifest]]] = field(default_factory=list)
    """Where plugins stand in them, and whom they are for."""

    def add(self, path: FieldPath) -> None:
        """One consumer."""
        entity, said = check(ConsumerEntity, self.out.document, path)
        self.out.said += said
        if entity is None:
            return
        wanted = entity.username or entity.custom_id
        if not wanted:
            self.out.error(path, "a consumer needs a username or a custom_id", code="MG2003")
            return
        content: dict[str, object] = {"username": entity.username} if entity.username else {}
        if entity.custom_id:
            content["custom_id"] = entity.custom_id
        made = self.out.add(
            "KongConsumer",
            self.out.name_for("KongConsumer", wanted),
            api=f"{_KONG}/v1",
            annotations={CLASS: "kong"},
        )
        made.update(content)
        for name in (entity.username, entity.custom_id, entity.id):
            if name:
                self.consumers[name] = made
        for kind, listed in ((k, getattr(entity, k)) for k in CREDENTIALS):
            for i, credential in enumerate(listed):
                self._credential(kind, credential, (*path, kind, i), made)
        for i, group in enumerate(entity.groups):
            self.join(made, referred({k: str(v) for k, v in group.items()}), (*path, "groups", i))
        self.plugins += [((*path, "plugins", i), ("consumer", made)) for i in range(len(entity.plugins))]

    def add_credential(self, kind: str, path: FieldPath, credential: Mapping[str, object]) -> None:
        """A credential that stands by itself and names its consumer."""
        consumer = credential.get("consumer")
        name = referred(consumer) if isinstance(consumer, str | Mapping) else ""
        made = self.consumers.get(name)
        if made is None:
            self.out.error((*path, "consumer"), f"consumer {name!r} is not in this file")
            return
        self._credential(kind, credential, path, made)

    def add_group(self, path: FieldPath) -> None:
        """One group; those who are in it come later."""
        entity, said = check(GroupEntity, self.out.document, path)
        self.out.said += said
        if entity is None:
            return
        made = self.out.add(
            "KongConsumerGroup",
            self.out.name_for("KongConsumerGroup", entity.name),
            api=f"{_KONG}/v1beta1",
            annotations={CLASS: "kong"},
            spec={"name": entity.name},
        )
        for name in (entity.name, entity.id):
            if name:
                self.groups[name] = made
        self.plugins += [
            ((*path, "plugins", i), ("consumer_group", made)) for i in range(len(entity.plugins))
        ]

    def join(self, consumer: Manifest, group: str, path: FieldPath) -> None:
        """Puts a consumer into a group."""
        made = self.groups.get(group)
        if made is None:
            self.out.error(path, f"consumer group {group!r} is not in this file")
            return
        metadata = made["metadata"]
        assert isinstance(metadata, dict)
        listed = consumer.setdefault("consumerGroups", [])
        assert isinstance(listed, list)
        listed.append(metadata["name"])

    def _credential(
        self, kind: str, credential: Mapping[str, object], path: FieldPath, consumer: Manifest
    ) -> None:
        type_, keys = CREDENTIALS[kind]
        data: dict[str, str] = {}
        for key in keys:
            value = credential.get(key)
            if isinstance(value, list | tuple):
                value = ",".join(map(str, value))
            if isinstance(value, Mapping):
                value = value.get("id")
            if value is not None:
                data[key] = str(value)
        missing = {"key-auth": "key", "basic-auth": "password", "hmac-auth": "secret"}.get(type_)
        if missing and missing not in data:
            self.out.error(
                path, f"has no {missing}: Kong would make one up", f"write the {missing}", code="MG2003"
            )
            return
        for key in credential.keys() - {*keys, *_BOOKKEEPING}:
            self.out.warn((*path, key), "has no counterpart; it is left out")
        if credential.get("ttl"):
            self.out.warn((*path, "ttl"), "the key does not end by itself")
        metadata = consumer["metadata"]
        assert isinstance(metadata, dict)
        name = self.out.name_for("Secret", f"{metadata['name']}-{type_}")
        self.out.add(
            "Secret",
            name,
            api="v1",
            labels={"konghq.com/credential": type_},
            type="Opaque",
            stringData=data,
        )
        listed = consumer.setdefault("credentials", [])
        assert isinstance(listed, list)
        listed.append(name)
