"""AuthorizationPolicies with Envoy's RBAC filters, for HTTP and for plain connections.

The order is Istio's, behind CUSTOM (`external_authorization`): AUDIT only marks, DENY
refuses, then one ALLOW must match if there is any. On connections without HTTP an ALLOW rule
that asks for anything of a request never matches, and a DENY rule matches as if it did not
ask: both keep out rather than let in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2 as pb
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb
from envoy.type.matcher.v3 import metadata_pb2, string_pb2

from meshgate.model.authorization import (
    Action,
    Attribute,
    AuthorizationPolicy,
    AuthorizationRule,
    Condition,
    Guard,
)
from meshgate.model.names import CLUSTER_DOMAIN, TRUST_DOMAIN
from meshgate.policies import matching_text as text
from meshgate.policies.packing import http_filter, pack
from meshgate.policies.request_authentication import PAYLOAD, TOKEN_METADATA

HTTP_FILTER = "meshgate.authorization"
"""Not Envoy's usual name: what a route says about that one must not replace these rules."""
NETWORK_FILTER = "envoy.filters.network.rbac"
_OPERATION = (
    Attribute.HOST,
    Attribute.METHOD,
    Attribute.PATH,
    Attribute.DESTINATION_IP,
    Attribute.DESTINATION_PORT,
    Attribute.SNI,
)
"""What Envoy calls permissions; the rest are principals."""
_IDENTITY = (
    Attribute.PRINCIPAL,
    Attribute.NAMESPACE,
    Attribute.SERVICE_ACCOUNT,
    Attribute.TRUST_DOMAIN,
)
"""What a certificate says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the filters stand."""

    ports: frozenset[int] = frozenset()
    """The numbers by which rules may call the port; empty: what the connection says."""
    peers_known: bool = True
    """Whether somebody has verified who is at the other end; else it is nobody to all rules."""


def http_filters(guard: Guard, place: Place) -> tuple[hcm.HttpFilter, ...]:
    """The RBAC filters of an HTTP connection manager; none where nothing is guarded."""
    return tuple(
        http_filter(
            HTTP_FILTER,
            http_pb.RBAC(rules=rules, shadow_rules=shadow, shadow_rules_stat_prefix=prefix),
        )
        for rules, shadow, prefix in _stages(guard, place, http=True)
    )


def network_filters(guard: Guard, place: Place) -> tuple[listener_components_pb2.Filter, ...]:
    """The same for connections whose bytes are carried as they are."""
    return tuple(
        listener_components_pb2.Filter(
            name=NETWORK_FILTER,
            typed_config=pack(
                network_pb.RBAC(
                    rules=rules, shadow_rules=shadow, shadow_rules_stat_prefix=prefix, stat_prefix="tcp."
                )
            ),
        )
        for rules, shadow, prefix in _stages(guard, place, http=False)
    )


def _stages(
    guard: Guard, place: Place, *, http: bool
) -> Iterator[tuple[pb.RBAC | None, pb.RBAC | None, str]]:
    """(enforced rules, rules that are only tried, prefix of the latter's statistics), in order."""
    if guard.closed:
        yield pb.RBAC(action=pb.RBAC.ALLOW), None, ""
        return
    for action, envoys in (
        (Action.AUDIT, pb.RBAC.LOG),
        (Action.DENY, pb.RBAC.DENY),
        (Action.ALLOW, pb.RBAC.ALLOW),
    ):
        enforced, tried = (
            rbac(policies, envoys, place, http=http) if (policies := guard.of(action, dry_run=dry)) else None
            for dry in (False, True)
        )
        if enforced is not None or tried is not None:
            prefix = f"istio_dry_run_{action.value.lower()}_" if tried is not None else ""
            yield enforced, tried, prefix


def rbac(
    policies: Iterable[AuthorizationPolicy],
    action: pb.RBAC.Action.ValueType,
    place: Place,
    *,
    http: bool,
    prefix: str = "",
) -> pb.RBAC:
    """The rules of the policies; what keeps out is compared more loosely than what lets in."""
    found = pb.RBAC(action=action)
    builder = _Builder(place, http=http, keeps_out=action != pb.RBAC.ALLOW)
    for policy in policies:
        for index, rule in enumerate(policy.rules):
            built = builder.rule(rule)
            if built is not None:
                name = f"{prefix}ns[{policy.namespace}]-policy[{policy.ref.name}]-rule[{index}]"
                found.policies[name].CopyFrom(built)
    return found


class _Builder:
    """Rules of one action as Envoy's policies."""

    def __init__(self, place: Place, *, http: bool, keeps_out: bool) -> None:
        self._place, self._http, self._keeps_out = place, http, keeps_out

    def rule(self, rule: AuthorizationRule) -> pb.Policy | None:
        """None where it can never match: it asks for a request's parts and lets in."""
        if not self._http:
            if not self._keeps_out and any(c.attribute.is_http for c in _conditions(rule)):
                return None
            rule = _without_http(rule)
        policy = pb.Policy()
        when = [c for c in rule.when if c.attribute in _OPERATION]
        for operation in rule.operations or ((),):
            policy.permissions.append(self._permission((*operation, *when)))
        when = [c for c in rule.when if c.attribute not in _OPERATION]
        for source in rule.sources or ((),):
            policy.principals.append(self._principal((*source, *when)))
        return policy

    def _permission(self, conditions: Iterable[Condition]) -> pb.Permission:
        found: list[pb.Permission] = []
        for one in conditions:
            if one.values:
                each = [self._operation(one, v, loose=self._keeps_out) for v in one.values]
                found.append(pb.Permission(or_rules=pb.Permission.Set(rules=each)))
            if one.not_values:
                each = [self._operation(one, v, loose=not self._keeps_out) for v in one.not_values]
                found.append(pb.Permission(not_rule=pb.Permission(or_rules=pb.Permission.Set(rules=each))))
        return pb.Permission(and_rules=pb.Permission.Set(rules=found)) if found else pb.Permission(any=True)

    def _principal(self, conditions: Iterable[Condition]) -> pb.Principal:
        found: list[pb.Principal] = []
        for one in conditions:
            if one.values:
                each = [self._source(one, v, loose=self._keeps_out) for v in one.values]
                found.append(pb.Principal(or_ids=pb.Principal.Set(ids=each)))
            if one.not_values:
                each = [self._source(one, v, loose=not self._keeps_out) for v in one.not_values]
                found.append(pb.Principal(not_id=pb.Principal(or_ids=pb.Principal.Set(ids=each))))
        return pb.Principal(and_ids=pb.Principal.Set(ids=found)) if found else pb.Principal(any=True)

    def _source(self, one: Condition, value: str, *, loose: bool) -> pb.Principal:
        if one.attribute in _IDENTITY and not self._place.peers_known:
            return pb.Principal(not_id=pb.Principal(any=True))
        return _source(one, value, loose=loose)

    def _operation(self, one: Condition, value: str, *, loose: bool) -> pb.Permission:
        match one.attribute:
            case Attribute.HOST:
                return pb.Permission(header=text.host(value, loose=loose))
            case Attribute.METHOD:
                return pb.Permission(header=text.header(":method", value, loose=False))
            case Attribute.PATH:
                return pb.Permission(url_path=text.path(value, loose=loose))
            case Attribute.DESTINATION_IP:
                return pb.Permission(destination_ip=_block(value))
            case Attribute.SNI:
                return pb.Permission(requested_server_name=text.folded(text.plain(value)))
            case Attribute.DESTINATION_PORT if not self._place.ports:
                return pb.Permission(destination_port=int(value))
            case Attribute.DESTINATION_PORT:
                # Where the proxy listens on another port than the workload, Envoy could not tell.
                here = pb.Permission(any=True)
                return here if int(value) in self._place.ports else pb.Permission(not_rule=here)
            case _:
                raise ValueError(f"{one.attribute} is no part of an operation")


def _conditions(rule: AuthorizationRule) -> Iterator[Condition]:
    for group in (*rule.sources, *rule.operations, rule.when):
        yield from group


def _without_http(rule: AuthorizationRule) -> AuthorizationRule:
    def kept(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(c for c in conditions if not c.attribute.is_http)

    return replace(
        rule,
        sources=tuple(kept(s) for s in rule.sources),
        operations=tuple(kept(o) for o in rule.operations),
        when=kept(rule.when),
    )


def _source(one: Condition, value: str, *, loose: bool) -> pb.Principal:
    match one.attribute:
        case Attribute.SOURCE_IP:
            return pb.Principal(direct_remote_ip=_block(value))
        case Attribute.REMOTE_IP:
            return pb.Principal(remote_ip=_block(value))
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


def _block(value: str) -> address_pb2.CidrRange:
    network = ipaddress.ip_network(value)
    block = address_pb2.CidrRange(address_prefix=str(network.network_address))
    block.prefix_len.value = network.prefixlen
    return block
