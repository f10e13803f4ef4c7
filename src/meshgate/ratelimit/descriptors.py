"""What Envoy says about a request, and whose counter that makes it.

The contract with the translator: domain `meshgate`; per rule ONE descriptor whose entries are,
each left out where Envoy has nothing to say:

    rule            the rule's id (always there)
    consumer        X-Consumer-ID
    credential      X-Credential-Identifier
    remote_address  the client's address
    header          the value of the rule's header
    path            the request's path (a query is cut off here)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import assert_never

from meshgate.model.policy import LimitBy, RateLimit

DOMAIN = "meshgate"
"""The RLS domain that Envoy's filters name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """One descriptor of one request; empty where Envoy sent no such entry."""

    rule: str
    consumer: str = ""
    credential: str = ""
    remote_address: str = ""
    header: str = ""
    path: str = ""


_KNOWN = frozenset(RequestFacts.__slots__)


class MalformedRequest(Exception):
    """The bytes are no `RateLimitRequest`."""


def read_request(message: bytes) -> tuple[RequestFacts, ...]:
    """The descriptors of a serialised `RateLimitRequest` that name a rule.

    Read from the wire format by hand, because Envoy puts header values into `string` fields
    as they came and protobuf's parser refuses the whole message where one is not UTF-8: a
    client could so step around its limit. Raises `MalformedRequest`.
    """
    found = []
    for descriptor in _submessages(message, 2):  # RateLimitRequest.descriptors
        entries: dict[str, str] = {}
        for entry in _submessages(descriptor, 1):  # RateLimitDescriptor.entries
            key = b"".join(_submessages(entry, 1)).decode("utf-8", "surrogateescape")
            if key in _KNOWN:
                entries[key] = b"".join(_submessages(entry, 2)).decode("utf-8", "surrogateescape")
        if entries.get("rule"):
            found.append(RequestFacts(**entries))
    return tuple(found)


def _submessages(message: bytes, number: int) -> Iterator[bytes]:
    """The length-delimited fields with this number; other fields are stepped over."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                _, position = _varint(message, position)
            case 1:
                position += 8
            case 2:
                length, start = _varint(message, position)
                position = start + length
                if tag >> 3 == number and position <= end:
                    yield message[start:position]
            case 5:
                position += 4
            case _:
                raise MalformedRequest("unknown wire type")
    if position > end:
        raise MalformedRequest("cut short")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedRequest("bad number")


def identify(rule: RateLimit, facts: RequestFacts) -> tuple[str, str]:
    """The kind of identity and the identity itself, by Kong 3.9's fallbacks.

    consumer -> credential -> ip; every other kind that finds nothing -> ip.
    """
    by_address = ("ip", facts.remote_address)
    match rule.limit_by:
        case LimitBy.CONSUMER:
            if facts.consumer:
                return "consumer", facts.consumer
            return ("credential", facts.credential) if facts.credential else by_address
        case LimitBy.CREDENTIAL:
            return ("credential", facts.credential) if facts.credential else by_address
        case LimitBy.IP:
            return by_address
        case LimitBy.SERVICE:
            return ("service", rule.service_id) if rule.service_id else by_address
        case LimitBy.HEADER:
            return ("header", facts.header) if facts.header else by_address
        case LimitBy.PATH:
            path = facts.path.partition("?")[0]
            return ("path", path) if path and path == rule.path else by_address
    assert_never(rule.limit_by)


def counter_prefix(rule: RateLimit, facts: RequestFacts) -> str:
    """The part of the counter key that does not change with time.

    The identity is hashed: keys stay short and well formed whatever a client sends, and a
    header value or an address can not be read out of Redis.
    """
    kind, identity = identify(rule, facts)
    digest = blake2b(f"{rule.rule_id}\0{kind}\0{identity}".encode("utf-8", "surrogateescape"), digest_size=16)
    return f"meshgate:rl:{digest.hexdigest()}"
