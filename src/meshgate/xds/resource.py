"""A resource as bytes that every subscriber shares, and the responses made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.protobuf.message import Message

from meshgate.xds.references import references
from meshgate.xds.types import VIRTUAL_HOST, Reference

# Tag bytes (field number << 3 | 2) of the length-delimited fields written by hand below;
# numbers from envoy/service/discovery/v3/discovery.proto and google/protobuf/any.proto.
_ANY_TYPE_URL: Final = b"\x0a"
_ANY_VALUE: Final = b"\x12"
_RESOURCE_VERSION: Final = b"\x0a"
_RESOURCE_ANY: Final = b"\x12"
_RESOURCE_NAME: Final = b"\x1a"
_RESOURCE_ALIASES: Final = b"\x22"
_RESPONSE_RESOURCES: Final = b"\x12"
_RESPONSE_TYPE_URL: Final = b"\x22"
_RESPONSE_NONCE: Final = b"\x2a"
_RESPONSE_REMOVED: Final = b"\x32"


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True, eq=False)
class Resource:
    """One xDS resource, serialised once."""

    name: str
    version: str
    """SHA-256, hex, of `body` (and of `aliases` beyond the name); empty where there is no body."""
    body: bytes = field(repr=False)
    """Deterministic serialisation of the message. May hold a private key: never log it."""
    aliases: tuple[str, ...] = ()
    references: frozenset[Reference] = frozenset()
    """Resources that it names: clusters in routes, endpoints and secrets in clusters."""
    head: bytes = field(repr=False)
    """What stands before `body` in a DeltaDiscoveryResponse: tags, lengths, name, version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One DeltaDiscoveryResponse whose resources are not serialised again."""

    type_url: str
    nonce: str
    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The response as protobuf bytes."""
        parts = [_delimited(_RESPONSE_TYPE_URL, self.type_url.encode())]
        for resource in self.resources:
            parts += (resource.head, resource.body)
        parts += [_delimited(_RESPONSE_REMOVED, name.encode()) for name in self.removed]
        parts.append(_delimited(_RESPONSE_NONCE, self.nonce.encode()))
        return b"".join(parts)

    def message(self) -> discovery.DeltaDiscoveryResponse:
        """The response as a message; for tests and for printing."""
        return discovery.DeltaDiscoveryResponse.FromString(self.encode())


def serialise(message: Message) -> tuple[bytes, str]:
    """Deterministic bytes of a message and their SHA-256 in hex."""
    body = message.SerializeToString(deterministic=True)
    return body, hashlib.sha256(body).hexdigest()


def make_resource(type_url: str, name: str, message: Message, aliases: Iterable[str] = ()) -> Resource:
    """Serialise `message` once. A virtual host is its own alias, as Envoy's VHDS wants it."""
    body, version = serialise(message)
    return assemble(type_url, name, body, version, aliases, references(message))


def assemble(
    type_url: str,
    name: str,
    body: bytes,
    version: str,
    aliases: Iterable[str],
    refers: frozenset[Reference],
) -> Resource:
    """A resource of bytes that are serialised already; `version` is that of `body`."""
    known = _aliases(type_url, name, aliases)
    if further := [alias for alias in known if alias != name]:
        version = hashlib.sha256(b"\0".join([version.encode(), *map(str.encode, further)])).hexdigest()
    head = _head(type_url, name, version, known, len(body))
    return Resource(name=name, version=version, body=body, aliases=known, references=refers, head=head)


def absent(name: str) -> Resource:
    """What tells VHDS that there is no such virtual host: name and alias, and nothing else.

    Envoy (1.40) wakes the requests that wait for a virtual host by the aliases of an answer, never by
    its removed names.
    """
    inner = _delimited(_RESOURCE_NAME, name.encode()) + _delimited(_RESOURCE_ALIASES, name.encode())
    return Resource(
        name=name, version="", body=b"", aliases=(name,), head=_delimited(_RESPONSE_RESOURCES, inner)
    )


def _aliases(type_url: str, name: str, aliases: Iterable[str]) -> tuple[str, ...]:
    own = (name,) if type_url == VIRTUAL_HOST else ()
    return tuple(dict.fromkeys([*own, *sorted(aliases)]))


def _head(type_url: str, name: str, version: str, aliases: Iterable[str], body_bytes: int) -> bytes:
    """Everything of a Resource before its body; the body must follow and be its last field."""
    any_head = _delimited(_ANY_TYPE_URL, type_url.encode()) + _ANY_VALUE + _varint(body_bytes)
    inner = b"".join(
        [
            _delimited(_RESOURCE_VERSION, version.encode()),
            _delimited(_RESOURCE_NAME, name.encode()),
            *(_delimited(_RESOURCE_ALIASES, alias.encode()) for alias in aliases),
            _RESOURCE_ANY,
            _varint(len(any_head) + body_bytes),
            any_head,
        ]
    )
    return _RESPONSE_RESOURCES + _varint(len(inner) + body_bytes) + inner


def _delimited(tag: bytes, value: bytes) -> bytes:
    return tag + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
