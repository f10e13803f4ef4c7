"""AuthorizationPolicies with Envoy's RBAC filters, for HTTP and for plain connections.

The order is Istio's, behind CUSTOM (`external_authorization`): AUDIT only marks, DENY
refuses, then one ALLOW must match if there is any. On connections without HTTP an ALLOW rule
that asks for anything of a request never matches, and a DENY rule matches as if it did not
ask: both keep out rather than let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2 as pb
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb

from meshgate.model.authorization import (
    Action,
    Attribute,
    AuthorizationPolicy,
    AuthorizationRule,
    Condition,
    Guard,
)
from meshgate.policies import matching_text as text
from meshgate.policies.authorization_principals import IDENTITY, block, principal
from meshgate.policies.packing import http_filter, pack

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
        if one.attribute in IDENTITY and not self._place.peers_known:
            return pb.Principal(not_id=pb.Principal(any=True))
        return principal(one, value, loose=loose)

    def _operation(self, one: Condition, value: str, *, loose: bool) -> pb.Permission:
        match one.attribute:
            case Attribute.HOST:
                return pb.Permission(header=text.host(value, loose=loose))
            case Attribute.METHOD:
                return pb.Permission(header=text.header(":method", value, loose=False))
            case Attribute.PATH:
                return pb.Permission(url_path=text.path(value, loose=loose))
            case Attribute.DESTINATION_IP:
                return pb.Permission(destination_ip=block(value))
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
