"""Who asks, as Envoy's RBAC principals: addresses, certificates, tokens, headers."""

from __future__ import annotations

import ipaddress

from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2 as pb
from envoy.type.matcher.v3 import metadata_pb2, string_pb2

from meshgate.model.authorization import Attribute, Condition
from meshgate.model.names import CLUSTER_DOMAIN, TRUST_DOMAIN
from meshgate.policies import matching_text as text
from meshgate.policies.request_authentication import PAYLOAD, TOKEN_METADATA

IDENTITY = (
    Attribute.PRINCIPAL,
    Attribute.NAMESPACE,
    Attribute.SERVICE_ACCOUNT,
    Attribute.TRUST_DOMAIN,
)
"""What a certificate says."""


def principal(one: Condition, value: str, *, loose: bool) -> pb.Principal:
    """One value of a condition about the source; `loose` where letting too much match is the safe side."""
    match one.attribute:
        case Attribute.SOURCE_IP:
            return pb.Principal(direct_remote_ip=block(value))
        case Attribute.REMOTE_IP:
            return pb.Principal(remote_ip=block(value))
        case Attribute.HEADER:
            name = one.key[0]
            match = text.host if name in (":authority", "host") else None
            found = match(value, loose=loose) if match else text.header(name, value, loose=loose)
            return pb.Principal(header=found)
        case Attribute.REQUEST_PRINCIPAL:
            return _request_principal(value)
        case Attribute.AUDIENCES:
            return _claim(("aud",), text.plain(value))
        case Attribute.PRESENTER:
            return _claim(("azp",), text.plain(value))
        case Attribute.CLAIM:
            return _claim(one.key, text.plain(value))
        case _:
            authenticated = pb.Principal.Authenticated(principal_name=_identity(one.attribute, value))
            return pb.Principal(authenticated=authenticated)


def _identity(attribute: Attribute, value: str) -> string_pb2.StringMatcher:
    """Of a peer's SPIFFE ID."""
    match attribute:
        case Attribute.PRINCIPAL:
            domain, slash, rest = value.partition("/")
            if slash and domain == CLUSTER_DOMAIN:
                value = f"{TRUST_DOMAIN}/{rest}"  # Istio's word for the mesh's own trust domain
            kind, rest = text.shape(value)
            if kind == "exact":
                return _exact(f"spiffe://{rest}")
            if kind == "prefix":
                return _prefix(f"spiffe://{rest}")
            return text.regex("spiffe://.+" if kind == "any" else f"spiffe://.*{text.quote(rest)}")
        case Attribute.NAMESPACE:
            return text.regex(f"spiffe://[^/]+/ns/{text.inner(value, '[^/]')}/.+")
        case Attribute.SERVICE_ACCOUNT:
            namespace, _, account = value.partition("/")
            return text.regex(f"spiffe://[^/]+/ns/{text.quote(namespace)}/sa/{text.quote(account)}")
        case Attribute.TRUST_DOMAIN:
            return text.regex(f"spiffe://{text.inner(value, '[^/]')}/.+")
        case _:
            raise ValueError(f"{attribute} is no part of an identity")


def _request_principal(value: str) -> pb.Principal:
    """`<iss>/<sub>` of a verified token: both parts may hold slashes, so every cut is tried."""
    some = text.regex(".+")
    kind, rest = text.shape(value)
    cuts = [(rest[:i], rest[i + 1 :]) for i, c in enumerate(rest) if c == "/"]
    ways: list[tuple[string_pb2.StringMatcher, string_pb2.StringMatcher]] = []
    match kind:
        case "any":
            ways.append((some, some))
        case "prefix":
            ways.append((_prefix(rest), some))
            ways += [(_exact(iss), _prefix(sub) if sub else some) for iss, sub in cuts if iss]
        case "suffix":
            ways.append((some, _suffix(rest)))
            ways += [(_suffix(iss) if iss else some, _exact(sub)) for iss, sub in cuts if sub]
        case _:
            ways += [(_exact(iss), _exact(sub)) for iss, sub in cuts if iss and sub]
    if not ways:  # without a slash it is nobody's
        return pb.Principal(not_id=pb.Principal(any=True))
    each = [
        pb.Principal(and_ids=pb.Principal.Set(ids=[_claim(("iss",), iss), _claim(("sub",), sub)]))
        for iss, sub in ways
    ]
    return pb.Principal(or_ids=pb.Principal.Set(ids=each))


def _exact(part: str) -> string_pb2.StringMatcher:
    return string_pb2.StringMatcher(exact=part)


def _prefix(part: str) -> string_pb2.StringMatcher:
    return string_pb2.StringMatcher(prefix=part)


def _suffix(part: str) -> string_pb2.StringMatcher:
    return string_pb2.StringMatcher(suffix=part)


def _claim(way: tuple[str, ...], match: string_pb2.StringMatcher) -> pb.Principal:
    """A claim that is a text, or a list of texts of which one fits, as Istio compares them."""
    metadata = metadata_pb2.MetadataMatcher(filter=TOKEN_METADATA)
    for key in (PAYLOAD, *way):
        metadata.path.add(key=key)
    either = metadata.value.or_match.value_matchers
    either.add().string_match.CopyFrom(match)
    either.add().list_match.one_of.string_match.CopyFrom(match)
    return pb.Principal(metadata=metadata)


def block(value: str) -> address_pb2.CidrRange:
    """Addresses of a network."""
    network = ipaddress.ip_network(value)
    block = address_pb2.CidrRange(address_prefix=str(network.network_address))
    block.prefix_len.value = network.prefixlen
    return block
